"""The windows of a long video, as clips: every frame is decoded once, and few are in memory."""

import math
from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.data.video.pictures import spread_corners
from keras_mlp3d.data.video.reader import IndexChanged, Reader
from keras_mlp3d.data.video.sources import open_video

_SECONDS = 1e-6  # times of frames are rounded
MAX_WINDOWS = 2**20


class ClipOfWindow(NamedTuple):
    """The clip of one window.

    Args:
        start: Second at which the window begins.
        end: Second at which it ends.
        clip: uint8 (T, H, W, 3)
    """

    start: float
    end: float
    clip: np.ndarray


def window_times(duration: float, window: float, hop: float) -> np.ndarray:
    """Return where the windows of a video begin and end.

    They begin every `hop` seconds. If the last of them ends before the video does, one more ends
    with it. A video that is no longer than a window is one window.

    Args:
        duration: Length of the video in seconds.
        window: Length of a window in seconds.
        hop: Seconds from the beginning of a window to that of the next.

    Returns:
        float64 (windows, 2), seconds.

    Raises:
        ValueError: If `window` or `hop` is no positive number, or there would be more than a
            million windows.

    Example:

    >>> window_times(3.3, window=2.0, hop=1.0).tolist()
    [[0.0, 2.0], [1.0, 3.0], [1.3, 3.3]]
    """
    check_number("window", window, above=0)
    check_number("hop", hop, above=0)
    if duration <= window + _SECONDS:
        return np.array([[0.0, duration]])
    count = math.floor((duration - window + _SECONDS) / hop) + 1
    if count > MAX_WINDOWS:
        raise ValueError(
            f"hop must be larger: {duration:g} s with a hop of {hop:g} s have {count:,} windows, "
            f"and more than {MAX_WINDOWS:,} are refused."
        )
    starts = np.arange(count) * hop
    if starts[-1] + window < duration - _SECONDS:
        starts = np.append(starts, duration - window)
    return np.stack([starts, starts + window], axis=1).round(6)


def clips_of_windows(
    converter: VideoConverter,
    source: Any,
    window: float = 2.0,
    hop: float = 0.5,
    fps: float | None = None,
) -> Generator[ClipOfWindow, None, None]:
    """Yield the clip of each window of a video, in order of time.

    The clip of a window is `converter(source, start=start, end=end)`, to the bit. Frames that
    several windows share are decoded once; in memory are those of the windows that overlap.

    Args:
        converter: `VideoConverter`; its crop is the center crop.
        source: Any source that `read_video` takes.
        window: Length of a window in seconds.
        hop: Seconds from the beginning of a window to that of the next.
        fps: Frames per second of a source that has none: frames in memory or a folder.

    Yields:
        `ClipOfWindow`

    Raises:
        ValueError: If `window` or `hop` is wrong, or nothing says the frames per second.
        VideoError: If the video is unreadable, after the windows before the damage.

    Example:

    >>> from keras_mlp3d.data import Frames, VideoConverter
    >>> video = Frames(np.zeros((50, 32, 32, 3), "uint8"), fps=10)
    >>> windows = list(clips_of_windows(VideoConverter(4, (32, 32)), video, window=2.0, hop=1.5))
    >>> [(start, end, clip.shape[0]) for start, end, clip in windows]
    [(0.0, 2.0, 4), (1.5, 3.5, 4), (3.0, 5.0, 4)]
    """
    check_number("window", window, above=0)
    check_number("hop", hop, above=0)
    with open_video(source, fps) as reader:
        done = 0
        for attempt in range(2):
            try:
                for found in _read(converter, reader, window, hop, done):
                    yield found
                    done += 1
                return
            except IndexChanged:
                # The index is right from here on; frames that were yielded were those it named.
                if attempt:
                    raise


def _read(
    converter: VideoConverter, reader: Reader, window: float, hop: float, done: int
) -> Generator[ClipOfWindow, None, None]:
    edges = reader.edges
    if edges is None:
        raise VideoError(
            reader.path,
            "nothing says its frames per second, which windows in seconds need: pass fps, or on "
            "the command line --fps",
        )
    times = window_times(float(edges[-1]), window, hop)[done:]
    rows = np.empty((len(times), converter.num_frames), "int64")
    for place, (start, end) in enumerate(times.tolist()):
        [rows[place]] = converter.frame_indices(reader, start, end)
    wanted = np.unique(rows).tolist()
    height, width = converter.image_size
    kept: dict[int, np.ndarray] = {}
    place = 0
    for index, picture in reader.frames(wanted, converter.fit, converter.interpolation):
        [(top, left)] = spread_corners((picture.shape[0] - height, picture.shape[1] - width), 1)
        kept[index] = picture[top : top + height, left : left + width].copy()
        while place < len(rows) and rows[place].max() <= index:
            clip = np.stack([kept[frame] for frame in rows[place].tolist()])
            start, end = times[place].tolist()
            yield ClipOfWindow(start, end, clip)
            place += 1
            oldest = rows[place].min() if place < len(rows) else index + 1
            for frame in [frame for frame in kept if frame < oldest]:
                del kept[frame]
