"""Reads video files: their properties, and their frames as 8-bit RGB arrays."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.reader import with_right_index
from keras_mlp3d.data.video.sources import open_video

__all__ = ["VideoError", "VideoInfo", "frame_times", "probe_video", "read_video"]

_FIRST_FRAMES = 2**16  # allocated at first: a file may promise millions


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Properties of a video.

    Args:
        num_frames: Number of frames that decode. As headers may be wrong, a small file is decoded
            to count them, and a larger one if its packets do not say for sure.
        fps: Mean frames per second, or the container's guess, or None if unknown.
        height: Height in pixels of the pictures that `read_video` returns: after rotation, in
            stored pixels (the sample aspect ratio is not applied).
        width: Width in pixels, likewise.
        codec: FFmpeg's name of the codec, such as `"h264"`; `""` for frames in memory.
        rotation: Degrees, counter-clockwise, that the file asks for and that are applied: -90, 0,
            90 or 180.
        duration: Seconds from the beginning of the first frame to the end of the last, or None if
            unknown.

    Example:

    >>> VideoInfo(num_frames=60, fps=30.0, height=240, width=320, codec="h264", rotation=0).codec
    'h264'
    """

    num_frames: int
    fps: float | None
    height: int
    width: int
    codec: str
    rotation: int
    duration: float | None = dataclasses.field(default=None, compare=False)


def probe_video(path: Any, *, fps: float | None = None) -> VideoInfo:
    """Return the properties of a video.

    Args:
        path: As for `read_video`.
        fps: As for `read_video`.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be opened, has no video stream, or no frame decodes.

    Example:

    >>> import os, tempfile
    >>> import av, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "clip.mp4")
    ...     with av.open(path, "w") as file:
    ...         stream = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
    ...         for _ in range(10):
    ...             picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), "uint8"))
    ...             file.mux(stream.encode(picture))
    ...         file.mux(stream.encode(None))
    ...     probe_video(path)
    VideoInfo(num_frames=10, fps=25.0, height=48, width=64, codec='mpeg4', rotation=0, duration=0.4)
    """
    with open_video(path, fps) as video:
        height, width, rotation = video.layout
        edges = video.edges
        duration = None if edges is None else round(float(edges[-1]), 6)
        return VideoInfo(
            video.num_frames, video.fps, height, width, video.codec, rotation, duration
        )


def frame_times(path: Any, *, fps: float | None = None) -> np.ndarray | None:
    """Return the times at which the frames of a video are shown.

    They are the times in the file, which need not be equally far apart. Missing times are
    interpolated, and jumps of the clock are removed.

    Args:
        path: As for `read_video`.
        fps: As for `read_video`.

    Returns:
        float64 `(num_frames,)`: seconds, from 0 on, or None if unknown.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read.

    Example:

    >>> frame_times(np.zeros((4, 48, 64, 3), "uint8"), fps=8).tolist()
    [0.0, 0.125, 0.25, 0.375]
    """
    with open_video(path, fps) as video:
        return video.times


def read_video(
    path: Any,
    indices: ArrayLike | None = None,
    *,
    max_bytes: int = 4 * 2**30,
    fps: float | None = None,
    threads: int | None = None,
) -> tuple[np.ndarray, float | None]:
    """Read frames of a video as 8-bit RGB, with the file's rotation applied.

    Frame i is always the i-th frame of the decoded file: `read_video(path, [i])` equals
    `read_video(path)[i]` to the bit. Small files are therefore decoded whole. In larger files, the
    parts that no frame needs are skipped if the headers of the pictures say for sure which picture
    is which frame; damage in a skipped part is not noticed. Otherwise the file is decoded in order,
    and a warning is logged to `keras_mlp3d`, once.

    Of several video streams, the one that FFmpeg rates best is read; cover pictures are ignored.
    Colors follow the file's matrix and range, or FFmpeg's defaults, at any bit depth. Only frames
    asked for are converted to RGB.

    Args:
        path: A file; a folder of JPEG pictures numbered without a gap (`00001.jpg`, ...); a
            remote address; the bytes of a file; a binary file object; or frames in memory: a uint8
            array (T, H, W, 3), a list of arrays (H, W, 3), or `Frames`. Playlists and other files
            that name further files are refused.
        indices: Frame numbers, by the order in which frames are shown. They may have any order and
            repeat. Defaults to all frames; of a damaged file, those before the damage, and a
            warning is logged to `keras_mlp3d`.
        max_bytes: Largest size of the returned array in bytes.
        fps: Frames per second of a source that has none: frames in memory or a folder.
        threads: Largest number of threads that decode frames of a long file given by `indices`, 1
            where several videos are read at a time. Defaults to as many as there are processors,
            at most eight, for all such calls of the process together.

    Returns:
        `(frames, fps)`: uint8 `(T, H, W, 3)`, and frames per second, or None if unknown. Pictures
        of another size than the first are resized to its size.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If the file cannot be opened, has no video stream, or no frame decodes; if an
            index is out of range or beyond the damage; if its pictures have more than 8192 x 8192
            pixels; or if the result would take more than `max_bytes`.

    Example:

    >>> import os, tempfile
    >>> import av, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "clip.mp4")
    ...     with av.open(path, "w") as file:
    ...         stream = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
    ...         for value in range(0, 250, 25):
    ...             picture = np.full((48, 64, 3), value, "uint8")
    ...             file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
    ...         file.mux(stream.encode(None))
    ...     frames, fps = read_video(path, indices=[0, 9, 9])
    >>> frames.shape, str(frames.dtype), fps
    ((3, 48, 64, 3), 'uint8', 25.0)
    """
    with open_video(path, fps, threads) as video:
        if indices is None:
            return _read_all(video, max_bytes), video.fps
        return with_right_index(lambda: _read_some(video, indices, max_bytes)), video.fps


def _read_some(video, indices, max_bytes):
    indices = _checked_indices(video, indices)
    frames = _allocate(video, len(indices), max_bytes)
    rows = {}
    for row, index in enumerate(indices.tolist()):
        rows.setdefault(index, []).append(row)
    for index, picture in video.frames(sorted(rows)):
        frames[rows[index]] = picture
    return frames


def _read_all(video, max_bytes):
    """Read all frames that decode. A packet may hold no frame, or two."""
    frames, count = None, 0
    for count, (_, picture) in enumerate(video.frames(), start=1):
        if frames is None:
            frames = _allocate(video, min(video.promised or 1, _FIRST_FRAMES), max_bytes)
            most = max(max_bytes // picture.nbytes, 1)
        if count > len(frames):
            capacity = min(max(2 * len(frames), count), max(most, count))
            _check_bytes(video, capacity, max_bytes)
            # In place, so that memory holds one array of this size only.
            frames.resize((capacity, *frames.shape[1:]), refcheck=False)
        frames[count - 1] = picture
    frames.resize((count, *frames.shape[1:]), refcheck=False)
    return frames


def _allocate(video, num_frames, max_bytes):
    _check_bytes(video, num_frames, max_bytes)
    height, width, _ = video.layout
    return np.empty((num_frames, height, width, 3), "uint8")


def _check_bytes(video, num_frames, max_bytes):
    height, width, _ = video.layout
    num_bytes = num_frames * height * width * 3
    if num_bytes > max_bytes:
        raise VideoError(
            video.path,
            f"{num_frames} frames of {height} x {width} take {num_bytes} bytes, over max_bytes "
            f"({max_bytes}); ask for fewer with indices",
        )


def _checked_indices(video, indices):
    """Return `indices` as a 1-D int64 array of frames of the open video."""
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            "indices must be a flat sequence of integers, got "
            f"shape {array.shape} of {array.dtype}."
        )
    wrong = array[(array < 0) | (array >= video.num_frames)]
    if wrong.size:
        if wrong[0] >= 0 and video.promised is not None and wrong[0] < video.promised:
            raise video.too_few(video.num_frames)
        raise VideoError(
            video.path,
            f"frame {wrong[0]} was asked for, and its frames are 0 to {video.num_frames - 1}",
        )
    return array.astype("int64")
