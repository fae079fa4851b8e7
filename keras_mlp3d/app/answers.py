"""Turns a video file into what the page shows: a sentence, scores, frames and a timeline."""

import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.app.limits import Limits, Refused, Watch, check_video
from keras_mlp3d.app.networks import Networks
from keras_mlp3d.app.pictures import contact_sheet, picture_of
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.converter import Views
from keras_mlp3d.data.video.sources import Watched
from keras_mlp3d.inference import WindowScores, score_views
from keras_mlp3d.inference.windows import clips_of_windows

_TOP, _BATCH, _MAX_WINDOWS = 5, 4, 200
_drawing = threading.Lock()  # Matplotlib's text is not for several threads
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the page shows of one video.

    Args:
        text: A sentence or two, plain text in one line.
        scores: {class: score}, the best first.
        frames: None, or the frames that the network saw as one picture, uint8 (H, W, 4).
        caption: What `frames` shows.
        timeline: None, or the scores over time as a picture, uint8 (H, W, 3).
        is_error: Whether `text` says why there are no scores.

    Example:

    >>> Answer("The file is empty: it has no bytes.", is_error=True).scores
    {}
    """

    text: str
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    frames: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    caption: str = ""
    timeline: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    is_error: bool = False


def answers(
    networks: Networks,
    preset: str,
    path: str,
    limits: Limits | None = None,
    window: float = 2.0,
) -> Iterator[Answer]:
    """Yield the answer of a network to a video, and again with the scores over time, if any.

    An error of the video, of the network or of the program becomes an answer: none is raised.

    Args:
        networks: `Networks`.
        preset: One of `networks.names`.
        path: The video file.
        limits: `Limits`, or None for the default ones.
        window: Length of a window in seconds. A longer video gets the scores of its windows. The
            next window begins after a quarter of it, or later if there were more than 200.

    Yields:
        `Answer`

    Example:

    >>> [answer] = answers(Networks(), "mlp3d_nano_searched", "absent.mp4")
    >>> answer.text
    'The file cannot be read: No such file or directory.'
    """
    limits = limits or Limits()
    until = time.monotonic() + limits.max_wait
    answer = None
    try:
        check_number("window", window, above=0)
        classes, converter = networks.classes(preset), networks.converter(preset)
        size = check_video(path, limits)
        video = Watched(path, Watch(path, until))
        views = converter.read(video)
        scores = networks.run(preset, lambda model: score_views(model, views.frames)[0], until)
        answer = _answer(scores, classes, views)
        yield answer
        if size.seconds > 1.001 * window:
            hop = max(window / 4, (size.seconds - window) / _MAX_WINDOWS)
            windows, note = _windows(networks, preset, video, (window, hop), until)
            yield _with_timeline(answer, windows, classes, note)
    # As broad as it is because the page is where an error meets its reader, whatever it is.
    except Exception as error:
        sentence = _sentence(error)
        if answer is None:
            yield Answer(sentence, is_error=True)
        else:
            yield dataclasses.replace(answer, text=f"{answer.text} No scores over time: {sentence}")


def _answer(scores: np.ndarray, classes: list[str], views: Views) -> Answer:
    best = np.argsort(-scores, kind="stable")[:_TOP].tolist()
    named = {one_line(classes[place]): float(scores[place]) for place in best}
    [label, *_] = named
    frames = views.frames[0]
    times = views.frame_times
    count = len(frames)
    height, width = frames.shape[1:3]
    caption = f"What the network saw: {count} frames of {width} x {height} pixels"
    if times is not None:
        caption += f", from {times[0, 0]:.2f} s to {times[0, -1]:.2f} s"
    percent = 100 * named[label]
    text = f"Of {len(classes)} classes, “{label}” has the highest score: {percent:.1f} %."
    return Answer(text, named, contact_sheet(frames), f"{caption}.")


def _windows(
    networks: Networks, preset: str, video: Any, lengths: tuple[float, float], until: float
) -> tuple[list[WindowScores], str]:
    """Score the windows of a video; ("", or a sentence that says why some are missing)."""
    found: list[WindowScores] = []
    clips = clips_of_windows(networks.converter(preset), video, *lengths)
    try:
        while batch := list(itertools.islice(clips, _BATCH)):
            if time.monotonic() > until:
                raise Refused("the time for one video is over.")
            # One shape of batches, so that a backend compiles once.
            padded = [clip for _, _, clip in batch + batch[-1:] * (_BATCH - len(batch))]

            def score(model: keras.Model, padded: list[Any] = padded) -> np.ndarray:
                return score_views(model, np.stack(padded), _BATCH)

            scores = networks.run(preset, score, until)
            found += [
                WindowScores(start, end, row)
                for (start, end, _), row in zip(batch, scores, strict=False)
            ]
    except (Refused, VideoError, OSError) as error:
        if not found:
            raise
        why = str(error) if isinstance(error, Refused) else f"{reason_of(error)}."
        return found, f"The scores over time end at {found[-1].end:.1f} s: {why}"
    finally:
        clips.close()
    return found, ""


def _with_timeline(
    answer: Answer, windows: list[WindowScores], classes: list[str], note: str
) -> Answer:
    from keras_mlp3d import plots

    with _drawing:
        picture = picture_of(plots.plot_timeline(windows, classes, top_k=_TOP))
    return dataclasses.replace(answer, text=f"{answer.text} {note}".strip(), timeline=picture)


def _sentence(error: Exception) -> str:
    """Return what the page says of an error: no path, no traceback."""
    if isinstance(error, Refused):
        return one_line(error)
    if isinstance(error, VideoError):
        return one_line(f"The video cannot be decoded: {reason_of(error)}.")
    _log.error("%s", one_line(f"the page: {type(error).__name__}: {error}"), exc_info=error)
    if isinstance(error, MemoryError):
        return "The machine has too little memory for this video and this network."
    return (
        f"The program failed at this video ({type(error).__name__}). Its log says more; other "
        "videos are not affected."
    )
