"""The headers of compressed pictures: their order, and where decoding may begin.

A parser is constructed from the bytes that the container stores for the decoder. It takes the
packets of a stream in decoding order. `picture(packet)` reads the first bytes of a packet, decodes
nothing, and returns a `Picture`. It raises `Unclear` at the first surprise: the file is then
decoded from its beginning instead. `has_even_steps` says whether the numbers of shown pictures rise
in equal steps, and `hides_pictures` whether a packet without a shown picture is in order.

Source: RFC 6386 (VP8), the VP9 and AV1 bitstream specifications, ISO 14496-2 (MPEG-4 Visual).
"""

from keras_mlp3d.data.video.index import Picture, Unclear


class Bits:
    """Reads numbers from a header, bit by bit."""

    def __init__(self, data: bytes):
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def bits(self, count: int) -> int:
        """Read a number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise Unclear("a header is incomplete")
        return self._value >> self._left & (1 << count) - 1

    def number(self) -> int:
        """Read an unsigned Exp-Golomb number."""
        rest = self._value & (1 << self._left) - 1
        zeros = self._left - rest.bit_length()
        if not rest or zeros > 31:
            raise Unclear("a header is damaged")
        self.bits(zeros)
        return self.bits(zeros + 1) - 1

    def signed(self) -> int:
        """Read a signed Exp-Golomb number."""
        number = self.number()
        return (number + 1) // 2 if number % 2 else -(number // 2)


class _InOrder:
    """Base of the codecs that show pictures in the order in which they are stored."""

    has_even_steps, hides_pictures = False, True

    def __init__(self, extradata: bytes):
        self._count = 0

    def _picture(self, is_shown, is_entry):
        self._count += 1
        return Picture((0, self._count) if is_shown else None, is_entry and is_shown)


class Vp8Headers(_InOrder):
    """VP8."""

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet."""
        if len(packet) < 3:
            raise Unclear("a packet holds no picture")
        return self._picture(packet[0] & 0x10, not packet[0] & 1)


class Vp9Headers(_InOrder):
    """VP9."""

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet, or of a superframe with hidden pictures."""
        shown = entries = 0
        for number, size_and_start in enumerate(_superframe(packet)):
            size, start = size_and_start
            first = packet[start] if size else 0
            if first >> 6 != 2:
                raise Unclear("a packet holds no picture")
            shift = first & 0x30 == 0x30  # profile 3 has a bit more
            repeats, is_inter = first & (8 >> shift), first & (4 >> shift)
            shown += bool(repeats or first & (2 >> shift))
            entries += not (number or repeats or is_inter)
        if shown > 1:
            raise Unclear("a packet holds two pictures", counts=False)
        return self._picture(shown, entries)


def _superframe(packet):
    """Return `(size, start)` of the pictures in a packet."""
    last = packet[-1] if len(packet) else 0
    count, width = (last & 7) + 1, (last >> 3 & 3) + 1
    size = 2 + count * width
    if last & 0xE0 != 0xC0 or len(packet) < size or packet[-size] != last:
        return [(len(packet), 0)]
    index = bytes(packet[1 - size : -1])
    sizes = [int.from_bytes(index[i : i + width], "little") for i in range(0, len(index), width)]
    if sum(sizes) > len(packet) - size:
        raise Unclear("a packet is damaged")
    starts = [sum(sizes[:number]) for number in range(count)]
    return [(size, start) for size, start in zip(sizes, starts, strict=True) if size]


class Av1Headers(_InOrder):
    """AV1."""

    def __init__(self, extradata: bytes):
        super().__init__(extradata)
        self._sequence, self._is_still = None, False

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet, a temporal unit."""
        shown, headers, is_entry = 0, 0, False
        for kind, payload in _obus(packet):
            if kind == 1:
                if self._sequence not in (None, payload):
                    raise Unclear("its parameter sets change")
                self._sequence, self._is_still = payload, bool(payload[0] & 8)
            elif kind in (3, 6):
                first = payload[0]
                if self._is_still:
                    first = 0x10
                repeats, is_shown = first >> 7, first >> 4 & 1
                is_entry = is_entry or (not headers and not repeats and first >> 5 & 3 == 0)
                shown, headers = shown + bool(repeats or is_shown), headers + 1
        if not headers or shown > 1:
            raise Unclear("a packet is not one picture")
        return self._picture(shown, is_entry)


def _obus(packet):
    place = 0
    while place < len(packet):
        header = packet[place]
        kind, has_extension, has_size = header >> 3 & 15, header & 4, header & 2
        place += 1
        if has_extension:
            if place >= len(packet) or packet[place] >> 3 & 3:
                raise Unclear("it has several layers")
            place += 1
        size, shift = (0, 0) if has_size else (len(packet) - place, -1)
        while shift >= 0:
            if place >= len(packet) or shift > 28:
                raise Unclear("a packet is damaged")
            byte = packet[place]
            size, shift, place = size | (byte & 127) << shift, shift + 7, place + 1
            if not byte & 128:
                break
        if place + size > len(packet) or (kind in (1, 3, 6) and not size):
            raise Unclear("a packet is damaged")
        yield kind, bytes(packet[place : place + size]) if kind == 1 else packet[place : place + 1]
        place += size


class Mpeg4Headers:
    """MPEG-4 Visual: a B-picture is shown at once, any other when the next non-B-picture comes."""

    has_even_steps, hides_pictures = False, False

    def __init__(self, extradata: bytes):
        self._anchors = self._between = 0
        self._time_bits, self._layer = None, None
        self._read_layer(extradata)

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet."""
        data = bytes(packet)
        start = data.find(b"\0\0\1\xb6")
        if start < 0 or data.find(b"\0\0\1\xb6", start + 4) >= 0:
            raise Unclear("a packet is not one picture", counts=False)
        if start:
            self._read_layer(data[:start])
        if self._time_bits is None:
            raise Unclear("a parameter set is missing")
        bits = Bits(data[start + 4 : start + 32])
        kind = bits.bits(2)
        while bits.bits(1):
            pass
        bits.bits(1 + self._time_bits + 1)
        if not bits.bits(1):
            raise Unclear("a packet stands for the picture before it", counts=False)
        if kind == 2:
            if self._anchors < 2:
                raise Unclear("it begins with a picture that refers to earlier ones")
            self._between += 1
            return Picture((self._anchors, self._between - (1 << 30)), False)
        self._anchors, self._between = self._anchors + 1, 0
        return Picture((self._anchors, 0), kind == 0)

    def _read_layer(self, data):
        """Read the number of bits of a picture's time from the video object layer."""
        start = next((i for i in range(len(data) - 4) if _is_layer(data[i : i + 4])), None)
        if start is None:
            return
        end = data.find(b"\0\0\1", start + 4)
        layer = data[start + 4 : end if end >= 0 else None]
        if self._layer not in (None, layer):
            raise Unclear("its parameter sets change")
        self._layer, bits = layer, Bits(layer)
        bits.bits(9)
        if bits.bits(1):
            bits.bits(7)
        if bits.bits(4) == 15:
            bits.bits(16)
        if bits.bits(1):
            bits.bits(3)
            if bits.bits(1):
                bits.bits(79)
        if bits.bits(2):
            raise Unclear("its pictures are of a rare kind")
        bits.bits(1)
        self._time_bits = max((bits.bits(16) - 1).bit_length(), 1)


def _is_layer(code):
    return code[:3] == b"\0\0\1" and 0x20 <= code[3] <= 0x2F
