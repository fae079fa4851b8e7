"""The packets of a file's video stream: read once, kept if they are few, else read again."""

import array

import av
import numpy as np

from keras_mlp3d.data.video.container import VideoError, frame_rate, open_stream, packets_of, why
from keras_mlp3d.data.video.headers import PictureHeaders
from keras_mlp3d.data.video.index import NO_TIME

_KEPT_BYTES = 64 * 2**20
_OBJECT_BYTES = 1024  # what an object for a packet takes besides its content
_MAX_PACKETS = 2**24
_CLOCK_JUMPS = av.format.Flags.ts_discont.value
_IS_CUT, _IS_CORRUPT = 1, 2


class Packets:
    """An open file and the packets of its video stream.

    Args:
        path: The file, or the name of what is in `data`.
        data: Bytes of a file, or None.

    Attributes:
        context: The stream's decoder.
        codec: FFmpeg's name of the codec.
        fps: Mean frames per second, or None.
        tick: Seconds of one tick of the stream's clock.
        clock_jumps: Whether the clock of such a container may jump.
        times: int64 (packets,): time of presentation of each packet in ticks, or `NO_TIME`.
        is_shown: bool (packets,): false for packets that an edit list cuts out.
        is_corrupt: Whether the container calls any of them corrupt.
        last: Ticks that the last packet is shown; 0 if unknown.
        num_pixels: Pixels of all pictures together, as far as the header tells.
        damage: Where reading broke off, in words, or None.

    Raises:
        VideoError: The file cannot be opened, or has no packets of a video.
    """

    def __init__(self, path, data=None):
        self.path, self.data = path, data
        self._container = self._kept = self.damage = None
        self.open(is_strict=True)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def __len__(self):
        return len(self.times)

    def open(self, is_strict):
        """Opens the file, again if it is open, for a decoder that knows no earlier picture.

        Args:
            is_strict: Whether damage is an error, instead of being filled from other pictures.
        """
        if self._container is not None:
            self._container.close()
        self._container, self._stream = open_stream(self.path, self.data, is_strict)
        self.context, self.is_strict = self._stream.codec_context, is_strict
        self._unread, self._next = packets_of(self._container, self._stream), 0

    def close(self):
        """Closes the file and forgets its packets."""
        self._kept = self._unread = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _read(self):
        """Reads all packets: when they are shown, and what else their container says of them."""
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
        # Decoded frames are known by the numbers of their packets: times may be wrong.
        packet.pts, packet.dts = len(self._ticks) - 1, None

    def rewind(self, start):
        """Makes ready for `following(start)`; opens the file again if that has been passed."""
        if self._kept is None and start < self._next:
            self.open(self.is_strict)

    def following(self, start):
        """`(number, packet)` of the packets from `start` on."""
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

    def headers(self):
        """The `PictureHeaders` of all packets."""
        if self._headers is None:
            self._headers = PictureHeaders(self.codec, self.context.extradata)
            self._headers.add_all(self._kept)
        return self._headers
