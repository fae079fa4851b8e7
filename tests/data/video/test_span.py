"""`start` and `end` choose the frames that are shown then, whatever rate a container claims."""

import fractions
import itertools

import av
import numpy as np
import pytest
from data.make_videos import moving_frames, write_damaged
from data.video.coded_files import PAIRS, cuts, packets_of, pictures, remux, write_pair

from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, read_shards, write_shards
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.sources import open_video

EVEN, UNEVEN = range(10), (0, 1, 2, 3, 7, 8, 15, 16, 17, 20)
#: What claims a wrong rate, or none: (ending, encoder, ticks a second, rate, ticks, last frame).
CLAIMS = {
    "a GIF with a pause": ("gif", "gif", 100, 10, [10 * t for t in EVEN], 300),
    "a held last frame": ("mp4", "mpeg4", 10, 10, EVEN, 50),
    "another rate": ("mkv", "mpeg4", 1000, 30, [100 * t for t in EVEN], None),
    "a fine clock": ("avi", "mpeg4", 300, 300, EVEN, None),
    "a varying rate": ("mkv", "mpeg4", 10, 10, UNEVEN, None),
    "a varying rate, held": ("mp4", "mpeg4", 10, 10, UNEVEN, 40),
    "a lost frame": ("avi", "mpeg4", 10, 10, (0, 1, 2, 3, 4, 6, 7, 8, 9, 10), None),
    "a pause at the end": ("mp4", "mpeg4", 10, 10, (*range(9), 80), 1),
    "an even rate": ("mp4", "mpeg4", 25, 25, EVEN, None),
    "milliseconds": ("mkv", "mpeg4", 1000, 30, [round(t * 1000 / 30) for t in range(30)], None),
}


def write_claim(folder, name):
    ending, codec, ticks, rate, times, last = CLAIMS[name]
    path, tick = folder / f"claim.{ending}", fractions.Fraction(1, ticks)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = 64, 64
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.time_base = tick
        packets = []
        for time, picture in zip(times, pictures(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = time, tick
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if last:
            packets[-1].duration = last
        file.mux(packets)
    return str(path)


def check_spans(path):
    """Asks for the middle of every frame, by its own time, and expects that frame alone."""
    with open_video(path) as reader:
        edges = reader.edges
        for number, (first, last) in enumerate(itertools.pairwise(edges)):
            if last - first > 1e-3:
                time = (first + last) / 2
                assert reader.span(time, time + 1e-4) == range(number, number + 1)
        return reader.exact_rate


@pytest.mark.parametrize("name", CLAIMS)
def test_each_time_is_that_of_its_frame(name, tmp_path):
    path = write_claim(tmp_path, name)
    rate = check_spans(path)
    assert bool(rate) == (name in ("an even rate", "milliseconds"))
    ticks, times = CLAIMS[name][2], CLAIMS[name][4]
    views = VideoConverter(1, (16, 16)).read(path, start=times[5] / ticks, end=times[6] / ticks)
    assert views.frame_indices.tolist() == [[5]]
    np.testing.assert_allclose(views.frame_times, [[times[5] / ticks]], atol=1e-3)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "milliseconds"])
def test_uniform_is_uniform_in_time(name, tmp_path):
    path = write_claim(tmp_path, name)
    ticks, times, last = CLAIMS[name][2], CLAIMS[name][4], CLAIMS[name][5]
    if len({*np.diff(times)}) == 1:
        last = None  # a last frame that is held makes no rate vary
    end = (times[-1] + (last or min(times[-1] - times[-2], ticks // 10))) / ticks
    shown = (np.arange(16) + 0.5) / 16 * end
    wanted = np.searchsorted(np.array(times) / ticks, shown, side="right") - 1
    found = VideoConverter(16, (16, 16)).read(path).frame_indices
    assert found.tolist() == [wanted.tolist()]


@pytest.mark.parametrize("name", ["h264.ts", "mpeg4.avi"])
def test_each_time_is_that_of_its_frame_in_cut_files(name, tmp_path):
    packets, stream = packets_of(write_pair(tmp_path / f"whole.{PAIRS[name][0]}", name, 12))
    count = 0
    for number, rows in enumerate(cuts(packets).values()):
        try:
            path = remux(tmp_path / f"{number}.{PAIRS[name][0]}", rows, stream)
            check_spans(path)
        except (av.error.FFmpegError, VideoError):  # no file of this container, or none that reads
            continue
        count += 1
    assert count >= 5


def test_each_time_is_that_of_its_frame_in_real_files(shared_dir):
    folders = (shared_dir / "videos", shared_dir / "videos" / "frames")
    count = 0
    for path in sorted(path for folder in folders for path in folder.iterdir() if path.is_file()):
        try:
            check_spans(path)
        except VideoError:
            continue
        count += 1
    assert count >= 12


@pytest.mark.parametrize("name", CLAIMS)
def test_shards_keep_the_times(name, tmp_path):
    pytest.importorskip("google_crc32c")
    path = write_claim(tmp_path, name)
    ticks, times = CLAIMS[name][2], CLAIMS[name][4]
    rows = [VideoRow(path, 0), VideoRow(path, 0, start=(0.6 * times[4] + 0.4 * times[5]) / ticks)]
    write_shards(Manifest(rows, ["a"], "train"), tmp_path / "shards", short_side=32)
    converter = VideoConverter(4, (32, 32))
    for row, record in zip(rows, read_shards(tmp_path / "shards").rows, strict=True):
        check_spans(record.path)
        first = 4 if row.start else 0
        file = converter.read(path, clips=2, start=row.start)
        shard = converter.read(record.path, clips=2)
        np.testing.assert_array_equal(shard.frame_indices, file.frame_indices - first)
        begin = times[first] / ticks
        np.testing.assert_allclose(shard.frame_times, file.frame_times - begin, atol=2e-3)


def test_an_error_of_the_file_is_said_once(tmp_path):
    path = write_damaged(tmp_path / "clip.mov", moving_frames(4), first_bad=0)
    with open_video(path) as video, pytest.raises(VideoError) as caught:
        video.span(0.0, 0.1)
    assert (caught.value.path, caught.value.num_decodable) == (path, 0)
    assert str(caught.value).count("cannot read the video") == 1
