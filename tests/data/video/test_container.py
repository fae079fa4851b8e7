"""A small file cannot make FFmpeg allocate much when it is opened."""

import struct

import av
import numpy as np
import pytest
from data.video.coded_files import pictures

from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.decode import probe_video, read_video

SAMPLES = 4_000_000_000


def write(path, options=None, sound=None):
    """Writes ten frames, and a second of sound without compression if its codec is given."""
    with av.open(str(path), "w", options=options or {}) as file:
        video = file.add_stream("mpeg4", rate=10)
        video.height, video.width, video.pix_fmt = 64, 64, "yuv420p"
        audio = sound and file.add_stream(sound, rate=48000, layout="mono")
        for picture in pictures(10):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(video.encode(None))
        for number in range(48 if sound else 0):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), "int16"), "s16", "mono")
            frame.rate, frame.pts = 48000, 1000 * number
            file.mux(audio.encode(frame))
    return bytearray(path.read_bytes())


def patch(data, kind, offset, *numbers):
    place = data.index(kind) + 4 + offset
    struct.pack_into(f">{len(numbers)}I", data, place, *numbers)


def one_size(data):
    """All samples have one byte, and there are billions."""
    patch(data, b"stsz", 4, 1, SAMPLES)
    patch(data, b"stts", 8, SAMPLES)
    patch(data, b"stsc", 12, SAMPLES)


def plain_sound(data):
    """The same of sound without compression, of which a chunk has billions."""
    one_size(data)
    patch(data, b"stts", 4, 1, SAMPLES, 1)


def fragment(data):
    """A fragment has billions of samples of the usual size."""
    patch(data, b"trun", 0, 0, SAMPLES)


@pytest.mark.parametrize(
    ("options", "spoil"),
    [
        (None, one_size),
        (None, plain_sound),
        ({"movflags": "frag_keyframe+empty_moov+default_base_moof"}, fragment),
    ],
)
def test_billions_of_samples_are_refused(tmp_path, options, spoil):
    path = tmp_path / "hostile.mp4"
    data = write(path, options)
    assert probe_video(bytes(data)).num_frames == 10
    spoil(data)
    path.write_bytes(data)
    for source in (path, bytes(data)):
        with pytest.raises(VideoError, match=r"its tables claim [0-9]+ samples, more than its"):
            probe_video(source)


def test_billions_of_samples_behind_many_parts_are_refused(tmp_path):
    """Parts of eight bytes each, more than a video of that length has."""
    data = write(tmp_path / "hidden.mp4")
    assert data.index(b"mdat") < data.index(b"moov")
    empty = struct.pack(">I", 8) + b"free"
    start = data.index(b"moov") - 4
    fine = bytes(data[:start]) + 100_000 * empty + bytes(data[start:])
    one_size(data)
    hostile = bytes(data[:start]) + 140_000 * empty + bytes(data[start:])
    with pytest.raises(VideoError, match="more than 131072 parts in"):
        probe_video(hostile)
    with pytest.raises(VideoError):
        probe_video(bytes(data))
    assert probe_video(fine).num_frames == 10


def test_a_long_stream_has_many_parts(tmp_path):
    """As a camera writes it for days: fragments of one frame, with all that belongs to them."""
    data = write(tmp_path / "long.mp4", {"movflags": "frag_every_frame+empty_moov"})
    start = data.index(b"moof") - 4
    stop = data.index(b"mfra") - 4
    long = bytes(data[:start]) + 2_000 * bytes(data[start:stop])
    boxes = sum(long.count(kind) for kind in (b"moof", b"mfhd", b"traf", b"tfhd", b"trun", b"mdat"))
    assert boxes > 2**17 * 0.9
    assert probe_video(long).num_frames > 10_000


def test_sound_without_compression_may_be_cut_off(tmp_path):
    path = tmp_path / "sound.mov"
    data = write(path, {"movflags": "faststart"}, sound="pcm_s16le")
    assert len(read_video(path)[0]) == 10
    assert len(read_video(bytes(data[: len(data) - 20_000]))[0]) >= 1


def test_many_samples_of_one_size_are_read(tmp_path):
    path = tmp_path / "raw.mov"
    with av.open(str(path), "w") as file:
        video = file.add_stream("rawvideo", rate=10)
        video.height, video.width, video.pix_fmt = 16, 16, "rgb24"
        for picture in pictures(10, (64, 64)):
            frame = av.VideoFrame.from_ndarray(picture[:16, :16].copy(), "rgb24")
            file.mux(video.encode(frame))
    assert len(read_video(path)[0]) == 10
