"""The page itself, in Gradio: what is on it, and which answer goes where."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from keras_mlp3d.app.answers import Answer, answers
from keras_mlp3d.app.examples import Example
from keras_mlp3d.app.limits import Limits
from keras_mlp3d.app.markup import (
    IDLE,
    TITLE,
    about_html,
    answer_html,
    bars_html,
    caption_html,
    title_html,
)
from keras_mlp3d.app.networks import Networks

#: Requests at a time, and requests that may wait. Further ones are told to come back.
AT_ONCE, WAITING = 4, 32

_TIMELINE = "Scores over time: a row per class, dark where its score is high"


def load_gradio() -> Any:
    """Return Gradio, with its telemetry off.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    # Read by Gradio and huggingface_hub when they are imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            "The page needs Gradio, which is not installed: pip install 'keras-mlp3d[app]'"
        ) from error
    return gradio


def build_page(
    networks: Networks, limits: Limits, examples: Sequence[Example] = (), notice: str = ""
) -> Any:
    """Return the page, a `gradio.Blocks`.

    Args:
        networks: `Networks`.
        limits: `Limits`.
        examples: Clips to try.
        notice: Markdown that says whose clips the examples are.
    """
    gr = load_gradio()
    names = list(networks.names)

    def show(path: str | None, name: str, window: float) -> Iterator[list[Any]]:
        about = about_html(networks, name)
        if path is None:
            yield [*_shown(gr, Answer(IDLE)), about]
            return
        for answer in answers(networks, name, path, limits, window):
            yield [*_shown(gr, answer), about]

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.HTML(title_html(limits))
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                video = gr.Video(label="Video", sources=["upload", "webcam"], elem_id="video")
                preset = gr.Dropdown(names, value=names[0], label="Network", elem_id="preset")
                about = gr.HTML(about_html(networks, names[0]), elem_id="about")
                window = gr.Slider(
                    0.5, 10, value=2, step=0.5, label="Seconds per window of the scores over time"
                )
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(answer_html(Answer(IDLE)), elem_id="answer")
                bars = gr.HTML(elem_id="scores", visible=False)
                frames = _picture(gr, "frames")
                timeline = _picture(gr, "timeline")
        gr.on(
            [video.change, preset.change, window.release],
            show,
            [video, preset, window],
            [said, bars, *frames, *timeline, about],
            trigger_mode="always_last",
            concurrency_limit=AT_ONCE,
            show_progress="minimal",
            api_visibility="private",
        )
        if examples:
            gr.Examples(
                [[example.path, example.preset] for example in examples],
                [video, preset],
                label="Examples",
                cache_examples=False,
                example_labels=[example.label for example in examples],
                examples_per_page=len(examples),
                elem_id="examples",
                api_visibility="private",
            )
        if notice:
            with gr.Accordion("Where the examples come from", open=False):
                gr.Markdown(notice)
    page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)
    return page


def _picture(gr: Any, name: str) -> tuple[Any, Any]:
    """Return a caption and a picture below it, which are hidden until there is one."""
    caption = gr.HTML(visible=False)
    picture = gr.Image(
        elem_id=name,
        visible=False,
        show_label=False,
        interactive=False,
        format="png",
        buttons=["fullscreen"],
    )
    return caption, picture


def _shown(gr: Any, answer: Answer) -> list[Any]:
    """Return the values of the components: sentence, bars, then caption and picture, twice."""
    shown = [
        answer_html(answer),
        gr.HTML(bars_html(answer.scores), visible=bool(answer.scores)),
    ]
    for caption, picture in ((answer.caption, answer.frames), (_TIMELINE, answer.timeline)):
        visible = picture is not None
        shown += [gr.HTML(caption_html(caption), visible=visible)]
        shown += [gr.Image(value=picture, visible=visible)]
    return shown
