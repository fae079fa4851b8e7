"""A video kept as a folder of numbered JPEG pictures, read as a video file is."""

import os
import re

import av
from av.error import FFmpegError, InvalidDataError

from keras_mlp3d.data.video.container import MAX_PIXELS, VideoError, why
from keras_mlp3d.data.video.reader import VideoReader

_NUMBERED = re.compile(r"([0-9]{1,9})\.jpe?g", re.IGNORECASE)
_MAX_PICTURE_BYTES = 64 * 2**20


class FrameFolder(VideoReader):
    """A folder of pictures `00001.jpg`, `00002.jpg`, ..., numbered from any number on, no gap.

    Other files are ignored. A folder does not say how many frames a second it shows: `fps` is
    None.
    """

    def _checked_path(self, path):
        return os.fspath(path)

    def _open(self):
        self._container = None
        self._decoder = av.CodecContext.create("mjpeg", "r")
        self._decoder.options = {"max_pixels": str(MAX_PIXELS)}
        self._decoder.thread_count = 1

    def _read_index(self):
        self.fps, self.codec, self._kept = None, "mjpeg", None
        numbered = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                match = _NUMBERED.fullmatch(os.fsdecode(entry.name))
                if match is None or not entry.is_file():
                    continue
                number = int(match[1])
                if number in numbered:
                    raise VideoError(self.path, f"two of its pictures have the number {number}")
                numbered[number] = entry.path
        if not numbered:
            raise VideoError(
                self.path, "it is a directory without numbered JPEG pictures such as 00001.jpg"
            )
        numbers = sorted(numbered)
        if numbers[-1] - numbers[0] >= len(numbers):
            gap = next(n for n in numbers if n + 1 not in numbered) + 1
            raise VideoError(self.path, f"number {gap} of its numbered pictures is missing")
        self._files = [numbered[number] for number in numbers]
        self.num_frames = len(self._files)

    def _decode(self, start=0):
        for file in self._files[start:]:
            yield self._decode_file(file)

    def _decode_skipping(self, indices):
        if not self.layout:
            return
        for index in indices:
            try:
                frame = self._decode_file(self._files[index])
            except FFmpegError:
                return  # reading from the first picture on tells how many there are until here
            yield frame

    def last_jpeg(self):
        """The bytes of the picture that `frames` gave last, if it has the video's size."""
        data, size = self._last
        return data if size == self._size else None

    def _decode_file(self, file):
        with open(file, "rb") as picture:
            data = picture.read(_MAX_PICTURE_BYTES + 1)
        name = os.path.basename(file)
        if len(data) > _MAX_PICTURE_BYTES:
            raise VideoError(
                self.path, f"its picture {name} has more than {_MAX_PICTURE_BYTES} bytes"
            )
        return self._decode_jpeg(data, name)

    def _decode_jpeg(self, data, name):
        # FFmpeg fills up a picture that is cut short, without a word. Both marks are unique in
        # the compressed data, and a thumbnail's stand before them.
        if data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda"):
            raise InvalidDataError(0, f"{name} is no whole JPEG picture")
        try:
            frames = self._decoder.decode(av.Packet(data)) if data else []
        except FFmpegError as error:
            raise InvalidDataError(0, f"{name}: {why(error)}") from error
        if not frames:
            raise InvalidDataError(0, f"{name} holds no picture")
        self._last = data, (frames[0].width, frames[0].height)
        return frames[0]
