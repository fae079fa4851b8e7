"""Writes video files of many codecs and containers, and remuxes their packets in odd ways."""

import contextlib
import io
import os

import av
import numpy as np

#: name -> (ending, encoder, pixel format, options, key-frame distances)
PAIRS = {
    "h264.mp4": ("mp4", "libx264", "yuv420p", {"bf": "2"}, (4, 12, 250)),
    "h264_open.mkv": ("mkv", "libx264", "yuv420p", {"bf": "3", "x264-params": "open-gop=1"}, (8,)),
    "h264_pyramid.mov": ("mov", "libx264", "yuv420p", {"bf": "5", "b-pyramid": "normal"}, (16,)),
    "h264_plain.mkv": ("mkv", "libx264", "yuv420p", {"bf": "0"}, (10,)),
    "h264_refresh.mp4": ("mp4", "libx264", "yuv420p", {"x264-params": "intra-refresh=1"}, (12,)),
    "h264_interlaced.mkv": ("mkv", "libx264", "yuv420p", {"x264-params": "tff=1"}, (10,)),
    "h264.ts": ("ts", "libx264", "yuv420p", {"bf": "2"}, (8, 250)),
    "h264.flv": ("flv", "libx264", "yuv420p", {"bf": "2"}, (10,)),
    "h264.avi": ("avi", "libx264", "yuv420p", {"bf": "2"}, (10,)),
    "hevc.mp4": ("mp4", "libx265", "yuv420p", {"x265-params": "log-level=none:pools=none"}, (10,)),
    "hevc_closed.mkv": (
        *("mkv", "libx265", "yuv420p10le"),
        *({"x265-params": "log-level=none:pools=none:open-gop=0"}, (10,)),
    ),
    "vp8.webm": ("webm", "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "9"}, (12,)),
    "vp9.webm": ("webm", "libvpx-vp9", "yuv420p", {"lag-in-frames": "9", "cpu-used": "8"}, (12,)),
    "av1.mkv": ("mkv", "libsvtav1", "yuv420p", {"preset": "12"}, (12,)),
    "mpeg4.mp4": ("mp4", "mpeg4", "yuv420p", {"bf": "2"}, (10,)),
    "mpeg4.avi": ("avi", "mpeg4", "yuv420p", {"bf": "0"}, (10, 250)),
    "mpeg2.mpg": ("mpg", "mpeg2video", "yuv420p", {"bf": "2"}, (10,)),
    "mpeg2.ts": ("ts", "mpeg2video", "yuv420p", {"bf": "2"}, (10,)),
    "mjpeg.avi": ("avi", "mjpeg", "yuvj420p", {}, (1,)),
    "ffv1.mkv": ("mkv", "ffv1", "bgr0", {}, (8,)),
    "wmv2.wmv": ("wmv", "wmv2", "yuv420p", {}, (10,)),
    "flv1.flv": ("flv", "flv", "yuv420p", {}, (10,)),
    "animation.gif": ("gif", "gif", "rgb8", {}, (1,)),
}
NUM_FRAMES = 36
_WRAP = 2**33 // 3600 - 18  # frames of 1/25 s, so that 33 bits of 90 kHz overflow midway


def pictures(num_frames=NUM_FRAMES, size=(64, 64)):
    """uint8 (T, H, W, 3), every frame its own."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    for t in range(num_frames):
        picture = np.stack([rows * 3, columns * 3, np.full(size, 6 * t)], -1).astype("uint8")
        picture[10:30, t : t + 12] = 255
        yield picture


@contextlib.contextmanager
def usual_priority():
    """Undoes what SVT-AV1 does if it may, as root: it makes the thread that calls it real-time.

    Such a thread is never interrupted: libvpx, which waits for its own threads in a loop, then
    takes minutes for a file, and other processes stand still.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_pair(path, name, distance, times=range(NUM_FRAMES), size=(64, 64)):
    """Writes a file of a pair with a key-frame distance; frame k at tick `times[k]` of 1/25 s."""
    _, codec, pix_fmt, options, _ = PAIRS[name]
    with usual_priority(), av.open(str(path), "w") as file:
        rate = 10 if codec == "gif" else 25
        stream = file.add_stream(codec, rate=rate, options={"g": str(distance), **options})
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        for time, picture in zip(times, pictures(len(times), size), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)
            frame.pts = time
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return str(path)


def packets_of(path):
    """[(bytes, pts, dts, is_keyframe)] of a file, times as numbers of frames, and its stream."""
    file = av.open(str(path))
    stream = file.streams.video[0]
    rows = []
    for packet in file.demux(stream):
        if packet.size:
            unit = float(packet.time_base * stream.average_rate)
            pts, dts = (None if t is None else round(t * unit) for t in (packet.pts, packet.dts))
            rows.append((bytes(packet), pts, dts, packet.is_keyframe))
    return rows, stream


def remux(path, packets, template, container=None):
    """Writes packets `(bytes, pts, dts, is_keyframe)` as they are, times in frames of 1/25 s."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream_from_template(template)
        for data, pts, dts, is_key in packets:
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, 1 / template.average_rate
            packet.pts, packet.dts, packet.is_keyframe = pts, dts, is_key
            file.mux(packet)
    return str(path)


def cuts(packets):
    """{name: packets} of what cutting and copying streams does to a file."""
    keys = [number for number, row in enumerate(packets) if row[3]]
    later = keys[1] if len(keys) > 1 else len(packets) // 2
    count = len(packets)
    first = packets[later][2] or 0
    shifted = [(d, None if p is None else p - first, (t or 0) - first, k) for d, p, t, k in packets]
    decoding = [(d, n, n, k) for n, (d, _, _, k) in enumerate(packets)]
    jump = count // 2
    return {
        "cut at a key": shifted[later:],
        "cut behind a key": shifted[later + 1 :],
        "times in decoding order": decoding,
        "a packet lost": packets[:jump] + packets[jump + 1 :],
        "a jump of the clock": [
            (d, None if p is None else p + 900 * (n >= jump), (t or 0) + 900 * (n >= jump), k)
            for n, (d, p, t, k) in enumerate(packets)
        ],
        "joined with itself": packets
        + [
            (d, None if p is None else p + count, (t or 0) + count, k)
            for d, p, t, k in packets[later:]
        ],
        "times repeated": [
            (d, None if p is None else p // 2, (t or 0) // 2, k) for d, p, t, k in packets
        ],
        "a clock that wraps": [
            (d, None if p is None else p + _WRAP, (t or 0) + _WRAP, k) for d, p, t, k in packets
        ],
        "begins before zero": [
            (d, None if p is None else p - 3, (t or 0) - 3, k) for d, p, t, k in packets
        ],
    }


def decoded_in_order(path):
    """Frames (T, H, W, 3) and their times in seconds or None, as PyAV's own loop gives them."""
    frames, times = [], []
    with av.open(path) as file:
        stream = file.streams.best("video")
        stream.thread_count = 1
        for frame in file.decode(stream):
            frames.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.time)
    return frames, times


# A file in which each packet is one field of a frame ---------------------------------------------


class _Writer:
    def __init__(self):
        self._bits = ""

    def u(self, value, count):
        self._bits += f"{value:0{count}b}" if count else ""
        return self

    def ue(self, value):
        code = f"{value + 1:b}"
        self._bits += "0" * (len(code) - 1) + code
        return self

    def se(self, value):
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align(self):
        self._bits += "0" * (-len(self._bits) % 8)
        return self

    def raw(self, data):
        self._bits += "".join(f"{byte:08b}" for byte in data)
        return self

    def nal(self, header):
        """The NAL unit with its stop bit and the bytes that keep start codes out."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        data, out, zeros = int(bits, 2).to_bytes(len(bits) // 8, "big"), bytearray([header]), 0
        for byte in data:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if not byte else 0
        return bytes(out)


def field_packets(num_frames=8):
    """Annex B packets of H.264, two to a frame of 32 x 16: all macroblocks are plain samples."""
    sps = _Writer().u(77, 8).u(0, 8).u(30, 8).ue(0).ue(4).ue(0).ue(4).ue(1).u(0, 1)
    sps.ue(0).ue(0).u(0, 1).u(0, 1).u(1, 1).u(0, 1).u(0, 1)  # 16 x 32, fields, no VUI
    pps = _Writer().ue(0).ue(0).u(0, 1).u(0, 1).ue(0).ue(0).ue(0).u(0, 1).u(0, 2)
    pps.se(0).se(0).se(0).u(0, 1).u(0, 1).u(0, 1)
    start = b"\0\0\0\1"
    packets = []
    for frame in range(num_frames):
        for field in range(2):
            is_idr = not frame and not field
            slice_ = _Writer().ue(0).ue(7).ue(0).u(frame % 256, 8).u(1, 1).u(field, 1)
            if is_idr:
                slice_.ue(0)
            slice_.u((2 * frame + field) % 256, 8)
            slice_.u(0, 2 if is_idr else 1)  # no long-term reference; a sliding window
            slice_.se(0).ue(25).align()  # the quantizer; a macroblock of plain samples
            slice_.raw(bytes([40 + 10 * frame + 5 * field]) * 256 + bytes([128]) * 128)
            nal = slice_.nal(0x65 if is_idr else 0x61)
            head = start + sps.nal(0x67) + start + pps.nal(0x68) if is_idr else b""
            packets.append(head + start + nal)
    return packets


def write_fields(path, num_frames=8):
    """Writes a Matroska file of two packets per frame."""
    packets = field_packets(num_frames)
    with av.open(io.BytesIO(b"".join(packets)), format="h264") as raw:
        template = raw.streams.video[0]
        with av.open(str(path), "w") as file:
            stream = file.add_stream_from_template(template)
            for number, data in enumerate(packets):
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, stream.time_base
                packet.pts = packet.dts = number * 20
                packet.is_keyframe = not number
                file.mux(packet)
    return str(path)
