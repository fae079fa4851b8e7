"""Reads video files: what they hold, and their frames as 8-bit RGB arrays."""

import dataclasses
import logging

import numpy as np

from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.sources import open_video

__all__ = ["VideoError", "VideoInfo", "probe_video", "read_video"]

_logger = logging.getLogger("keras_mlp3d")


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Args:
        num_frames: Frames stored in the stream: its packets are counted, for headers lie. Where a
            file is damaged, or its codec stores hidden pictures (VP8), fewer decode.
        fps: Mean frames a second, or `None` where the file does not say.
        height: Pixels of the picture as `read_video` gives it: after rotation, stored pixels (the
            sample aspect ratio is not applied).
        width: As `height`.
        codec: FFmpeg's name of the codec, such as `"h264"`.
        rotation: Degrees, counter-clockwise, that the file asks for and that are applied: -90, 0,
            90 or 180.

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


def probe_video(path):
    """Tells what a video file holds: its packets are counted and its first frame is decoded.

    Args:
        path: The file, or a folder of JPEG pictures numbered without a gap (`00001.jpg`, ...).

    Returns:
        A `VideoInfo`.

    Raises:
        FileNotFoundError: There is no such file.
        VideoError: It cannot be opened, has no video stream, or nothing of it decodes.

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
    VideoInfo(num_frames=10, fps=25.0, height=48, width=64, codec='mpeg4', rotation=0)
    """
    with open_video(path) as video:
        height, width, rotation = video.layout
        return VideoInfo(video.num_frames, video.fps, height, width, video.codec, rotation)


def read_video(path, indices=None, *, max_bytes=4 * 2**30):
    """Reads frames of a video as 8-bit RGB, with the file's rotation applied.

    Of several video streams the one marked as default is read, else the first; cover pictures do
    not count. Colours follow the file's own matrix and range (FFmpeg's assumptions where it is
    silent), whatever its bit depth. Only frames asked for become RGB, and stretches between key
    frames that none of them needs are not decoded; the result is the same to the bit. Damage in
    a stretch that is passed over goes unnoticed.

    Args:
        path: The file, or a folder of JPEG pictures numbered without a gap (`00001.jpg`, ...).
            Playlists and other files that name further files are refused.
        indices: Frame numbers in order of presentation, in any order, repeated at will. By
            default all frames; where the file is damaged, those before the damage, and a warning
            is logged to `keras_mlp3d`.
        max_bytes: The most bytes the returned array may take.

    Returns:
        `(frames, fps)`: uint8 `(T, H, W, 3)`, and frames a second or `None` where the file does
        not say. A picture of another size than the first is scaled to it.

    Raises:
        FileNotFoundError: There is no such file.
        VideoError: It cannot be opened, has no video stream, nothing of it decodes, an index is
            out of range or beyond the damage, its pictures are larger than 8192 x 8192 pixels in
            area, or the result would pass `max_bytes`.

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
    with open_video(path) as video:
        if indices is None:
            return _read_all(video, max_bytes), video.fps
        indices = _checked_indices(video, indices)
        distinct, places = np.unique(indices, return_inverse=True)
        frames = _allocate(video, len(indices), max_bytes)[: len(distinct)]
        for row, (_, picture) in enumerate(video.frames(distinct.tolist())):
            frames[row] = picture
        if len(distinct) == len(indices) and (places[:-1] <= places[1:]).all():
            return frames, video.fps
        return frames[places], video.fps


def _read_all(video, max_bytes):
    frames, count = _allocate(video, video.num_frames, max_bytes), 0
    for count, (_, picture) in enumerate(video.frames(), start=1):
        if count > len(frames):
            # A packet may hold two pictures (packed MPEG-4 in old AVI files).
            frames = np.concatenate([frames, _allocate(video, 2 * count, max_bytes)[:count]])
        frames[count - 1] = picture
    if video.damage:
        _logger.warning(
            "%s is damaged: %d of its %d frames were read; %s",
            video.path, count, video.num_frames, video.damage,
        )  # fmt: skip
    return frames[:count]


def _allocate(video, num_frames, max_bytes):
    height, width, _ = video.layout
    num_bytes = num_frames * height * width * 3
    if num_bytes > max_bytes:
        raise VideoError(
            video.path,
            f"{num_frames} frames of {height} x {width} take {num_bytes} bytes, over `max_bytes` "
            f"({max_bytes}); ask for fewer with `indices`",
        )
    return np.empty((num_frames, height, width, 3), "uint8")


def _checked_indices(video, indices):
    """`indices` as a 1-D int64 array within the frames of the open `video`."""
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            "`indices` must be a flat sequence of whole numbers, received "
            f"shape {array.shape} of {array.dtype}"
        )
    wrong = array[(array < 0) | (array >= video.num_frames)]
    if wrong.size:
        raise VideoError(
            video.path,
            f"frame {wrong[0]} was asked for, and its frames are 0 to {video.num_frames - 1}",
        )
    return array.astype("int64")
