"""What a file may make us allocate: memory of child processes, measured."""

import fractions
import pathlib
import subprocess
import sys

import av
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="reads /proc of Linux"
)
SCRIPT = """
import pathlib, sys
import numpy as np
from keras_mlp3d.data import VideoError, probe_video, read_video
def peak():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
for call in sys.argv[2:]:
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
    before = peak()
    try:
        frames = eval(call, {**globals(), "path": sys.argv[1]})
        answer = "read"
    except VideoError as error:
        answer = error.reason
    print("used", peak() - before, answer)
    frames = None
"""


def megabytes(path, *calls):
    """[(peak megabytes more than before, what came of it)] of calls in a process of their own."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), *calls],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(" ", 2) for line in result.stdout.splitlines() if line[:5] == "used "]
    assert len(lines) == len(calls)
    return [(float(number), answer) for _, number, answer in lines]


def write_tiny_packets(path, count):
    """Writes a Matroska file of packets of one byte."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), "uint8"), "rgb24")
        stream.encode(picture)  # opens the stream
        for number in range(count):
            packet = av.Packet(b"\0")
            packet.stream, packet.time_base = stream, fractions.Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            file.mux(packet)
    return path


def test_many_tiny_packets(tmp_path):
    path = write_tiny_packets(tmp_path / "tiny.mkv", 100_000)
    calls = "read_video(path)", "probe_video(path)", "read_video(path, [9])"
    for used, answer in megabytes(path, *calls):
        assert answer.startswith("none of its 100000 frames can be decoded")
        # Objects for all of them take some 100 MB.
        assert used < 90


def test_a_million_packets(shared_dir):
    path = shared_dir / "videos" / "frames" / "packets_1e6.mp4"
    [(used, answer)] = megabytes(path, "read_video(path)")
    assert answer.startswith("none of its 1000000 frames can be decoded")
    assert used < 100


def test_8k_stays_within_max_bytes(tmp_path):
    path = tmp_path / "8k.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 4320, 7680, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((4320, 7680, 3), "uint8"), "rgb24")
        for number in range(12):
            picture.pts = number
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    frame = 3 * 4320 * 7680
    calls = [f"read_video(path, {indices}, max_bytes={12 * frame - short})"
             for indices in ("None", "[0] * 12") for short in (0, 1)]  # fmt: skip
    enough, too_little, enough_again, too_little_again = megabytes(path, *calls)
    for used, answer in (enough, enough_again):
        assert answer == "read"
        # The result, and on top of it a few pictures: decoded, scaled, and as RGB.
        assert 12 * frame / 2**20 * 0.9 < used < 12 * frame / 2**20 + 450
    for used, answer in (too_little, too_little_again):
        assert "over max_bytes" in answer
        assert used < 450
