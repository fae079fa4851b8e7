"""One labeled video of a data set: a file, bytes, or frames in memory."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Hashable
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.remote import MAX_REMOTE_BYTES, is_remote
from keras_mlp3d.data.video.sources import Frames, LazySource, is_frames, is_path, source_name


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class VideoRow:
    """One labeled video, or a part of one.

    Two rows are equal if their videos are equal; for videos in memory, bytes or pixels are
    compared.

    Args:
        path: The file, a folder of numbered JPEG frames, or a record of a shard, as in the result
            of `read_shards`. A path with `://` is remote and not changed. It may also be a video
            that is no file: the bytes of one, a binary file object (it is read now, and `path`
            becomes its bytes), frames as a uint8 array `(T, H, W, 3)` or a list of `(H, W, 3)`,
            `data.Frames`, or a `data.video.sources.LazySource`. They must not change afterwards.
        label: Index of the class, from 0. For a video with several labels, or none, a tuple of the
            indices of its classes, none twice; it is stored in ascending order.
        start: Second of the video at which the part begins. Defaults to the video's beginning.
        end: Second at which the part ends. Defaults to the video's end.

    Attributes:
        name: The path, or, for a video in memory, its kind and the beginning of its SHA-256.
        content: None for a path, else the SHA-256 of the bytes, or of the pixels, the shape and the
            rate. For a `LazySource`, which is not fetched for this, that of its name.

    Raises:
        ValueError: If an argument is not as above, or `end` is not after `start`.

    Example:

    >>> VideoRow("run/a.mp4", 1, end=2)
    VideoRow(path='run/a.mp4', label=1, start=None, end=2.0)
    >>> VideoRow(np.zeros((2, 4, 4, 3), "uint8"), 0).name
    'frames f58ee58398ae'
    """

    path: Any
    label: int | tuple[int, ...]
    start: float | None = None
    end: float | None = None

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "path", _checked_source(self.path))
        set_field(self, "label", _checked_label(self.label))
        for name in ("start", "end"):
            set_field(self, name, _seconds(name, getattr(self, name)))
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(f"end must be after start, got start {self.start} and end {self.end}.")

    @property
    def name(self) -> str:
        """Name of the video in errors and results."""
        path = self.path
        if isinstance(path, str):
            return path
        if isinstance(path, LazySource):
            return path.name
        return f"{source_name(path)} {self.content[:12]}"

    @functools.cached_property
    def content(self) -> str | None:
        """SHA-256 of a video in memory; None for a path."""
        return None if isinstance(self.path, str) else _sha256(self.path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VideoRow):
            return NotImplemented
        same = (self.label, self.start, self.end) == (other.label, other.start, other.end)
        return same and _are_same(self.path, other.path)

    def __hash__(self) -> int:
        path = self.path
        # Without the pixels: it must be quick, and equal for equal frames.
        key = path if isinstance(path, (str, bytes)) else source_name(path)
        return hash((key, self.label, self.start, self.end))

    def __repr__(self) -> str:
        path = repr(self.path) if isinstance(self.path, str) else f"<{source_name(self.path)}>"
        return f"VideoRow(path={path}, label={self.label}, start={self.start}, end={self.end})"


def source_key(row: VideoRow) -> Hashable:
    """Return a key that rows of the same source share: the path, or the identity in memory."""
    path = row.path
    if isinstance(path, str):
        return path if is_remote(path) else os.path.normpath(path)
    if isinstance(path, LazySource):
        return LazySource, path.name
    return id(path)


def row_id(row: VideoRow) -> Hashable:
    """Return a key of the video and the part: a manifest holds it once."""
    return source_key(row), row.start or None, row.end


def describe(row: VideoRow) -> str:
    """Return the video and the part of a row as text."""
    if row.start is None and row.end is None:
        return repr(row.name)
    start = 0.0 if row.start is None else row.start
    return f"{row.name!r} from {start} s to {'its end' if row.end is None else f'{row.end} s'}"


# Videos that are no files ----------------------------------------------------------------------


def _checked_label(label):
    """Return the index of a class, or the sorted indices of several classes."""
    if not isinstance(label, (tuple, list, set, frozenset)):
        return check_integer("label", label, 0)
    labels = tuple(sorted(check_integer("label", one, 0) for one in label))
    if len(set(labels)) < len(labels):
        raise ValueError(f"label must hold each class once, got {label!r}.")
    return labels


def _checked_source(source):
    """Return a path as a string; a video in memory in a form that can be read again."""
    if is_path(source):
        path = os.fspath(source)
        if not isinstance(path, str) or not path or "\0" in path:
            raise ValueError(f"path must name a file, got {source!r}.")
        return path
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _checked_bytes(bytes(source), "empty bytes")
    if isinstance(source, (LazySource, Frames)):
        return source
    if is_frames(source) or isinstance(source, (list, tuple)):
        try:
            return Frames(source).frames
        except ValueError as error:
            raise ValueError(f"path must be a video: {error}") from None
    if hasattr(source, "read"):
        return _checked_bytes(_read(source), "an empty file object")
    raise ValueError(
        "path must name a file or be a video (bytes, a binary file object, frames), got a "
        f"{type(source).__name__}"
    )


def _checked_bytes(content, what):
    if not content:
        raise ValueError(f"path must be a video, got {what}.")
    return content


def _read(file):
    """Return the content of a file object, from its beginning if it can seek."""
    if getattr(file, "seekable", bool)():
        file.seek(0)
    content = file.read(MAX_REMOTE_BYTES + 1)
    if not isinstance(content, bytes):
        raise ValueError(
            "path must be a binary file object (opened with 'rb'), got one that reads "
            f"{type(content).__name__}"
        )
    if len(content) > MAX_REMOTE_BYTES:
        raise ValueError(
            f"path must hold at most {MAX_REMOTE_BYTES} bytes if it is a file object, and "
            "holds more; give the file's name"
        )
    return content


def _are_same(one, other):
    """Return whether two sources are the same video."""
    if one is other:
        return True
    if isinstance(one, Frames) and isinstance(other, Frames):
        same = (one.fps, one.name) == (other.fps, other.name)
        return same and _are_same(one.frames, other.frames)
    kinds = (str, bytes, LazySource, np.ndarray, (list, tuple))
    if not any(isinstance(one, kind) and isinstance(other, kind) for kind in kinds):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(np.array_equal, one, other))
    return one == other


def _sha256(source):
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, LazySource):
        return hashlib.sha256(source.name.encode("utf-8", "surrogateescape")).hexdigest()
    fps = source.fps if isinstance(source, Frames) else None
    frames = source.frames if isinstance(source, Frames) else source
    digest = hashlib.sha256(f"{len(frames)} frames at {fps!r}\n".encode("ascii"))
    for frame in frames:
        digest.update(f"{frame.shape}\n".encode("ascii"))
        digest.update(np.ascontiguousarray(frame))
    return digest.hexdigest()


def _seconds(name, value):
    if value is None:
        return None
    return float(check_number(name, value, minimum=0))
