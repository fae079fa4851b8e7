"""Opens a video file on guard: what may be read, how large its pictures may be, how it fails."""

import errno
import io
import os

import av
from av.stream import Disposition

MAX_PIXELS = 8192 * 8192
_MAX_LATE_STREAMS = 1000
_MAX_GUESSED_RATE = 240

# Demuxers that read the file at hand and nothing else. Playlists, image sequences and scripts
# (hls, dash, concat, image2, avisynth, ...) name other files and addresses, so they stay out; the
# audio ones are here so that the error can say what is missing.
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
        num_decodable: How many frames do decode, where the error is that there are too few;
            else `None`.
    """

    def __init__(self, path, reason, num_decodable=None):
        super().__init__(path, reason, num_decodable)  # all of them, so that it can be pickled
        self.path, self.reason, self.num_decodable = path, reason, num_decodable

    def __str__(self):
        return f"cannot read the video {str(self.path)!r}: {self.reason}"


def why(error):
    """FFmpeg's words for an error, without the number and the file name."""
    return getattr(error, "strerror", None) or str(error)


def checked_path(path):
    """The path of a regular file as a string, or the error that fits."""
    path = os.fspath(path)
    if os.path.isdir(path):
        raise VideoError(path, "it is a directory, not a video file")
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, "no such video file", path)
    if not os.path.isfile(path):
        raise VideoError(path, "it is not a regular file")
    return path


def check_size(path, width, height):
    """Refuses pictures that would take too much memory."""
    if width * height > MAX_PIXELS:
        raise VideoError(
            path, f"its pictures are {width} x {height}, more than {MAX_PIXELS} pixels are refused"
        )


def open_stream(path, data=None, is_strict=False):
    """The open container and its video stream, ready to be demuxed and decoded.

    Args:
        path: The file.
        data: Its content, or None: then the file is read.
        is_strict: Whether the decoder raises an error for damage that it would otherwise fill from
            other pictures.

    Of several video streams it is the one that FFmpeg deems best (marked as default, then the
    larger bit rate and number of frames), as players do; cover pictures do not count.
    """
    try:
        source = "file:" + path if data is None else io.BytesIO(data)
        container = av.open(source, options=_OPTIONS)
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
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        if is_strict:
            codec.options |= {"err_detect": "explode"}
        codec.thread_count = 1  # clips are decoded side by side, so each takes one thread
    except VideoError:
        container.close()
        raise
    except Exception as error:
        container.close()
        raise VideoError(path, f"it cannot be opened as a video ({why(error)})") from error
    return container, stream


def frame_rate(stream):
    """Mean frames per second, as far as the container says or guesses it, or None."""
    for rate in (stream.average_rate, stream.guessed_rate):
        # A frame per tick of a fine clock is no rate, but what is left when nothing is known.
        is_tick = rate and stream.time_base and rate * stream.time_base >= 1
        if rate and rate > 0 and not (is_tick and rate > _MAX_GUESSED_RATE):
            return float(rate)
    return None


def packets_of(container, stream):
    """The packets of a stream that hold something.

    A stream that appears midway makes PyAV raise IndexError; reading goes on behind it.
    """
    for _ in range(_MAX_LATE_STREAMS):
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
            return
        except IndexError:
            continue
