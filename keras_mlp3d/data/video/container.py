"""Opens a video file safely: which files may be read, how large their pictures may be."""

import errno
import io
import itertools
import os
from collections.abc import Iterator
from typing import Any

import av
from av.stream import Disposition

from keras_mlp3d._utils.types import StrPath

MAX_PIXELS = 8192 * 8192
_MAX_LATE_STREAMS = 1000
_MAX_GUESSED_RATE = 240

# The parts of MP4 and QuickTime files in which FFmpeg finds the tables of samples, and the kinds of
# which the first part of such a file may be.
_OUTER = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
_FIRST = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot")
# So many parts a file may have, or more if it is long: a header has 8 bytes, and few are empty.
_MANY_BOXES, _BYTES_PER_BOX = 2**17, 12
_MAX_UNBACKED = 2**20  # samples that need no bytes in a table

# Demuxers that read the given file only. Playlists, image sequences and scripts (hls, dash, concat,
# image2, avisynth, ...) name other files and addresses, so they are left out. The audio demuxers
# are here so that the error can say that there is no video.
_CONTAINERS = (
    "mov,matroska,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,gif,h264,hevc,m4v,ivf,obu,av1,mxf,nut,rm,"
    "dv,yuv4mpegpipe,wtv,swf,mjpeg,mp3,wav,flac,aac"
)
_OPTIONS = {
    "format_whitelist": _CONTAINERS,
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_PIXELS),
}


class VideoError(ValueError):
    """A video file that cannot be read as asked.

    Attributes:
        path: The file.
        reason: What is wrong with it.
        num_decodable: Number of frames that decode if the error is that there are too few, else
            None.
    """

    def __init__(self, path: StrPath, reason: str, num_decodable: int | None = None):
        super().__init__(path, reason, num_decodable)  # all of them, so that it can be pickled
        self.path, self.reason, self.num_decodable = path, reason, num_decodable

    def __str__(self) -> str:
        return f"cannot read the video {str(self.path)!r}: {self.reason}"


def why(error: BaseException) -> str:
    """Return FFmpeg's text of an error, without the number and the file name."""
    return getattr(error, "strerror", None) or str(error)


def checked_path(path: StrPath) -> str:
    """Return the path of a regular file as a string, or raise the error that fits."""
    path = os.fspath(path)
    if os.path.isdir(path):
        raise VideoError(path, "it is a directory, not a video file")
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, "no such video file", path)
    if not os.path.isfile(path):
        raise VideoError(path, "it is not a regular file")
    return path


def check_size(path: StrPath, width: int, height: int) -> None:
    """Raise a `VideoError` for pictures that would take too much memory."""
    if width * height > MAX_PIXELS:
        raise VideoError(
            path, f"its pictures are {width} x {height}, more than {MAX_PIXELS} pixels are refused"
        )


def open_stream(
    path: str, data: bytes | None = None, is_strict: bool = False, max_pixels: int = MAX_PIXELS
) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Open a video file and return the container and its video stream, ready to be decoded.

    Of several video streams, it takes the one that FFmpeg rates best, as players do: the default
    one, then the one of the highest bit rate and number of frames. Cover pictures are ignored.

    Args:
        path: The file.
        data: Its content, or None to read the file.
        is_strict: Whether the decoder raises an error for damage, instead of filling it from other
            pictures.
        max_pixels: Largest number of pixels of a picture that the decoder takes.
    """
    try:
        with open(path, "rb", buffering=0) if data is None else io.BytesIO(data) as file:
            _check_tables(path, file)
        source = "file:" + path if data is None else io.BytesIO(data)
        container: Any = av.open(source, options=_OPTIONS)
    except VideoError:
        raise
    except Exception as error:
        raise VideoError(path, f"it cannot be opened as a video ({why(error)})") from error
    try:
        covers = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [s for s in container.streams.video if not s.disposition & covers]
        if not streams:
            raise VideoError(path, "it has no video stream")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        codec = stream.codec_context
        if codec is None:
            raise VideoError(path, "no decoder is known for its video stream")
        check_size(path, codec.width, codec.height)
        codec.options = {"max_pixels": str(max_pixels)}
        if is_strict:
            codec.options |= {"err_detect": "explode"}
        codec.thread_count = 1  # several clips are decoded at a time, in a thread each
    except VideoError:
        container.close()
        raise
    except Exception as error:
        container.close()
        raise VideoError(path, f"it cannot be opened as a video ({why(error)})") from error
    return container, stream


def _check_tables(path, file):
    """Refuse an MP4 file whose tables claim more samples than it can hold.

    Where all samples have one size, a few bytes claim any number of them, and FFmpeg makes an entry
    for each when it opens the file.
    """
    length = file.seek(0, os.SEEK_END)
    samples, size, tables = 0, 0, {}
    most = max(_MANY_BOXES, length // _BYTES_PER_BOX)
    for number, (kind, start, stop) in enumerate(_boxes(file, length)):
        if number == most:
            raise VideoError(path, f"it has more than {most} parts in {length} bytes")
        file.seek(start)
        head = file.read(20)
        first, second = (int.from_bytes(head[n : n + 4], "big") for n in (4, 8))
        if kind == b"stbl":
            tables = {}  # those of one track
        elif kind == b"stts":
            # One sample a tick: sound without compression, of which FFmpeg makes one entry a chunk.
            tables["plain"] = first == 1 and int.from_bytes(head[12:16], "big") == 1
        elif kind == b"stsc":
            file.seek(start + 8)
            runs = file.read(min(12 * first, stop - start - 8))
            lengths = (int.from_bytes(runs[n + 4 : n + 8], "big") for n in range(0, len(runs), 12))
            tables["chunk"] = max(lengths, default=0)
        elif kind in (b"stco", b"co64"):
            tables["chunks"] = first
        elif kind == b"stsz" and first:
            tables["samples"], tables["size"] = second, first
        elif kind == b"trun":
            fields = (int.from_bytes(head[1:4], "big") >> 8 & 0xF).bit_count()
            if not fields or 4 * fields * first > stop - start:
                samples, size = samples + first, size + first
        if tables.keys() >= {"plain", "chunk", "chunks", "samples"}:
            count, each = tables.pop("samples"), tables["size"]
            if tables["plain"]:
                count, each = tables["chunk"] * tables["chunks"] // 1024, 1024 * each
            samples, size = samples + count, size + count * each
        if samples > _MAX_UNBACKED and size > length:
            raise VideoError(
                path, f"its tables claim {samples} samples, more than its {length} bytes can hold"
            )


def _boxes(file, length):
    """Yield `(kind, start, stop)` of the parts of an MP4 file, and of those within `_OUTER`."""
    parts = [(0, length)]
    for number in itertools.count():
        while parts and parts[-1][0] + 8 > parts[-1][1]:
            parts.pop()
        if not parts:
            return
        place, end = parts.pop()
        file.seek(place)
        header = file.read(16)
        kind, size, header_size = header[4:8], int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, header_size = int.from_bytes(header[8:16], "big"), 16
        if number == 0 and kind not in _FIRST:
            return
        stop = end if size == 0 else min(place + size, end)
        if stop < place + header_size:
            continue
        parts.append((stop, end))
        yield kind, place + header_size, stop
        if kind in _OUTER:
            parts.append((place + header_size, stop))


def frame_rate(stream: av.VideoStream) -> float | None:
    """Return the mean frames per second that the container says or FFmpeg guesses, or None."""
    for rate in (stream.average_rate, stream.guessed_rate):
        # One frame per tick of a fine clock means that the rate is unknown.
        is_tick = rate and stream.time_base and rate * stream.time_base >= 1
        if rate and rate > 0 and not (is_tick and rate > _MAX_GUESSED_RATE):
            return float(rate)
    return None


def packets_of(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet]:
    """Yield the packets of a stream that are not empty.

    PyAV raises IndexError when another stream appears midway; reading continues after it.
    """
    for _ in range(_MAX_LATE_STREAMS):
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
            return
        except IndexError:
            continue
