"""One record of a shard as a video: where it lies, whether it is whole, and its frames."""

import os
import re
import zlib

from keras_mlp3d._utils.tf_example import parse_example
from keras_mlp3d.data.video import remote
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.frame_folder import JpegFrames

#: The most bytes of a record; nothing larger is written or read.
MAX_RECORD_BYTES = 2**30
#: Bytes before a record: its length, and the checksum of that.
HEADER_BYTES = 12
_RECORD = re.compile(r"(.+\.tfrecord)#([0-9]{1,18}),([0-9]{1,10}),([0-9a-f]{8})", re.DOTALL)


class ShardError(ValueError):
    """A shard that is not what its index says. It is no `VideoError`: nothing stands in for it.

    Attributes:
        path: The shard.
        reason: What is wrong with it.
    """

    def __init__(self, path, reason):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self):
        return f"cannot read the shard {self.path!r}: {self.reason}"


def record_path(shard, offset, length, crc32):
    """A record as the path of a video.

    Args:
        shard: The file.
        offset: Byte of it at which the record begins.
        length: Bytes of its content.
        crc32: Their checksum, that of `zlib.crc32`, as eight hexadecimal digits.
    """
    return f"{shard}#{offset},{length},{crc32}"


def is_record(path):
    """Whether a path is one that `record_path` gave."""
    return _RECORD.fullmatch(os.fsdecode(path)) is not None


def shard_of(path):
    """The shard that holds a record, or the path as it is."""
    match = _RECORD.fullmatch(path)
    return match[1] if match else path


def open_record(path):
    """The reader of a record, for `open_video`."""
    path = os.fsdecode(path)
    features = read_record(path)
    if features.get("video"):
        return FileReader(path, features["video"][0])
    return RecordFrames(path, features.get("frames", []), features.get("fps", [None])[0])


def read_record(path):
    """The features of a record, its checksum compared.

    Args:
        path: What `record_path` gave.

    Raises:
        ShardError: The shard does not hold that record whole and unaltered.
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
        raise ShardError(shard, f"it was altered: the checksum of the record at byte {offset} "
                                "differs")  # fmt: skip
    try:
        return parse_example(data)
    except ValueError as error:
        raise ShardError(shard, f"the record at byte {offset} is {error}") from error


def _read(shard, offset, length):
    if remote.is_remote(shard):
        return remote.read_bytes(shard, offset, length)
    with open(shard, "rb", buffering=0) as file:
        # Allocated by what is there, not by what a path says.
        there = os.fstat(file.fileno()).st_size - offset
        if there <= 0:
            return b""
        file.seek(offset)
        return file.read(min(length, there))


class RecordFrames(JpegFrames):
    """The JPEG pictures of a record, as a folder of them is read. All have one size.

    Args:
        path: The record.
        pictures: Bytes of each, in order.
        fps: Frames per second, or None.
    """

    def __init__(self, path, pictures, fps):
        if not pictures:
            raise VideoError(path, "it holds no frames")
        self._pictures = pictures
        super().__init__(path, len(pictures), fps)

    def picture_bytes(self, index):
        """The bytes of a picture."""
        return self._pictures[index]

    def picture_name(self, index):
        """What errors call a picture."""
        return f"picture {index + 1}"
