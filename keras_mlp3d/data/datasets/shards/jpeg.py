"""JPEG pictures of RGB arrays, by FFmpeg's encoder."""

import fractions

import av

from keras_mlp3d.data.video.frame_folder import JpegFrames
from keras_mlp3d.data.video.pictures import Scaler, covering_size


def jpegs(reader, indices, short_side, quality):
    """Yields the JPEG bytes of frames, all of one size.

    The pictures of a folder that have that size already are taken as they are.

    Args:
        reader: An open video.
        indices: Rising frame numbers.
        short_side: Pixels of the short side, which larger frames are reduced to; None: kept.
        quality: FFmpeg's quantiser, from 1, the best, to 31.
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
    """Encodes RGB pictures as JPEG with half the chroma each way, as video has.

    Args:
        size: `(height, width)` that pictures are scaled to.
        quality: FFmpeg's quantiser, from 1, the best, to 31.
    """

    def __init__(self, size, quality):
        self._size, self._scaler = size, Scaler()
        self._codec = av.CodecContext.create("mjpeg", "w")
        self._codec.height, self._codec.width = size
        self._codec.pix_fmt, self._codec.time_base = "yuvj420p", fractions.Fraction(1, 25)
        self._codec.qmin = self._codec.qmax = quality
        self._codec.thread_count = 1
        self._time = 0

    def __call__(self, picture):
        frame = self._scaler.for_jpeg(picture, *self._size)
        frame.pts = self._time
        self._time += 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
