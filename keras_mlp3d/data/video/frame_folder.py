"""Reads a folder of numbered JPEG pictures like a video file."""

import logging
import os
import re
from typing import Any

import av
from av.error import InvalidDataError

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.container import MAX_PIXELS, VideoError, why
from keras_mlp3d.data.video.reader import IndexChanged, Reader

_logger = logging.getLogger("keras_mlp3d")

_NUMBERED = re.compile(r"([0-9]{1,9})\.jpe?g", re.IGNORECASE)
_MAX_PICTURE_BYTES = 64 * 2**20
_TAIL_BYTES = 4096  # of a picture's file, searched first for the marker of its end


class JpegFrames(Reader):
    """Base of videos whose frames are single JPEG pictures.

    A picture without an end, or one that does not decode, is damaged. The video then ends before
    it.

    Args:
        path: As for `Reader`.
        count: Number of pictures.
        fps: Frames per second, or None.
    """

    codec = "mjpeg"

    def __init__(self, path: str, count: int, fps: float | None = None):
        super().__init__(path)
        self.fps, self.promised = fps, count
        self._decoder = av.CodecContext.create("mjpeg", "r")
        self._decoder.options = {"max_pixels": str(MAX_PIXELS)}
        self._decoder.thread_count = 1
        self._num_frames: int | None = None
        self._last: Any = None

    def picture_bytes(self, index: int) -> bytes:
        """Return the bytes of a picture."""
        raise NotImplementedError

    def picture_name(self, index: int) -> str:
        """Return the name of a picture in errors."""
        raise NotImplementedError

    def picture_tail(self, index: int) -> bytes:
        """Return the last bytes of a picture."""
        return self.picture_bytes(index)[-_TAIL_BYTES:]

    @property
    def num_frames(self) -> int:
        """Number of pictures before the first damaged one."""
        if self._num_frames is None:
            self._num_frames = self.promised
            for index in range(self.promised):
                if not (_ends(self.picture_tail(index)) or _ends(self.picture_bytes(index))):
                    self._note_damage(index, f"{self.picture_name(index)} is no whole JPEG picture")
                    break
        return self._num_frames

    def last_jpeg(self) -> bytes | None:
        """Return the bytes of the last picture from `frames` if it has the video's size."""
        data, size = self._last
        return data if size == self._size else None

    def _first_frame(self):
        try:
            return self._decode(0)
        except VideoError:
            raise
        except Exception as error:
            self._note_damage(0, why(error))
            raise self.too_few(0) from error

    def _frames(self, indices):
        wanted = range(self.num_frames) if indices is None else indices
        for index in wanted:
            try:
                frame = self._decode(index)
            except VideoError:
                raise
            except Exception as error:
                self._note_damage(index, why(error))
                if not index:
                    raise self.too_few(0) from error
                if indices is None:
                    return
                raise IndexChanged from error
            yield index, frame
        if not self.num_frames:
            raise self.too_few(0)

    def _note_damage(self, index, reason):
        self._num_frames, self.damage = index, f"a frame cannot be decoded ({reason})"
        if index:
            _logger.warning(
                "%s: only the first %d of its %d frames can be decoded; %s",
                self.path, index, self.promised, self.damage,
            )  # fmt: skip

    def _decode(self, index):
        data, name = self.picture_bytes(index), self.picture_name(index)
        # FFmpeg completes a truncated picture without a warning.
        if not _ends(data):
            raise InvalidDataError(0, f"{name} is no whole JPEG picture")
        try:
            frames = self._decoder.decode(av.Packet(data)) if data else []
        except Exception as error:
            raise InvalidDataError(0, f"{name}: {why(error)}") from error
        if not frames:
            raise InvalidDataError(0, f"{name} holds no picture")
        self._last = data, (frames[0].width, frames[0].height)
        return frames[0]


class FrameFolder(JpegFrames):
    """A folder of pictures `00001.jpg`, `00002.jpg`, ..., numbered without gaps from any number on.

    Other files are ignored.

    Args:
        path: The folder.
        fps: Frames per second, or None if unknown.
    """

    def __init__(self, path: StrPath, fps: float | None = None):
        path = os.fspath(path)
        self._files = _numbered_files(path)
        super().__init__(path, len(self._files), fps)

    def picture_bytes(self, index: int) -> bytes:
        """Return the bytes of a picture."""
        with open(self._files[index], "rb") as picture:
            data = picture.read(_MAX_PICTURE_BYTES + 1)
        if len(data) > _MAX_PICTURE_BYTES:
            raise VideoError(
                self.path,
                f"its picture {self.picture_name(index)} has more than {_MAX_PICTURE_BYTES} bytes",
            )
        return data

    def picture_name(self, index: int) -> str:
        """Return the name of a picture's file."""
        return os.path.basename(self._files[index])

    def picture_tail(self, index: int) -> bytes:
        """Return the last bytes of a picture's file."""
        with open(self._files[index], "rb", buffering=0) as picture:
            picture.seek(max(os.fstat(picture.fileno()).st_size - _TAIL_BYTES, 0))
            return picture.read(_TAIL_BYTES)

    def _frames(self, indices):
        # Pictures may differ in size: all are resized to that of the first.
        if self.layout:
            yield from super()._frames(indices)


def _numbered_files(path):
    """Return the paths of a folder's pictures in order."""
    numbered = {}
    with os.scandir(path) as entries:
        for entry in entries:
            match = _NUMBERED.fullmatch(os.fsdecode(entry.name))
            if match is None or not entry.is_file():
                continue
            number = int(match[1])
            if number in numbered:
                raise VideoError(path, f"two of its pictures have the number {number}")
            numbered[number] = entry.path
    if not numbered:
        raise VideoError(path, "it is a directory without numbered JPEG pictures such as 00001.jpg")
    numbers = sorted(numbered)
    if numbers[-1] - numbers[0] >= len(numbers):
        gap = next(n for n in numbers if n + 1 not in numbered) + 1
        raise VideoError(path, f"number {gap} of its numbered pictures is missing")
    return [numbered[number] for number in numbers]


def _ends(data):
    """Return whether JPEG data has the marker of its end after the last marker of a start of data.

    A thumbnail has an end of its own, before the start of the picture's data.
    """
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
