"""Sources of a video: a file, a folder, a remote address, bytes, or frames in memory."""

import dataclasses
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.remote import MAX_REMOTE_BYTES, is_remote, read_bytes
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.container import VideoError, checked_path
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.frame_folder import FrameFolder
from keras_mlp3d.data.video.packets import Watch
from keras_mlp3d.data.video.reader import Reader
from keras_mlp3d.data.video.records import is_record, open_record

#: Endings of video files, for the search in a folder.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".vob", ".flv", ".wmv", ".asf", ".ogv", ".gif"),
)
_KINDS = (
    "a path, bytes, a binary file object, or frames: a uint8 array (T, H, W, 3) or a list of uint8 "
    "arrays (H, W, 3)"
)
_MAX_DEPTH = 4  # of lazy sources that load lazy sources
# If several threads read one file object, each reads it whole, one after the other.
_file_lock = threading.Lock()


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Frames in memory, with their rate and a name.

    Args:
        frames: uint8 `(T, H, W, 3)`, RGB, or a list of uint8 `(H, W, 3)` of one size. They are not
            copied, so they must not change while they are read.
        fps: Frames per second, or None: times in seconds are then unknown.
        name: Name of the video in results and errors.

    Raises:
        ValueError: If the frames are not as above, there are none, or `fps` is no positive number.

    Example:

    >>> last_seconds = [np.zeros((48, 64, 3), "uint8") for _ in range(50)]
    >>> Frames(last_seconds, fps=25, name="camera")
    Frames(50 x 48 x 64, fps=25, name='camera')
    """

    frames: Any
    fps: float | None = None
    name: str = "frames"

    def __post_init__(self):
        object.__setattr__(self, "frames", _checked_frames(self.frames))
        _check_fps(self.fps)

    def __repr__(self) -> str:
        height, width = self.frames[0].shape[:2]
        size = f"{len(self.frames)} x {height} x {width}"
        return f"Frames({size}, fps={self.fps}, name={self.name!r})"


@dataclasses.dataclass(frozen=True)
class LazySource:
    """A video that is fetched when it is read, such as one in a row of a table.

    Args:
        name: Name of the video in results and errors.
        load: Function without arguments that returns any other source.

    Example:

    >>> frames = np.zeros((10, 48, 64, 3), "uint8")
    >>> with open_video(LazySource("row 7", lambda: frames)) as video:
    ...     video.num_frames
    10
    """

    name: str
    load: Callable[[], Any] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Watched:
    """A video file whose decoding something watches, and may end.

    Args:
        path: The file.
        watch: Function that gets the list of decoded frames of each packet, perhaps an empty one.
            It ends the decoding by a `VideoError`. Threads that decode parts of the file call it.

    Example:

    >>> Watched("a.mp4", lambda frames: None)
    Watched(path='a.mp4')
    """

    path: StrPath
    watch: Watch = dataclasses.field(repr=False)


def is_path(source: Any) -> bool:
    """Return whether a source is a path: a string or a PathLike."""
    return isinstance(source, (str, os.PathLike))


def is_frames(source: Any) -> bool:
    """Return whether a source is frames in memory: an array, a list of arrays, or `Frames`."""
    if isinstance(source, (list, tuple)):
        return bool(source) and all(_rank(item) == 3 for item in source)
    return isinstance(source, Frames) or _rank(source) is not None


def is_source(source: Any) -> bool:
    """Return whether the type of an object is one that `open_video` takes."""
    content = isinstance(source, (bytes, bytearray, memoryview, LazySource, Watched))
    return is_path(source) or content or is_frames(source) or callable(getattr(source, "read", 0))


def source_name(source: Any) -> str:
    """Return the name of a source in results and errors: its path, or its kind.

    Args:
        source: Any source that `open_video` takes.

    Example:

    >>> source_name("a.mp4"), source_name(b"..."), source_name(np.zeros((4, 8, 8, 3), "uint8"))
    ('a.mp4', 'bytes', 'frames')
    """
    if is_path(source):
        return os.fsdecode(source)
    if isinstance(source, Watched):
        return os.fsdecode(source.path)
    if isinstance(source, (Frames, LazySource)):
        return source.name
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "bytes"
    if is_frames(source):
        return "frames"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else "file object"


def open_video(source: Any, fps: float | None = None, threads: int | None = 1) -> Reader:
    """Open a video with the reader that fits.

    Args:
        source: A path (a video file, a folder of numbered JPEG pictures, a record of a shard, or a
            remote address); bytes of a video file; a binary file object, which is read from its
            beginning if it can seek; frames in memory, an array or a list of arrays; `Frames`; a
            `LazySource`; or a `Watched` file.
        fps: Frames per second of a source that has none: frames or a folder of pictures.
        threads: Largest number of threads that decode frames of a long file. None: as many as there
            are processors, at most eight, for all calls of the process together.

    Returns:
        `Reader`, a context manager.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read.
        ValueError: If it is no source, `fps` is given for a video file, or `threads` is wrong.
    """
    _check_fps(fps)
    if threads is not None:
        check_integer("threads", threads)
    for _ in range(_MAX_DEPTH):
        if not isinstance(source, LazySource):
            break
        source = _loaded(source)
    if is_frames(source):
        if not isinstance(source, Frames):
            return FramesReader(Frames(source, fps))
        return FramesReader(source if fps is None else dataclasses.replace(source, fps=fps))
    if is_path(source) and not is_remote(source) and os.path.isdir(source):
        return FrameFolder(source, fps)
    if fps is not None:
        raise ValueError(
            f"fps must be None for {source_name(source)!r}, which has a clock of its own, "
            f"got {fps!r}."
        )
    if isinstance(source, Watched):
        return FileReader(checked_path(source.path), threads=threads, watch=source.watch)
    if is_path(source):
        return _open_path(source, threads)
    return FileReader(source_name(source), _content(source), threads)


def _open_path(path, threads):
    if is_record(path):
        return open_record(path, threads)
    path = os.fspath(path)
    if not is_remote(path):
        return FileReader(checked_path(path), threads=threads)
    try:
        return FileReader(path, read_bytes(path), threads)
    except OSError as error:
        raise VideoError(path, str(error)) from error


def _loaded(source):
    try:
        return source.load()
    except VideoError:
        raise
    except Exception as error:
        raise VideoError(source.name, f"it cannot be fetched ({error})") from error


def _content(source):
    """Return the bytes of a video file, given or read from a file object."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        if not len(source):
            raise VideoError(source_name(source), "it is empty")
        return source if isinstance(source, bytes) else bytes(source)
    if not callable(getattr(source, "read", None)):
        raise ValueError(f"a video must be {_KINDS}, got {source!r:.80}.")
    name = source_name(source)
    try:
        with _file_lock:
            can_seek = bool(getattr(source, "seekable", lambda: False)())
            place = source.tell() if can_seek else None
            if can_seek:
                source.seek(0)
            content = source.read(MAX_REMOTE_BYTES + 1)
            if can_seek:
                source.seek(place)
    except (OSError, ValueError) as error:
        raise VideoError(name, f"it cannot be read ({error})") from error
    if not isinstance(content, bytes):
        kind = type(content).__name__
        raise ValueError(f"a file object must give bytes, got one that gives {kind}.")
    if len(content) > MAX_REMOTE_BYTES:
        raise VideoError(name, f"it has more than {MAX_REMOTE_BYTES} bytes")
    if not content:
        raise VideoError(name, "it is empty, or has been read already and cannot seek")
    return content


class FramesReader(Reader):
    """Reads frames in memory like a video file.

    Args:
        source: `Frames`.
    """

    def __init__(self, source: Frames):
        super().__init__(source.name)
        self._arrays, self.fps = source.frames, source.fps
        self.promised = len(self._arrays)
        self._size = self._arrays[0].shape[1::-1]

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._arrays)

    def _frames(self, indices):
        for index in range(self.num_frames) if indices is None else indices:
            yield index, self._arrays[index]

    def _picture(self, frame, fit, interpolation):
        size = frame.shape[:2]
        wanted = size if fit is None else fit(size)
        if wanted == size:
            return frame
        return self._scaler.resize(np.ascontiguousarray(frame), *wanted, interpolation)


def _checked_frames(frames):
    """Return frames as one array, or as a list of arrays of one size."""
    if isinstance(frames, (list, tuple)):
        arrays = [np.asarray(frame) for frame in frames]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ValueError(f"frames must have one size, got {sorted(shapes)[:3]}.")
        shape = (len(arrays), *(arrays[0].shape if arrays else ()))
        kinds = {array.dtype for array in arrays}
    else:
        arrays = np.asarray(frames)
        shape, kinds = arrays.shape, {arrays.dtype}
    if len(shape) != 4 or shape[3] != 3 or kinds != {np.dtype("uint8")}:
        kinds = " and ".join(sorted(map(str, kinds))) or "nothing"
        raise ValueError(
            "frames must be a uint8 array (frames, height, width, 3), RGB, or a list of uint8 "
            f"(height, width, 3), got shape {shape} of {kinds}."
        )
    if 0 in shape:
        raise ValueError(f"frames must hold at least one frame and pixel, got shape {shape}.")
    return arrays


def _check_fps(fps):
    if fps is not None:
        check_number("fps", fps, above=0)


def _rank(value):
    """Return the number of axes of an array, or None for anything else."""
    if isinstance(value, (bytes, bytearray, memoryview, str)):
        return None
    shape = getattr(value, "shape", None)
    return len(shape) if isinstance(shape, tuple) or hasattr(shape, "__len__") else None


class _Nowhere:
    """A file that keeps nothing."""

    @staticmethod
    def write(data: bytes) -> int:
        """Discard bytes."""
        return len(data)


def check_sendable(sources: Sequence[LazySource]) -> None:
    """Raise an error for sources that cannot be sent to another process.

    Args:
        sources: Sources of one manifest.

    Raises:
        TypeError: Names the first of them that cannot be pickled.

    Example:

    >>> check_sendable([])
    """
    from multiprocessing.reduction import ForkingPickler  # the import takes time

    try:
        ForkingPickler(_Nowhere()).dump(sources)
    except Exception as error:
        for source in sources if len(sources) > 1 else ():
            check_sendable([source])
        name = sources[0].name if sources else ""
        raise TypeError(
            f"the video {name!r} cannot be sent to another process ({error}). Its LazySource can "
            "if its load is an object of a class, or a functools.partial of a function, at the "
            "top of a module. Or load with threads only, or with processes that are forked."
        ) from error
