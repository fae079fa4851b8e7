"""Encodes RGB arrays as JPEG pictures with FFmpeg."""

import fractions
from collections.abc import Iterator, Sequence

import av
import numpy as np

from keras_mlp3d.data.video.frame_folder import JpegFrames
from keras_mlp3d.data.video.pictures import Scaler, covering_size
from keras_mlp3d.data.video.reader import Reader


def jpegs(
    reader: Reader, indices: Sequence[int], short_side: int | None, quality: int
) -> Iterator[bytes]:
    """Yield the JPEG bytes of frames, all of one size.

    Pictures of a folder that already have that size are copied.

    Args:
        reader: An open video.
        indices: Frame numbers in ascending order.
        short_side: Short side in pixels to which larger frames are reduced, or None to keep their
            size.
        quality: FFmpeg's quantizer, from 1, the best, to 31.
    """
    encoder = None
    for _, picture in reader.frames(indices):
        size = picture.shape[:2]
        if short_side is not None and min(size) > short_side:
            size = covering_size(size, (short_side, short_side))
        own = reader.last_jpeg() if isinstance(reader, JpegFrames) else None
        if own is not None and size == picture.shape[:2]:
            yield own
            continue
        encoder = encoder or JpegEncoder(size, quality)
        yield encoder(picture)


class JpegEncoder:
    """Encodes RGB pictures as JPEG, with half the chroma resolution, as in videos.

    Args:
        size: `(height, width)` to which pictures are resized.
        quality: FFmpeg's quantizer, from 1, the best, to 31.
    """

    def __init__(self, size: tuple[int, int], quality: int):
        self._size, self._scaler = size, Scaler()
        self._codec = av.CodecContext.create("mjpeg", "w")
        self._codec.height, self._codec.width = size
        self._codec.pix_fmt, self._codec.time_base = "yuvj420p", fractions.Fraction(1, 25)
        self._codec.qmin = self._codec.qmax = quality
        self._codec.thread_count = 1
        self._time = 0

    def __call__(self, picture: np.ndarray) -> bytes:
        frame = self._scaler.for_jpeg(picture, *self._size)
        frame.pts = self._time
        self._time += 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
