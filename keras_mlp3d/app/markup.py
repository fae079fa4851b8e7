"""What the page says, as HTML. Nothing from a file or a preset is taken for a tag."""

import html
from collections.abc import Mapping

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.app.answers import Answer
from keras_mlp3d.app.limits import Limits
from keras_mlp3d.app.networks import Networks

TITLE = "MLP-3D on your videos"
IDLE = "Drop a video, record one with the camera, or choose an example."
_NAMED = 30  # classes

#: The trim button of Gradio's video would load a program from another server.
STYLE = """
.answer { font-size: 1.15rem; line-height: 1.5; margin: 0; min-height: 1.75rem; }
.answer.error { border-left: 4px solid #b91c1c; padding-left: 0.75rem; }
.about { margin: 0; opacity: 0.85; }
.caption { margin: 0; font-weight: 600; }
.bars { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr 4rem;
  gap: 0.4rem 0.75rem; align-items: center; margin: 0; }
.bars dt { overflow-wrap: anywhere; }
.bars dd { margin: 0; }
.bars .bar { background: var(--border-color-primary, #e5e7eb); border-radius: 4px; }
.bars .bar span { display: block; height: 1.1rem; border-radius: 4px; min-width: 2px;
  background: #3b6fb6; }
.bars .percent { text-align: right; font-variant-numeric: tabular-nums; }
#video video { max-height: 280px; }
#video button[aria-label^="Trim"] { display: none; }
footer { display: none !important; }
"""


def title_html(limits: Limits) -> str:
    """Return the head of the page.

    Example:

    >>> "100 MB" in title_html(Limits())
    True
    """
    return (
        f"<h1>{TITLE}</h1><p>{limits.sentence()} It goes to no machine but the one that serves "
        "this page.</p>"
    )


def answer_html(answer: Answer) -> str:
    """Return the sentence of an answer.

    Example:

    >>> answer_html(Answer("<b>jump</b>: 75.0 %."))
    '<p class="answer" role="status">&lt;b&gt;jump&lt;/b&gt;: 75.0 %.</p>'
    """
    kind, role = ("answer error", "alert") if answer.is_error else ("answer", "status")
    return f'<p class="{kind}" role="{role}">{_text(answer.text)}</p>'


def bars_html(scores: Mapping[str, float]) -> str:
    """Return a bar per class.

    Args:
        scores: {class: score from 0 to 1}, in the order of the bars.

    Example:

    >>> bars_html({"jump": 0.75}).count("75.0")
    2
    """
    rows = "".join(
        f"<dt>{_text(name)}</dt>"
        f'<dd class="bar"><span style="width: {100 * score:.1f}%"></span></dd>'
        f'<dd class="percent">{100 * score:.1f} %</dd>'
        for name, score in scores.items()
    )
    return f'<dl class="bars">{rows}</dl>' if rows else ""


def caption_html(text: str) -> str:
    """Return the line above a picture.

    Example:

    >>> caption_html("Scores over time")
    '<p class="caption">Scores over time</p>'
    """
    return f'<p class="caption">{_text(text)}</p>'


def about_html(networks: Networks, name: str) -> str:
    """Return the description of a preset and the names of its classes.

    Args:
        networks: `Networks`.
        name: One of `networks.names`.
    """
    classes = networks.classes(name)
    named = ", ".join(classes[:_NAMED]) + (", …" if len(classes) > _NAMED else "")
    description = networks.files(name).description
    answer = f"one of its {len(classes)} classes"
    if networks.gives_several(name):
        answer = f"those of its {len(classes)} classes that it sees, perhaps none"
    text = f"{description} It answers any video with {answer}: {named}."
    return f'<p class="about">{_text(text)}</p>'


def _text(text):
    return html.escape(one_line(text))
