"""The headers of H.264 and HEVC pictures, which are in NAL units: parsers as in `headers`.

Source: ITU-T H.264 (sections 7.3 and 8.2.1, annex D.1.8) and H.265 (sections 7.3 and 8.3.1).
"""

from typing import NamedTuple

from keras_mlp3d.data.video.headers import Bits
from keras_mlp3d.data.video.index import Picture, Unclear

_HEADER_BYTES = 96  # of a slice; what is needed takes fewer than 20
_MAX_PARAMETER_SETS = 64


def _unescaped(nal, limit=None):
    """Return the bytes of a NAL unit without those that prevent start codes in it."""
    data = bytes(nal[:limit])
    return data.replace(b"\0\0\3", b"\0\0") if b"\0\0\3" in data else data


def _nal_units(packet, length_size):
    """Yield the NAL units of a packet, each after its length, or a start code if that is 0."""
    if length_size:
        place, end = 0, len(packet)
        while place < end:
            start = place + length_size
            place = start + int.from_bytes(packet[place:start], "big")
            if place > end or place == start:
                raise Unclear("a packet is no sequence of NAL units")
            yield packet[start:place]
        return
    data = bytes(packet)
    start = data.find(b"\0\0\1")
    if start < 0 or data[:start].strip(b"\0"):
        raise Unclear("a packet is no sequence of NAL units")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : end if end >= 0 else None].rstrip(b"\0")
        if not unit:
            raise Unclear("a packet is no sequence of NAL units")
        yield unit
        start = end


def _high_part(low, high_before, low_before, num_bits):
    """Return the high part of a picture's number, of which the file stores the low part only."""
    half = 1 << (num_bits - 1)
    if low < low_before and low_before - low >= half:
        return high_before + 2 * half
    if low > low_before and low - low_before > half:
        return high_before - 2 * half
    return high_before


class _ParameterSets:
    """Parameter sets by kind and number, of the container and of packets; they must not change."""

    def __init__(self):
        self._raw, self.values = {}, {}

    def add(self, kind, nal, parse):
        number, value = parse(Bits(_unescaped(nal)))
        key = kind, number
        if self._raw.setdefault(key, bytes(nal)) != bytes(nal):
            raise Unclear("its parameter sets change")
        if len(self._raw) > _MAX_PARAMETER_SETS:
            raise Unclear("it has too many parameter sets")
        self.values[key] = value

    def get(self, kind, number):
        try:
            return self.values[kind, number]
        except KeyError:
            raise Unclear("a parameter set is missing") from None


class _NalHeaders:
    """Base of the two parsers: reads the parameter sets of the container."""

    has_even_steps, hides_pictures = True, False

    def __init__(self, extradata, least, place, listed):
        # A record of more than `least` bytes has the size of lengths at `place`.
        self._sets, self._length_size = _ParameterSets(), 0
        self._epoch, self._msb, self._lsb = -1, 0, 0
        units = ()
        if extradata[:1] == b"\1" and len(extradata) > least:
            self._length_size, units = (extradata[place] & 3) + 1, listed(extradata)
        elif extradata:
            units = _nal_units(extradata, 0)
        for nal in units:
            self._parameter_set(nal)


# H.264 -----------------------------------------------------------------------------------------

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class H264Headers(_NalHeaders):
    """H.264: picture order counts by section 8.2.1.1; gaps in `frame_num` are refused."""

    def __init__(self, extradata: bytes):
        self._frame_num = self._pictures = 0
        super().__init__(extradata, 6, 4, _h264_listed)

    def _parameter_set(self, nal):
        if nal[0] & 31 == 7:
            self._sets.add("sps", nal[1:], _h264_sps)
        elif nal[0] & 31 == 8:
            self._sets.add("pps", nal[1:], lambda bits: (bits.number(), bits.number()))

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet."""
        picture, can_enter = None, False
        for nal in _nal_units(packet, self._length_size):
            kind = nal[0] & 31
            if kind in (7, 8):
                self._parameter_set(nal)
            elif kind == 6:
                can_enter = can_enter or _is_exact_recovery_point(_unescaped(nal[1:]))
            elif kind in (2, 3, 4):
                raise Unclear("its slices are partitioned")
            elif kind in (1, 5) and len(nal) > 1 and nal[1] & 0x80:  # first_mb_in_slice is 0
                if picture is not None:
                    raise Unclear("a packet holds two pictures", counts=False)
                picture = self._slice(nal, kind == 5)
        if picture is None:
            raise Unclear("a packet holds no picture")
        order, is_idr, is_intra = picture
        return Picture(order, is_idr or (is_intra and can_enter))

    def _slice(self, nal, is_idr):
        is_reference = bool(nal[0] & 0x60)
        bits = Bits(_unescaped(nal[1:], _HEADER_BYTES))
        bits.number()
        is_intra = bits.number() % 5 in (2, 4)
        sps = self._sets.get("sps", self._sets.get("pps", bits.number()))
        bits.bits(sps.plane_bits)
        frame_num = bits.bits(sps.frame_num_bits)
        if not sps.frames_only and bits.bits(1):
            raise Unclear("its pictures are single fields", counts=False)
        if is_idr:
            bits.number()
            self._epoch += 1
            self._frame_num, self._msb, self._lsb, self._pictures = frame_num, 0, 0, 0
        elif self._epoch < 0:
            raise Unclear("it begins with a picture that refers to earlier ones")
        elif frame_num != (self._frame_num + 1) % (1 << sps.frame_num_bits):
            raise Unclear("the numbers of its pictures have gaps")
        count = self._pictures = self._pictures + 1
        if sps.poc_bits:
            lsb = bits.bits(sps.poc_bits)
            msb = _high_part(lsb, self._msb, self._lsb, sps.poc_bits)
            count = msb + lsb
            if is_reference:
                self._msb, self._lsb = msb, lsb
        if is_reference:
            self._frame_num = frame_num
        return (self._epoch, count), is_idr, is_intra


class _H264Sps(NamedTuple):
    plane_bits: int
    frame_num_bits: int
    poc_bits: int  # 0: pictures are shown in decoding order (type 2)
    frames_only: bool


def _h264_sps(bits):
    profile = bits.bits(8)
    bits.bits(16)
    number, planes = bits.number(), 0
    if profile in _HIGH_PROFILES:
        chroma = bits.number()
        planes = 2 * bits.bits(1) if chroma == 3 else 0
        bits.number(), bits.number(), bits.bits(1)
        if bits.bits(1):
            _skip_scaling_lists(bits, 8 if chroma != 3 else 12)
    frame_num_bits, poc_type = bits.number() + 4, bits.number()
    poc_bits = bits.number() + 4 if poc_type == 0 else 0
    if poc_type == 1 or max(frame_num_bits, poc_bits) > 16:
        raise Unclear("its order of pictures is of a rare kind")
    bits.number(), bits.bits(1), bits.number(), bits.number()
    return number, _H264Sps(planes, frame_num_bits, poc_bits, bool(bits.bits(1)))


def _skip_scaling_lists(bits, lists):
    for place in range(lists):
        if not bits.bits(1):
            continue
        last = following = 8
        for _ in range(16 if place < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _is_exact_recovery_point(payload):
    """Return whether SEI messages say that all frames from here on, as shown, are exact."""
    place = 0
    while place + 2 < len(payload):
        kind = size = 0
        while place < len(payload) and payload[place] == 255:
            kind, place = kind + 255, place + 1
        kind, place = kind + payload[place] if place < len(payload) else -1, place + 1
        while place < len(payload) and payload[place] == 255:
            size, place = size + 255, place + 1
        size, place = size + payload[place] if place < len(payload) else 0, place + 1
        if kind == 6:
            bits = Bits(payload[place : place + size])
            return not bits.number() and bool(bits.bits(1)) and not bits.bits(1)
        place += size
    return False


def _h264_listed(extradata):
    """Yield the SPS and PPS of an AVC configuration record."""
    place = 5
    for lists in (0x1F, 0xFF):
        if place >= len(extradata):
            return
        count, place = extradata[place] & lists, place + 1
        for _ in range(count):
            size = int.from_bytes(extradata[place : place + 2], "big")
            nal, place = extradata[place + 2 : place + 2 + size], place + 2 + size
            if not nal:
                raise Unclear("its configuration is damaged")
            yield nal


# HEVC ------------------------------------------------------------------------------------------


class HevcHeaders(_NalHeaders):
    """HEVC: picture order counts by section 8.3.1."""

    def __init__(self, extradata: bytes):
        self._skips_leading = False
        super().__init__(extradata, 23, 21, _hevc_listed)

    def _parameter_set(self, nal):
        kind = nal[0] >> 1 & 63
        if kind == 33:
            self._sets.add("sps", nal[2:], _hevc_sps)
        elif kind == 34:
            self._sets.add("pps", nal[2:], _hevc_pps)

    def picture(self, packet: memoryview) -> Picture:
        """Return the `Picture` of the next packet."""
        picture = None
        for nal in _nal_units(packet, self._length_size):
            if len(nal) < 3 or (nal[0] & 1) << 5 | nal[1] >> 3:
                continue  # of another layer, which is not decoded
            kind = nal[0] >> 1 & 63
            if kind in (33, 34):
                self._parameter_set(nal)
            elif kind < 32 and nal[2] & 0x80:
                if picture is not None:
                    raise Unclear("a packet holds two pictures", counts=False)
                picture = self._slice(nal, kind)
        if picture is None:
            raise Unclear("a packet holds no picture")
        return picture

    def _slice(self, nal, kind):
        is_entry, is_idr = 16 <= kind <= 23, kind in (19, 20)
        bits = Bits(_unescaped(nal[2:], _HEADER_BYTES))
        bits.bits(1)
        if is_entry and bits.bits(1) and self._epoch >= 0:
            raise Unclear("it drops pictures at some key pictures")
        pps = self._sets.get("pps", bits.number())
        sps = self._sets.get("sps", pps.sps)
        bits.bits(pps.extra_bits)
        bits.number()
        is_shown = not pps.has_output_flag or bool(bits.bits(1))
        bits.bits(sps.plane_bits)
        if is_entry and (is_idr or kind in (16, 17, 18) or self._epoch < 0):
            self._epoch, self._skips_leading = self._epoch + 1, not is_idr
            self._msb = self._lsb = 0
            msb, lsb = 0, 0 if is_idr else bits.bits(sps.poc_bits)
        elif self._epoch < 0:
            raise Unclear("it begins with a picture that refers to earlier ones")
        else:
            self._skips_leading = self._skips_leading and not is_entry
            lsb = bits.bits(sps.poc_bits)
            msb = _high_part(lsb, self._msb, self._lsb, sps.poc_bits)
        if nal[1] & 7 == 1 and not 6 <= kind <= 9 and not (kind < 16 and kind % 2 == 0):
            self._msb, self._lsb = msb, lsb
        if kind in (8, 9) and self._skips_leading:
            is_shown = False  # its references are not in the file
        return Picture((self._epoch, msb + lsb) if is_shown else None, is_entry)


class _HevcSps(NamedTuple):
    plane_bits: int
    poc_bits: int


class _HevcPps(NamedTuple):
    sps: int
    has_output_flag: bool
    extra_bits: int


def _hevc_sps(bits):
    bits.bits(4)
    layers = bits.bits(3)
    bits.bits(1 + 88 + 8)
    flags = [(bits.bits(1), bits.bits(1)) for _ in range(layers)]
    if layers:
        bits.bits(2 * (8 - layers))
    for has_profile, has_level in flags:
        bits.bits(88 * has_profile + 8 * has_level)
    number = bits.number()
    planes = 2 * bits.bits(1) if bits.number() == 3 else 0
    bits.number(), bits.number()
    if bits.bits(1):
        for _ in range(4):
            bits.number()
    bits.number(), bits.number()
    poc_bits = bits.number() + 4
    if poc_bits > 16:
        raise Unclear("a parameter set is damaged")
    return number, _HevcSps(planes, poc_bits)


def _hevc_pps(bits):
    number, sps = bits.number(), bits.number()
    bits.bits(1)
    return number, _HevcPps(sps, bool(bits.bits(1)), bits.bits(3))


def _hevc_listed(extradata):
    """Yield the parameter sets of an HEVC configuration record."""
    place = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[place + 1 : place + 3], "big")
        place += 3
        for _ in range(count):
            size = int.from_bytes(extradata[place : place + 2], "big")
            nal, place = extradata[place + 2 : place + 2 + size], place + 2 + size
            if len(nal) < 3:
                raise Unclear("its configuration is damaged")
            yield nal
