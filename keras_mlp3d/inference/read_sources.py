"""Reads the views of whatever a user calls a video, one after the other."""

import errno
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_integer, check_number
from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.converter import VideoConverter, Views, thread_options
from keras_mlp3d.data.video.records import is_record
from keras_mlp3d.data.video.sources import is_path, is_source


def converter_of(model: keras.Model, converter: VideoConverter | None) -> VideoConverter:
    """Return the converter that was passed, or else that of the model.

    Raises:
        ValueError: If there is neither.
    """
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    return converter


def read_sources(
    sources: Any,
    converter: VideoConverter,
    clips: int,
    crops: int,
    batch_size: int,
    fps: float | None,
    on_error: str,
) -> Iterator[tuple[Any, Views | str]]:
    """Yield (source, its views, or why it is unreadable) of each video, in order.

    The arguments are checked at once, and whether all files exist with `on_error="raise"`.

    Args:
        sources: A video or a list of videos.
        converter: `data.VideoConverter`.
        clips: Number of clips per video.
        crops: Number of crops per clip.
        batch_size: Only checked.
        fps: Frames per second of sources that have none, or None.
        on_error: "raise" or "report".

    Raises:
        ValueError: If an argument is wrong, or with "raise" a video is unreadable.
        FileNotFoundError: With "raise", if a video does not exist.
    """
    listed = _listed(sources)
    for name, value in (("clips", clips), ("crops", crops), ("batch_size", batch_size)):
        check_integer(name, value)
    if fps is not None:
        check_number("fps", fps, above=0)
    check_choice("on_error", on_error, ("raise", "report"))
    if on_error == "raise":
        _check_exist(listed)
    return _read(listed, converter, clips, crops, fps, on_error)


def different_views(views: np.ndarray, clips: int, crops: int) -> np.ndarray:
    """Return the first crop of each clip if all crops are the same picture, else all views.

    Args:
        views: Views (clips * crops, T, H, W, 3), the crops of the first clip first.
        clips: Number of clips.
        crops: Number of crops per clip.
    """
    by_clip = views.reshape(clips, crops, *views.shape[1:])
    same = all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops))
    return by_clip[:, 0] if same else views


def _read(
    sources: list[Any],
    converter: VideoConverter,
    clips: int,
    crops: int,
    fps: float | None,
    on_error: str,
) -> Iterator[tuple[Any, Views | str]]:
    for place, source in enumerate(sources):
        if on_error == "report":
            yield source, views_or_reason(source, converter, clips, crops, fps)
            continue
        try:
            views = converter.read(source, clips=clips, crops=crops, fps=fps)
        except Exception as error:
            if len(sources) > 1:
                error.add_note(
                    f"It is number {place + 1} of {len(sources)} videos; with "
                    'on_error="report" the other videos are classified nevertheless.'
                )
            raise
        yield source, views


def views_or_reason(
    source: Any,
    converter: VideoConverter,
    clips: int,
    crops: int,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    threads: int | None = None,
) -> Views | str:
    """Return the views of a video, or why it is unreadable.

    Args:
        source: The video.
        converter: `data.VideoConverter`.
        clips: Number of clips.
        crops: Number of crops per clip.
        fps: Frames per second of a source that has none, or None.
        start: Second at which the part to be used begins, or None.
        end: Second at which it ends, or None.
        threads: Largest number of threads that read it, or None for the converter's own choice.
    """
    options: dict[str, Any] = {"fps": fps, "start": start, "end": end}
    if threads is not None:
        options |= thread_options(converter, threads)
    try:
        return converter.read(source, clips=clips, crops=crops, **options)
    except Exception as error:  # any error is one of this video
        return reason_of(error)


def _listed(sources):
    """Return a list of sources; a single source becomes a list of one."""
    # An array of one axis is no video but a column of a table, whose items are sources.
    is_column = getattr(sources, "ndim", None) == 1 and not isinstance(sources, memoryview)
    if is_source(sources) and not is_column:
        return [sources]
    try:
        if isinstance(sources, dict):
            raise TypeError
        listed = list(sources)
    except TypeError:
        listed = None
    wrong = [sources] if listed is None else [item for item in listed if not is_source(item)]
    if wrong:
        raise ValueError(
            "sources must be a video or a list of videos, each a path, bytes, a binary file object "
            "or frames: a uint8 array (T, H, W, 3) or a list of uint8 arrays (H, W, 3); got "
            f"{type(wrong[0]).__name__} {wrong[0]!r:.80}."
        )
    return listed


def _check_exist(sources):
    """Raise an error for a missing file, before hours of work."""
    for source in sources:
        if is_path(source) and not is_remote(source) and not is_record(source):
            path = os.fsdecode(source)
            if not os.path.exists(path):
                raise FileNotFoundError(errno.ENOENT, "no such video file", path)
