"""One record of a shard as a video: its place in the shard, its checksum, and its frames."""

import os
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils import remote
from keras_mlp3d._utils.tf_example import parse_example
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.frame_folder import JpegFrames
from keras_mlp3d.data.video.reader import Reader

#: Largest size of a record in bytes, for writing and reading.
MAX_RECORD_BYTES = 2**30
#: Bytes before a record: its length and the checksum of the length.
HEADER_BYTES = 12
_RECORD = re.compile(r"(.+\.tfrecord)#([0-9]{1,18}),([0-9]{1,10}),([0-9a-f]{8})", re.DOTALL)


class ShardError(ValueError):
    """A shard differs from its index.

    It is no `VideoError`: training does not replace a video of a broken shard by another video.

    Attributes:
        path: The shard.
        reason: What is wrong with it.
    """

    def __init__(self, path: str, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot read the shard {self.path!r}: {self.reason}"


def record_path(shard: str, offset: int, length: int, crc32: str) -> str:
    """Return a record as the path of a video.

    Args:
        shard: The file.
        offset: Byte at which the record begins.
        length: Size of its content in bytes.
        crc32: `zlib.crc32` of the content as eight hexadecimal digits.
    """
    return f"{shard}#{offset},{length},{crc32}"


def is_record(path: StrPath) -> bool:
    """Return whether a path is a result of `record_path`."""
    return _RECORD.fullmatch(os.fsdecode(path)) is not None


def shard_of(path: str) -> str:
    """Return the shard that holds a record, or the path itself if it is no record."""
    match = _RECORD.fullmatch(path)
    return match[1] if match else path


def open_record(path: StrPath, threads: int | None = 1) -> Reader:
    """Return the reader of a record, for `open_video`, which says what `threads` is."""
    path = os.fsdecode(path)
    features = read_record(path)
    if features.get("video"):
        return FileReader(path, features["video"][0], threads)
    return RecordFrames(
        path,
        features.get("frames", []),
        features.get("fps", [None])[0],
        features.get("times"),
        features.get("constant_rate") == [1],
    )


def read_record(path: str) -> dict[str, list[Any]]:
    """Return the features of a record after a comparison of its checksum.

    Args:
        path: Result of `record_path`.

    Raises:
        ShardError: If the shard does not hold the record, whole and unchanged.
    """
    shard, offset, length, crc32 = _RECORD.fullmatch(path).groups()
    offset, length = int(offset), int(length)
    if length > MAX_RECORD_BYTES:
        reason = f"a record of {length} bytes was asked for, more than {MAX_RECORD_BYTES}"
        raise ShardError(shard, reason)
    try:
        data = _read(shard, offset + HEADER_BYTES, length)
    except OSError as error:
        raise ShardError(shard, error.strerror or str(error)) from error
    if len(data) < length:
        raise ShardError(shard, f"it is truncated: it ends within the record at byte {offset}")
    if zlib.crc32(data) != int(crc32, 16):
        raise ShardError(shard, f"it was changed: the checksum of the record at byte {offset} "
                                "differs")  # fmt: skip
    try:
        return parse_example(data)
    except ValueError as error:
        raise ShardError(shard, f"the record at byte {offset} is {error}") from error


def _read(shard, offset, length):
    if remote.is_remote(shard):
        return remote.read_bytes(shard, offset, length)
    with open(shard, "rb", buffering=0) as file:
        # The file's size limits the memory, whatever length the path says.
        there = os.fstat(file.fileno()).st_size - offset
        if there <= 0:
            return b""
        file.seek(offset)
        return file.read(min(length, there))


class RecordFrames(JpegFrames):
    """The JPEG pictures of a record, read like a folder of pictures. All have one size.

    Args:
        path: The record.
        pictures: Bytes of the pictures, in order.
        fps: Mean frames per second, or None.
        times: Microseconds at which pictures begin and the last one ends, from 0 on. None if `fps`
            says them.
        is_even: Whether all pictures are shown equally long; with `times` alone.
    """

    def __init__(
        self,
        path: str,
        pictures: Sequence[bytes],
        fps: float | None,
        times: Sequence[int] | None = None,
        is_even: bool = True,
    ):
        if not pictures:
            raise VideoError(path, "it holds no frames")
        self._pictures, self._edges, self._is_even = pictures, None, is_even
        if times is not None:
            are_numbers = all(isinstance(time, int) for time in times)
            edges = np.array(times if are_numbers else [], "float64") / 1e6
            if len(edges) != len(pictures) + 1 or edges[0] or (np.diff(edges) < 0).any():
                raise VideoError(path, f"its times are not those of its {len(pictures)} frames")
            self._edges = edges
        super().__init__(path, len(pictures), fps)

    @property
    def edges(self) -> np.ndarray | None:
        """Seconds at which frames begin and the last one ends, float64 (frames + 1,), or None."""
        return super().edges if self._edges is None else self._edges[: self.num_frames + 1]

    @property
    def has_constant_rate(self) -> bool:
        """Whether all frames are shown equally long."""
        return self._edges is None or self._is_even

    def picture_bytes(self, index: int) -> bytes:
        """Return the bytes of a picture."""
        return self._pictures[index]

    def picture_name(self, index: int) -> str:
        """Return the name of a picture in errors."""
        return f"picture {index + 1}"
