"""What the headers of pictures say; that they say it right is tested on whole files."""

import numpy as np
import pytest
from data.video.coded_files import PAIRS, field_packets, packets_of, write_pair

from keras_mlp3d.data.video.index import Unclear
from keras_mlp3d.data.video.packets import PictureHeaders


def headers_of(path):
    """The `PictureHeaders` of a file, all packets added, and how many there are."""
    packets, template = packets_of(path)
    codec = template.codec_context
    headers = PictureHeaders(codec.codec.canonical_name, codec.extradata)
    for data, *_ in packets:
        headers.add(Packet(data))
    return headers, len(packets)


class Packet(bytes):
    """A packet as far as its headers are read."""

    def has_sidedata(self, kind):
        return False


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("h264.mp4", [0, 12, 24]),
        ("h264_open.mkv", [0, 8, 16, 24, 32]),  # recovery points count
        ("h264_refresh.mp4", [0]),  # a gradual refresh is no place to begin
        ("hevc.mp4", [0, 10, 20, 30]),
        ("vp9.webm", [0, 12, 24]),
        ("mpeg4.mp4", [0, 12, 21, 30]),
    ],
)
def test_entries(tmp_path, name, entries):
    distance = 12 if name == "h264.mp4" else PAIRS[name][-1][0]
    headers, count = headers_of(write_pair(tmp_path / f"a.{PAIRS[name][0]}", name, distance))
    index = headers.index(np.ones(count, bool))
    assert sorted(index.packets.tolist()) == list(range(count))
    shown = [index.frame_of(entry) for entry in index.entries]
    assert len(shown) >= 1
    assert shown[0] == 0
    assert shown == entries[: len(shown)]
    assert (len(shown) > 1) == (len(entries) > 1)


def test_fields_are_not_counted():
    headers = PictureHeaders("h264", None)
    headers.add_all(map(Packet, field_packets()))
    with pytest.raises(Unclear, match="single fields") as caught:
        headers.index(np.ones(16, bool))
    assert not caught.value.counts


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1", "mpeg4"])
def test_noise_is_unclear_and_nothing_else(codec):
    rng, reasons = np.random.default_rng(0), []
    for _ in range(300):
        extradata = rng.bytes(int(rng.integers(0, 60)))
        prefix = [b"", b"\0\0\0\1", b"\1", b"\x12\0"][int(rng.integers(4))]
        headers = PictureHeaders(codec, prefix + extradata)
        headers.add_all(Packet(prefix + rng.bytes(int(rng.integers(1, 90)))) for _ in range(4))
        try:
            headers.index(np.ones(4, bool))
        except Unclear as reason:
            reasons.append(str(reason))
    assert len(reasons) > 200
    assert all(reasons)


def test_codecs_without_a_parser():
    headers = PictureHeaders("mjpeg", None)
    headers.add(Packet(b"picture"))
    with pytest.raises(Unclear, match="headers of mjpeg are not supported"):
        headers.index(np.ones(1, bool))
