"""The packets of a file's video stream: kept in memory if they are small, else read again."""

import array
import copy
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Self

import av
import numpy as np

from keras_mlp3d.data.video.container import (
    MAX_PIXELS,
    VideoError,
    frame_rate,
    open_stream,
    packets_of,
    why,
)
from keras_mlp3d.data.video.headers import Av1Headers, Mpeg4Headers, Vp8Headers, Vp9Headers
from keras_mlp3d.data.video.index import NO_TIME, Index, Picture, Unclear, index_of_pictures
from keras_mlp3d.data.video.nal_headers import H264Headers, HevcHeaders

_KEPT_BYTES = 64 * 2**20
_OBJECT_BYTES = 1024  # size of a packet's object without its content
_MAX_PACKETS = 2**24
_CLOCK_JUMPS = av.format.Flags.ts_discont.value
_IS_CUT, _IS_CORRUPT = 1, 2

#: Gets the decoded frames of each packet, and may end the decoding by a `VideoError`.
Watch = Callable[[list[av.VideoFrame]], None]


class Packets:
    """An open file and the packets of its video stream.

    Args:
        path: The file, or the name of the content in `data`.
        data: Content of a file as bytes, or None.
        watch: None, or a `Watch`. The `pts` of a frame is the number of its packet.

    Attributes:
        context: Decoder of the stream.
        codec: FFmpeg's name of the codec.
        fps: Mean frames per second, or None.
        tick: Length of one tick of the stream's clock in seconds.
        clock_jumps: Whether the clock may jump in this kind of container.
        times: int64 (packets,): time of presentation of each packet in ticks, or `NO_TIME`.
        is_shown: bool (packets,): False for packets that an edit list cuts out.
        is_corrupt: Whether the container marks any of them as corrupt.
        last: Ticks for which the last packet is shown; 0 if unknown.
        num_pixels: Number of pixels of all pictures together, according to the header.
        damage: Text that says which damage ended the reading, or None.

    Raises:
        VideoError: If the file cannot be opened or has no packets of a video.
    """

    def __init__(self, path: str, data: bytes | None = None, watch: Watch | None = None):
        self.path, self.data, self._watch = path, data, watch
        self._container: Any = None
        self._max_pixels = MAX_PIXELS
        self._kept = self.damage = None
        self.open(is_strict=True)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.times)

    def open(self, is_strict: bool) -> None:
        """Open the file, again if it is open, with a decoder that knows no earlier picture.

        Args:
            is_strict: Whether damage is an error, instead of being filled from other pictures.
        """
        if self._container is not None:
            self._container.close()
        self._container, self._stream = open_stream(
            self.path, self.data, is_strict, self._max_pixels
        )
        self.context, self.is_strict = self._stream.codec_context, is_strict
        self._unread, self._next = packets_of(self._container, self._stream), 0

    def another(self, max_pixels: int) -> Self:
        """Return the same packets with a file and a decoder of their own, for another thread.

        Args:
            max_pixels: Largest number of pixels of a picture that the decoder takes.
        """
        twin = copy.copy(self)
        twin._container, twin._max_pixels = None, max_pixels
        twin.open(self.is_strict)
        return twin

    def close(self) -> None:
        """Close the file and forget its packets."""
        self._kept = self._unread = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _read(self):
        """Read all packets, their times, and the container's marks on them."""
        stream, context = self._stream, self.context
        self.codec, self.fps = context.codec.canonical_name, frame_rate(stream)
        self.tick = float(stream.time_base) if stream.time_base else 0.0
        self.clock_jumps = bool(self._container.format.flags & _CLOCK_JUMPS)
        self._ticks, self._flags, self.last = array.array("q"), array.array("B"), 0
        self._kept, self._headers, kept_bytes = [], None, 0
        try:
            for packet in self._unread:
                self._add(packet)
                kept_bytes += packet.size + _OBJECT_BYTES
                if self._kept is not None and kept_bytes <= _KEPT_BYTES:
                    self._kept.append(packet)
                    continue
                if self._kept is not None:
                    self._headers = PictureHeaders(self.codec, context.extradata)
                    self._headers.add_all(self._kept)
                    self._kept = None
                self._headers.add(packet)
        except VideoError:
            raise
        except Exception as error:
            self.damage = f"its packets cannot be read to the end ({why(error)})"
        self._next = len(self._ticks)
        self.times, flags = np.array(self._ticks), np.array(self._flags)
        self.is_shown = flags & _IS_CUT == 0
        self.is_corrupt = bool((flags & _IS_CORRUPT).any())
        self.num_pixels = len(self) * max(context.width * context.height, 1)
        if not self.is_shown.any():
            promised = f", though its header promises {stream.frames}" if stream.frames else ""
            raise VideoError(self.path, f"its video stream holds no frames{promised}")

    def _add(self, packet):
        if len(self._ticks) >= _MAX_PACKETS:
            raise VideoError(self.path, f"it has more than {_MAX_PACKETS} packets")
        time = packet.pts
        self._ticks.append(NO_TIME if time is None else time)
        self._flags.append(_IS_CUT * packet.is_discard | _IS_CORRUPT * packet.is_corrupt)
        self.last = packet.duration or self.last
        # Decoded frames carry the numbers of their packets, as times may be wrong.
        packet.pts, packet.dts = len(self._ticks) - 1, None

    def rewind(self, start: int) -> None:
        """Prepare for `following(start)`; open the file again if that packet has been passed."""
        if self._kept is None and start < self._next:
            self.open(self.is_strict)

    def following(self, start: int) -> Iterator[tuple[int, av.Packet]]:
        """Yield `(number, packet)` of the packets from `start` on."""
        if self._kept is not None:
            yield from enumerate(self._kept[start:], start)
            return
        for packet in self._unread:
            number, self._next = self._next, self._next + 1
            if number >= len(self):
                return
            if number >= start:
                packet.pts, packet.dts = number, None
                yield number, packet

    def decoded(
        self, start: int = 0, wanted: Collection[int] | None = None, stop: int | None = None
    ) -> Iterator[av.VideoFrame]:
        """Yield decoded frames from a packet on. Damage raises PyAV's error.

        Args:
            start: Number of the packet.
            wanted: Numbers of the packets whose frames are needed, or None for all. Other frames
                are left out if no frame refers to them.
            stop: Number of the packet before which decoding ends, or None for all packets.
        """
        self.rewind(start)
        if self.context.is_open:
            self.context.flush_buffers()
        try:
            for number, packet in self.following(start):
                if number == stop:
                    break
                if wanted is not None:
                    self.context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
                yield from self._decode(packet)
            yield from self._decode(None)
        finally:
            self.context.skip_frame = "DEFAULT"

    def _decode(self, packet):
        frames = self.context.decode(packet)
        if self._watch is not None:
            self._watch(frames)
        return frames

    def version(self) -> int | None:
        """Return a hash of the file's path, size and time of change, or None for bytes."""
        if self.data is not None:
            return None
        try:
            stat = os.stat(self.path)
        except OSError:
            return None
        return hash((os.path.abspath(self.path), stat.st_size, stat.st_mtime_ns, stat.st_ino))

    def headers(self) -> "PictureHeaders":
        """Return the `PictureHeaders` of all packets."""
        if self._headers is None:
            self._headers = PictureHeaders(self.codec, self.context.extradata)
            self._headers.add_all(self._kept)
        return self._headers


# Headers ------------------------------------------------------------------------------------------

_PARSERS = {
    "h264": H264Headers,
    "hevc": HevcHeaders,
    "vp8": Vp8Headers,
    "vp9": Vp9Headers,
    "av1": Av1Headers,
    "mpeg4": Mpeg4Headers,
}


class PictureHeaders:
    """What the headers of a stream's packets say, up to the first one that is unclear.

    Args:
        codec: FFmpeg's name of the codec, such as `"h264"`.
        extradata: Bytes that the container stores for the decoder, or None.
    """

    def __init__(self, codec: str, extradata: bytes | None):
        self._pictures: list[Picture] = []
        self._unclear: Unclear | None = None
        self._parser: Any = None
        try:
            if codec in _PARSERS:
                self._parser = _PARSERS[codec](bytes(extradata or b""))
        except Unclear as reason:
            self._unclear = reason
        except (IndexError, ValueError):
            self._unclear = Unclear("its configuration is damaged")
        if self._parser is None and self._unclear is None:
            self._unclear = Unclear(f"headers of {codec} are not supported")

    def add_all(self, packets: Iterable[av.Packet]) -> None:
        """Read the headers of several packets."""
        for packet in packets:
            self.add(packet)
            if self._unclear is not None:
                return

    def add(self, packet: av.Packet) -> None:
        """Read the header of the next packet."""
        if self._unclear is not None:
            return
        try:
            if packet.has_sidedata("new_extradata"):
                raise Unclear("its configuration changes")
            self._pictures.append(self._parser.picture(memoryview(packet)))
        except Unclear as reason:
            self._unclear = reason
        except (IndexError, ValueError):
            self._unclear = Unclear("a packet is damaged")

    def index(self, is_shown: np.ndarray) -> Index:
        """Return the `Index` of all packets.

        Args:
            is_shown: bool (packets,): False for packets that an edit list cuts out.

        Raises:
            Unclear: If the headers do not give it.
        """
        self._check()
        return index_of_pictures(self._pictures, self._parser.has_even_steps, is_shown)

    def num_promised(self, is_cut: np.ndarray) -> int:
        """Return the number of frames that the packets promise to show.

        Args:
            is_cut: bool (packets,): True for packets that an edit list cuts out.

        Raises:
            Unclear: If the headers do not give it.
        """
        self._check()
        pairs = zip(self._pictures, is_cut, strict=True)
        hides = self._parser.hides_pictures
        return sum(not cut and not (hides and picture.order is None) for picture, cut in pairs)

    def _check(self):
        if self._unclear is not None:
            raise self._unclear
