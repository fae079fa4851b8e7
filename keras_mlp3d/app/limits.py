"""What the page takes, and the sentence for what it refuses.

A file is checked before anything is decoded. Its header and packets do not say everything: later
pictures may be larger, and decoding may take long. So the limits hold while it is decoded, too.
"""

import collections
import dataclasses
import math
import os
import threading
import time
from typing import Any, NamedTuple

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.container import VideoError, open_stream, packets_of

#: Pixels of all pictures together: two minutes of 1920 x 1080 at 60 per second are fewer.
MAX_DECODED_PIXELS = 2**34

#: First bytes of pictures, after so many bytes -> the format's name.
_PICTURES = {
    (0, b"\x89PNG"): "PNG",
    (0, b"\xff\xd8\xff"): "JPEG",
    (0, b"BM"): "BMP",
    (0, b"II*\x00"): "TIFF",
    (0, b"MM\x00*"): "TIFF",
    (8, b"WEBP"): "WebP",
    (4, b"ftypheic"): "HEIC",
    (4, b"ftypavif"): "AVIF",
}


class Refused(ValueError):
    """A request that the page refuses. Its text is the sentence that the page shows."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of the page, per request.

    Args:
        max_bytes: Largest video file in bytes.
        max_seconds: Longest video in seconds.
        max_frames: Largest number of frames of a video.
        max_wait: Seconds after which a request gets no further scores, and its video is not decoded
            further. The scores that are there are shown.

    Raises:
        ValueError: If an argument is not a positive number.

    Example:

    >>> Limits(max_seconds=10).max_frames
    7200
    """

    max_bytes: int = 100_000_000
    max_seconds: float = 120.0
    max_frames: int = 7200
    max_wait: float = 60.0

    def __post_init__(self):
        check_integer("max_bytes", self.max_bytes)
        check_integer("max_frames", self.max_frames)
        check_number("max_seconds", self.max_seconds, above=0)
        check_number("max_wait", self.max_wait, above=0)

    def sentence(self) -> str:
        """Return what the page takes, in one sentence.

        Example:

        >>> Limits().sentence()
        'A video may have up to 100 MB, 120 seconds and 7,200 frames.'
        """
        return (
            f"A video may have up to {in_bytes(self.max_bytes)}, {self.max_seconds:g} seconds and "
            f"{self.max_frames:,} frames."
        )


class Stopped(VideoError, Refused):
    """The end of decoding at a limit: an error of the video for those who decode it."""

    def __str__(self) -> str:
        return self.reason


class Watch:
    """Ends the decoding of a video at the limits: called with the frames of each packet.

    Args:
        path: The file.
        until: Time of `time.monotonic` at which the decoding ends.

    Raises:
        Stopped: If the time is over, or the frames so far have more than `MAX_DECODED_PIXELS`. A
            frame that is decoded several times counts once.

    Example:

    >>> Watch("a.mp4", until=time.monotonic() - 1)([])
    Traceback (most recent call last):
    ...
    keras_mlp3d.app.limits.Stopped: The time for one video is over before it is decoded. ...
    """

    def __init__(self, path: str, until: float):
        self._path, self._until, self._pixels = path, until, 0
        self._seen: set[tuple[int, int]] = set()
        self._lock = threading.Lock()  # parts of a file are decoded in threads

    def __call__(self, frames: list[Any]) -> None:
        """Count the frames of a packet; `Stopped` at a limit."""
        if time.monotonic() > self._until:
            raise Stopped(
                self._path,
                "The time for one video is over before it is decoded. Try again in a while, or "
                "choose a shorter or smaller video.",
            )
        with self._lock:
            of_packet = collections.Counter[int]()  # a packet may hold several frames
            for frame in frames:
                if frame.pts is not None:
                    key = frame.pts, of_packet[frame.pts]
                    of_packet[frame.pts] += 1
                    if key in self._seen:
                        continue
                    self._seen.add(key)
                self._pixels += frame.width * frame.height
            if self._pixels > MAX_DECODED_PIXELS:
                raise Stopped(
                    self._path,
                    "The video has too many pixels: its pictures change their size, and those that "
                    f"were decoded have more than {MAX_DECODED_PIXELS:,}. Choose a shorter or "
                    "smaller video.",
                )


class VideoSize(NamedTuple):
    """How much a video file is to decode, by its packets.

    Args:
        frames: Number of packets.
        seconds: From the first packet to the end of the last.
    """

    frames: int
    seconds: float


def in_bytes(count: int) -> str:
    """Return a number of bytes as text, such as "100 MB".

    Example:

    >>> in_bytes(100_000_000), in_bytes(1_540_000), in_bytes(20)
    ('100 MB', '1.54 MB', '20 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{float(f'{count / unit:.3g}'):g} {name}"
    return f"{count} bytes"


def check_video(path: str, limits: Limits) -> VideoSize:
    """Check a file against the limits by its packets, none of which is decoded.

    Args:
        path: The file.
        limits: `Limits`.

    Returns:
        `VideoSize`

    Raises:
        Refused: If it is unreadable, empty, a picture, or more than the limits allow.
    """
    try:
        size = os.path.getsize(path)
    except OSError as error:
        raise Refused(f"The file cannot be read: {reason_of(error)}.") from error
    if not size:
        raise Refused("The file is empty: it has no bytes.")
    if size > limits.max_bytes:
        raise Refused(
            f"The file has {in_bytes(size)}; at most {in_bytes(limits.max_bytes)} are taken. "
            "Choose a shorter video."
        )
    try:
        container, stream = open_stream(path)
    except (VideoError, OSError) as error:
        kind = _picture_format(path)
        if kind:
            raise Refused(f"The file is a picture ({kind}), not a video.") from error
        raise Refused(f"The file is unreadable: {reason_of(error)}.") from error
    try:
        return _measured(container, stream, limits)
    finally:
        container.close()


def _measured(container, stream, limits):
    """Read the packets up to the first that breaks a limit."""
    count, first, last = 0, math.inf, -math.inf
    tick = float(stream.time_base or 0)
    pixels = stream.codec_context.width * stream.codec_context.height
    packets = packets_of(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except Exception:  # damage in the middle: what comes before it may be decoded
            packet = None
        if packet is None:
            break
        count += 1
        if count > limits.max_frames:
            raise Refused(
                f"The video has more than {limits.max_frames:,} frames, the most that are taken. "
                "Choose a shorter video."
            )
        if count * pixels > MAX_DECODED_PIXELS:
            raise Refused(
                f"The video has too many pixels: {count:,} of its pictures of "
                f"{stream.codec_context.width} x {stream.codec_context.height} are more than "
                f"{MAX_DECODED_PIXELS:,}. Choose a shorter or smaller video."
            )
        shown = packet.dts if packet.pts is None else packet.pts
        if shown is not None:
            first = min(first, shown * tick)
            last = max(last, (shown + (packet.duration or 0)) * tick)
        if last - first > limits.max_seconds:
            raise Refused(
                f"The video lasts more than {limits.max_seconds:g} seconds, the most that are "
                "taken. Choose a shorter video."
            )
    if count == 0:
        raise Refused("The video is empty: it has no frames.")
    if count == 1:
        raise Refused("The file holds a single picture. A video has at least two.")
    return VideoSize(count, max(0.0, last - first))


def _picture_format(path):
    with open(path, "rb") as file:
        head = file.read(16)
    for (place, mark), name in _PICTURES.items():
        if head[place:].startswith(mark):
            return name
    return ""
