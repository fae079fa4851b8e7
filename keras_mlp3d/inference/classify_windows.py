"""Scores over time: classifies the windows of a long video.

Source: ours; the paper scores whole videos.
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.inference.read_sources import converter_of
from keras_mlp3d.inference.score_views import check_model, score_views
from keras_mlp3d.inference.windows import ClipOfWindow, clips_of_windows


class WindowScores(NamedTuple):
    """The scores of one window.

    Attributes:
        start: Second at which the window begins.
        end: Second at which it ends.
        scores: float64 (num_classes,), from 0 to 1, adding up to 1 unless the model's activation is
            "sigmoid".

    Example:

    >>> start, end, scores = WindowScores(0.0, 2.0, np.array([0.25, 0.75]))
    >>> end - start, int(scores.argmax())
    (2.0, 1)
    """

    start: float
    end: float
    scores: np.ndarray


def classify_windows(
    model: keras.Model,
    source: Any,
    window: float = 2.0,
    hop: float = 0.5,
    batch_size: int = 8,
    converter: VideoConverter | None = None,
    fps: float | None = None,
) -> Iterator[WindowScores]:
    """Classify the windows of a long video one after the other, in bounded memory.

    The scores of a window are those of its part of the video alone. Frames that windows share are
    decoded once.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP` or `CycleMLP`.
        source: A video: a file, a folder of numbered JPEG pictures, bytes, a binary file object,
            or frames in memory.
        window: Length of a window in seconds.
        hop: Seconds from the beginning of a window to that of the next. If the last window ends
            before the video does, one more ends with it.
        batch_size: Largest number of windows that are computed at once. Their scores come together.
        converter: `data.VideoConverter` that makes the clips. Defaults to `model.converter`.
        fps: Frames per second of a source that has none: frames in memory or a folder.

    Returns:
        Iterator of `WindowScores`. Closing it closes the video.

    Raises:
        ValueError: If an argument is wrong, at once. While iterating, `data.VideoError` if the
            video is unreadable; of a damaged one, what decodes is classified, and a warning logged.

    Example:

    >>> from keras_mlp3d.data import Frames
    >>> from keras_mlp3d.models import MLP3D
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> video = Frames(np.zeros((50, 64, 64, 3), "uint8"), fps=25)
    >>> for start, end, scores in classify_windows(model, video, window=1.0):
    ...     print(start, end, scores.shape)
    0.0 1.0 (20,)
    0.5 1.5 (20,)
    1.0 2.0 (20,)
    """
    check_model(model)
    check_number("window", window, above=0)
    check_number("hop", hop, above=0)
    batch_size = check_integer("batch_size", batch_size)
    converter = converter_of(model, converter)
    return _scored(model, clips_of_windows(converter, source, window, hop, fps), batch_size)


def _scored(
    model: keras.Model, windows: Generator[ClipOfWindow, None, None], batch_size: int
) -> Iterator[WindowScores]:
    is_first, error = True, None
    with contextlib.closing(windows):
        while error is None:
            batch: list[ClipOfWindow] = []
            try:
                batch.extend(itertools.islice(windows, batch_size))
            except (ValueError, OSError) as reason:  # what came before it is not lost
                error = reason
            if batch:
                yield from _scores_of(model, batch, len(batch) if is_first else batch_size)
            if len(batch) < batch_size:
                break
            is_first = False
    if error is not None:
        raise error


def _scores_of(model: keras.Model, batch: list[ClipOfWindow], size: int) -> Iterator[WindowScores]:
    """Pad a batch to a size, so that a backend compiles once for a whole video."""
    clips = [window.clip for window in batch]
    clips += clips[-1:] * (size - len(clips))
    scores = score_views(model, np.stack(clips), size)
    for (start, end, _), row in zip(batch, scores, strict=False):
        yield WindowScores(start, end, row)
