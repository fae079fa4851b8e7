"""Frame i is frame i: random access against decoding in order, over codecs, containers and cuts."""

import logging
import os

import av
import numpy as np
import pytest
from data.video.coded_files import (
    NUM_FRAMES,
    PAIRS,
    cuts,
    decoded_in_order,
    packets_of,
    remux,
    write_fields,
    write_pair,
)

from keras_mlp3d.data import VideoConverter, VideoError, frame_times, probe_video, read_video
from keras_mlp3d.data.video import file_reader
from keras_mlp3d.data.video import packets as packets_module

#: How files are read: as small ones, as large ones, and as large ones that memory does not hold.
WAYS = {
    "small": (),
    "large": ((file_reader, "SMALL_PIXELS"),),
    "too large to keep": ((file_reader, "SMALL_PIXELS"), (packets_module, "_KEPT_BYTES")),
}


@pytest.fixture(params=sorted(WAYS))
def way(request, monkeypatch):
    """Sets how large files are; returns the name of the way."""
    for module, name in WAYS[request.param]:
        monkeypatch.setattr(module, name, 0)
    return request.param


def assert_reads_alike(path, what, true_times=True):
    """All frames, each alone, some together, past the end, and their times, against PyAV's loop."""
    frames, times = decoded_in_order(path)
    read, _ = read_video(path)
    counts = len(frames), len(read), probe_video(path).num_frames
    assert len(set(counts)) == 1, (what, counts)
    np.testing.assert_array_equal(read, frames, err_msg=what)
    step = 1 if len(frames) < 12 else 3
    for index in [*range(0, len(frames), step), len(frames) - 1]:
        np.testing.assert_array_equal(
            read_video(path, [index])[0][0], frames[index], err_msg=f"{what}: frame {index}"
        )
    some = sorted({len(frames) - 1, len(frames) // 2, len(frames) // 3, 0}, reverse=True)
    np.testing.assert_array_equal(read_video(path, some)[0], [frames[i] for i in some], what)
    with pytest.raises(VideoError):
        read_video(path, [len(frames)])
    own = frame_times(path)
    assert own is None or (len(own) == len(frames) and (np.diff(own) >= 0).all()), what
    if true_times and None not in times and (np.diff(times) > 0).all():
        np.testing.assert_allclose(own, np.subtract(times, times[0]), atol=1e-6, err_msg=what)
    return own


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_whole_files(tmp_path, way, name):
    for distance in PAIRS[name][-1]:
        path = write_pair(tmp_path / f"{distance}.{PAIRS[name][0]}", name, distance)
        assert len(decoded_in_order(path)[0]) == NUM_FRAMES
        assert_reads_alike(path, f"{name}, a key frame every {distance}")


# PyAV cannot copy a stream for its AV1 decoder, and MPEG-PS takes no stream of other files.
CUT = sorted(set(PAIRS) - {"animation.gif", "mpeg2.mpg", "av1.mkv"})


@pytest.mark.parametrize("name", CUT)
def test_cut_and_copied_streams(tmp_path, way, name):
    original = write_pair(tmp_path / f"a.{PAIRS[name][0]}", name, PAIRS[name][-1][0])
    packets, template = packets_of(original)
    done = 0
    for what, changed in cuts(packets).items():
        if name == "ffv1.mkv" and what == "a packet lost":
            continue  # what this decoder leaves out shows what the memory held before
        for ending in {PAIRS[name][0], "mkv"}:
            path = str(tmp_path / f"{what.replace(' ', '_')}.{ending}")
            try:
                remux(path, changed, template)
            except (av.FFmpegError, ValueError):
                continue  # this container does not take such times
            try:
                decoded_in_order(path)
            except av.FFmpegError:
                with pytest.raises(VideoError):
                    read_video(path)[0][NUM_FRAMES * 3]
                continue
            assert_reads_alike(path, f"{name}, {what}, in {ending}", "jump" not in what)
            done += 1
    assert done >= 4


def test_two_packets_per_frame(tmp_path, way):
    path = write_fields(tmp_path / "fields.mkv")
    with av.open(path) as file:
        assert sum(packet.size > 0 for packet in file.demux(video=0)) == 16
    assert_reads_alike(path, "fields")
    assert probe_video(path).num_frames == 8


def test_two_frames_per_packet_and_a_packet_without_one(tmp_path, way):
    """As old AVI files have them: a B-picture travels with the picture after it."""
    original = write_pair(tmp_path / "a.avi", "mpeg4.mp4", 12)
    packets, template = packets_of(original)
    joined, place = [], 0
    while place < len(packets):
        data, pts, dts, key = packets[place]
        if place + 1 < len(packets) and packets[place + 1][0][4:5] and place % 5 == 3:
            joined.append((data + packets[place + 1][0], pts, dts, key))
            place += 1
        else:
            joined.append((data, pts, dts, key))
        place += 1
    path = remux(tmp_path / "b.mkv", joined, template)
    assert len(joined) < len(packets)
    assert_reads_alike(path, "packed")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_resolution_changes(tmp_path, way, ending):
    small = write_pair(tmp_path / f"a.{ending}", "h264.ts", 8)
    large = write_pair(tmp_path / f"b.{ending}", "h264.ts", 8, size=(96, 96))
    first, template = packets_of(small)
    second, _ = packets_of(large)
    later = [(d, None if p is None else p + 40, (t or 0) + 40, k) for d, p, t, k in second]
    path = remux(tmp_path / f"c.{ending}", first + later, template)
    with av.open(path) as file:
        sizes = [(f.height, f.width) for f in file.decode(video=0)]
    read, _ = read_video(path)
    assert read.shape == (len(sizes), 64, 64, 3)
    for index in (0, 20, 37, len(sizes) - 1):
        np.testing.assert_array_equal(read_video(path, [index])[0][0], read[index])


def test_the_end_is_missing(tmp_path, way):
    for name in ("h264_open.mkv", "h264.ts", "vp9.webm", "mpeg4.avi", "ffv1.mkv"):
        path = tmp_path / f"a.{PAIRS[name][0]}"
        write_pair(path, name, PAIRS[name][-1][0])
        data = path.read_bytes()
        for share in (0.7, 0.85, 0.97):
            path.write_bytes(data[: int(len(data) * share)])
            count = len(read_video(path)[0])
            assert 0 < count < NUM_FRAMES + 1
            read, _ = read_video(path)
            for index in range(0, count, 4):
                np.testing.assert_array_equal(read_video(path, [index])[0][0], read[index])
            with pytest.raises(VideoError):
                read_video(path, [count])


@pytest.mark.parametrize("times", [[*range(12), *range(12, 60, 2)], [0, 1, 5, 6, 30, 31, 90]])
def test_varying_rates(tmp_path, way, times):
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 4, times)
    own = assert_reads_alike(path, "varying")
    np.testing.assert_allclose(own, np.array(times) / 25, atol=1e-6)
    # A clip takes the frames that are shown at evenly spaced times.
    edges = np.append(own, 2 * own[-1] - own[-2])
    views = VideoConverter(5, (32, 32)).read(path)
    middles = (np.arange(5) + 0.5) / 5 * probe_video(path).duration + 1e-6
    shown = [np.flatnonzero(edges[:-1] <= t)[-1] for t in middles]
    assert views.frame_indices.tolist() == [shown]
    np.testing.assert_array_equal(views.frame_times, own[views.frame_indices])


def test_the_log_says_once_that_a_file_is_decoded_in_order(tmp_path, way, caplog):
    packets, template = packets_of(write_pair(tmp_path / "a.mp4", "h264_open.mkv", 8))
    path = remux(tmp_path / "b.mkv", cuts(packets)["cut at a key"], template)
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        for _ in range(3):
            read_video(path, [5])
            read_video(path)
    said = [record.getMessage() for record in caplog.records]
    # A small file is decoded in order in any case, and here its times are right.
    assert sum("its index cannot be trusted" in text for text in said) == (way != "small")
    assert sum("frames can be decoded" in text for text in said) <= 1
    assert all(text.startswith(path) for text in said)


def test_true_files_are_not_doubted(tmp_path, way, caplog):
    for name in ("h264.mp4", "hevc.mp4", "vp9.webm", "av1.mkv", "mpeg4.mp4", "vp8.webm"):
        path = write_pair(tmp_path / f"{name}", name, PAIRS[name][-1][0])
        with file_reader.FileReader(path) as reader:
            assert (reader.num_frames, reader.doubt, reader.damage) == (NUM_FRAMES, None, None)
    assert not caplog.records


def test_a_file_that_changes_is_known_anew(tmp_path):
    path = tmp_path / "a.mp4"
    for distance, count in ((4, 36), (12, 20)):
        write_pair(path, "h264.mp4", distance, range(count))
        for _ in range(2):  # the second time, what the first has learned is used
            read, _ = read_video(path)
            np.testing.assert_array_equal(read_video(path, [count - 1, 3])[0], read[[-1, 3]])


def test_the_shared_table(shared_dir):
    """The files of `videos/frames`: frames that decode, and the right ones by index."""
    for name, count in {
        "og264_cut_noel.mp4": 80,
        "raw2mp4.mp4": 118,
        "avi_to_mp4.mp4": 20,
        "vfr.mp4": 330,
        "ts_unknown_rate.ts": 30,
        "indexerror.ts": 23,
        "01_libx265_0_27.mp4": 17,
    }.items():
        path = str(shared_dir / "videos" / "frames" / name)
        read, _ = read_video(path)
        assert len(read) == probe_video(path).num_frames == count, name
        for index in range(0, count, 7):
            np.testing.assert_array_equal(read_video(path, [index])[0][0], read[index], name)
        with pytest.raises(VideoError, match=name):
            read_video(path, [count])
    path = str(shared_dir / "videos" / "frames" / "vfr.mp4")
    views = VideoConverter(30, (32, 32)).read(path, start=5, end=10)
    assert views.frame_indices.tolist() == [list(range(300, 330))]
    views = VideoConverter(3, (32, 32)).read(path, start=9.6, end=10)
    assert views.frame_indices.min() >= 327
    assert probe_video(shared_dir / "videos" / "frames" / "ts_unknown_rate.ts").fps == 30000 / 1001


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="a call of Linux")
def test_writing_a_file_leaves_this_thread_as_it_was(tmp_path):
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    write_pair(tmp_path / "a.mkv", "av1.mkv", 12)
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before
