"""Several decoders at a time: the same frames and errors as one, in bounded memory and threads."""

import contextlib
import os
import threading

import numpy as np
import pytest
from data.make_videos import moving_frames
from data.video.coded_files import (
    NUM_FRAMES,
    cuts,
    decoded_in_order,
    packets_of,
    remux,
    write_pair,
)

from keras_mlp3d.data import (
    Manifest,
    VideoConverter,
    VideoError,
    VideoLoader,
    VideoRow,
    read_video,
)
from keras_mlp3d.data.video import container, file_reader, runs
from keras_mlp3d.data.video import packets as packets_module
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.packets import Packets
from keras_mlp3d.data.video.pictures import Scaler
from keras_mlp3d.data.video.reader import IndexChanged
from keras_mlp3d.inference.decode_ahead import decode_ahead

#: name of a pair, distance of key frames: short and open groups, pyramids, several codecs.
GROUPS = (
    ("h264.mp4", 4),
    ("h264.mp4", 12),
    ("h264_open.mkv", 8),
    ("h264_pyramid.mov", 9),
    ("h264_plain.mkv", 10),
    ("h264_interlaced.mkv", 10),
    ("h264.ts", 8),
    ("hevc.mp4", 10),
    ("hevc_closed.mkv", 10),
    ("vp8.webm", 12),
    ("vp9.webm", 12),
    ("av1.mkv", 12),
    ("mpeg4.mp4", 10),
)


@pytest.fixture(params=["kept", "read again"])
def together(request, monkeypatch):
    """All files count as long ones; returns a list of the numbers of decoders that worked."""
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", 0)
    monkeypatch.setattr(runs, "MIN_PIXELS", 0)
    if request.param == "read again":
        monkeypatch.setattr(packets_module, "_KEPT_BYTES", 0)
    counts, original = [], runs._together

    def counted(packets, decoders, *arguments):
        counts.append(len(decoders))
        return original(packets, decoders, *arguments)

    monkeypatch.setattr(runs, "_together", counted)
    return counts


def outcome(path, indices, threads):
    """The frames, or the text of the error; and what the reader says of the file."""
    try:
        read = read_video(path, indices, threads=threads)[0]
    except VideoError as error:
        read = str(error)
    with FileReader(path, threads=threads) as reader:
        with contextlib.suppress(IndexChanged):
            list(reader.frames(list(range(0, reader.num_frames, 5))))
        return read, reader.num_frames, reader.doubt, reader.damage


def assert_alike(path, what):
    """Asserts that several decoders give what one gives; returns what that is."""
    one = outcome(path, [0, 11, 17, 23, 35], 1)
    for threads in (2, 3):
        several = outcome(path, [0, 11, 17, 23, 35], threads)
        assert several[1:] == one[1:], what
        np.testing.assert_array_equal(several[0], one[0], what)
    return one


@pytest.mark.parametrize(("name", "distance"), GROUPS)
def test_the_same_frames(tmp_path, together, name, distance):
    path = write_pair(tmp_path / f"a.{name.split('.')[1]}", name, distance)
    frames, _ = decoded_in_order(path)
    for indices in ([0, 11, 17, 23, 35], list(range(1, NUM_FRAMES, 3)), [35, 2, 2, 19]):
        for threads in (1, 2, 4):
            read, _ = read_video(path, indices, threads=threads)
            np.testing.assert_array_equal(read, [frames[i] for i in indices], f"{threads}")
    assert 2 in together
    assert max(together) >= 3


def test_frames_of_varying_length(tmp_path, together):
    times = [*range(18), *range(18, 54, 2)]
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 4, times)
    converter = VideoConverter(7, (32, 32))
    one, several = (converter.read(path, 2, 3, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(several.frames, one.frames)
    np.testing.assert_array_equal(several.frame_times, one.frame_times)
    assert together == [3]


@pytest.mark.parametrize("name", ["h264.mp4", "h264_open.mkv", "h264_pyramid.mov", "hevc.mp4"])
def test_cut_and_damaged_streams(tmp_path, together, name):
    """Streams without a key frame at the start, with a lost packet, and with a damaged middle."""
    original = write_pair(tmp_path / f"a.{name.split('.')[1]}", name, 8)
    packets, template = packets_of(original)
    files = dict(cuts(packets))
    for place in (13, 20):
        data, *rest = packets[place]
        noise = np.random.default_rng(place).bytes(len(data) // 2)
        broken = data[: len(data) // 3] + noise + data[len(data) // 3 + len(noise) :]
        files[f"packet {place} is damaged"] = [
            *packets[:place],
            (broken, *rest),
            *packets[place + 1 :],
        ]
    seen = []
    for what, changed in files.items():
        try:
            path = remux(tmp_path / f"{what.replace(' ', '_')}.mkv", changed, template)
        except ValueError:
            continue
        seen.append(assert_alike(path, what))
    assert any(doubt for _, _, doubt, _ in seen)
    assert together


def test_an_error_of_one_run_is_the_error_of_all(tmp_path, together, monkeypatch):
    path, original = write_pair(tmp_path / "a.mp4", "h264.mp4", 6), Packets.decoded

    def decoded(self, start=0, *arguments):
        if start >= 12:
            raise VideoError(self.path, "the disk is gone")
        return original(self, start, *arguments)

    monkeypatch.setattr(Packets, "decoded", decoded)
    before = threading.active_count()
    for threads in (1, 3):
        with pytest.raises(VideoError, match=r"a\.mp4.*the disk is gone"):
            read_video(path, [3, 9, 20, 33], threads=threads)
    assert together == [3]
    assert threading.active_count() == before


def test_a_file_that_is_removed_while_it_is_read(tmp_path, together):
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 6)
    expected = read_video(path)[0]
    with FileReader(path, threads=3) as reader:
        assert reader.num_frames == NUM_FRAMES
        if reader._packets._kept is None:
            return  # it has to be opened again, by one decoder too
        os.remove(path)
        for index, picture in reader.frames([3, 9, 20, 33]):
            np.testing.assert_array_equal(picture, expected[index])
    assert not together


# Bounds -------------------------------------------------------------------------------------------


def test_decoders_share_the_largest_picture(tmp_path, together, monkeypatch):
    path, limits = write_pair(tmp_path / "a.mp4", "h264.mp4", 6), []
    original = packets_module.open_stream

    def spied(*arguments):
        limits.append(arguments[3])
        return original(*arguments)

    monkeypatch.setattr(packets_module, "open_stream", spied)
    read_video(path, [3, 9, 20, 33], threads=3)
    assert together == [3]
    shares = [limit for limit in limits if limit != container.MAX_PIXELS]
    assert shares == [container.MAX_PIXELS // 3] * 3
    # Pictures of which two do not fit are decoded one after the other.
    monkeypatch.setattr(runs, "MAX_PIXELS", 2 * 192 * 192 - 1)
    read_video(path, [3, 9, 20, 33], threads=3)
    assert together == [3]


def test_a_decoder_refuses_what_is_larger_than_its_share(tmp_path, together, monkeypatch):
    """A picture beyond the share of one decoder ends them all, and one alone reads the file."""
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 6)
    expected = read_video(path)[0]
    original = Packets.another
    monkeypatch.setattr(Packets, "another", lambda self, most: original(self, 64 * 64 - 1))
    for index, picture in zip([3, 33], read_video(path, [3, 33], threads=2)[0], strict=True):
        np.testing.assert_array_equal(picture, expected[index])
    assert together == [2]


def test_few_frames_wait(tmp_path, together, monkeypatch):
    """However slow the consumer is, no more runs are decoded than memory allows."""
    path, decoded = write_pair(tmp_path / "a.mp4", "h264.mp4", 3), []
    original = runs._decode

    def counted(*arguments):
        for item in original(*arguments):
            decoded.append(item[0])
            yield item

    monkeypatch.setattr(runs, "_decode", counted)
    wanted = list(range(0, NUM_FRAMES, 6))
    with FileReader(path, threads=2) as reader:
        frame_bytes = 192 * 192 * 12 // 8
        monkeypatch.setattr(runs, "_WAITING_BYTES", 3 * frame_bytes)
        for number, _ in enumerate(reader.frames(wanted)):
            threading.Event().wait(0.05)
            assert len(decoded) <= number + 3
        monkeypatch.setattr(runs, "_WAITING_BYTES", 2 * frame_bytes - 1)
        assert together == [2]
        assert [index for index, _ in reader.frames(wanted)] == wanted
    assert together == [2]


def test_calls_share_the_processors(tmp_path, together, monkeypatch):
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 4)
    monkeypatch.setattr(runs, "_spare", threading.BoundedSemaphore(2))
    with FileReader(path, threads=None) as reader, FileReader(path, threads=None) as other:
        frames = reader.frames(range(0, NUM_FRAMES, 5))
        next(frames)
        assert [index for index, _ in other.frames([3, 20])] == [3, 20]
        assert together == [3]  # the second has one decoder: no thread is left
        frames.close()
        assert [index for index, _ in other.frames([3, 20])] == [3, 20]
        assert together == [3, 2]
    assert runs._spare._value == 2
    assert not [t.name for t in threading.enumerate() if t.name.startswith("keras_mlp3d-run")]


def test_short_work_starts_no_threads(tmp_path, together, monkeypatch):
    monkeypatch.setattr(runs, "MIN_PIXELS", 20 * 64 * 64)
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 6)
    read_video(path, [1, 8], threads=2)
    assert not together
    read_video(path, [4, 10, 16, 22, 28], threads=2)
    assert together == [2]


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_wrong_numbers_of_threads(threads):
    with pytest.raises(ValueError, match="threads must be"):
        read_video(moving_frames(2, 32, 32), [0], threads=threads)


# Who uses them ------------------------------------------------------------------------------------


def test_loaders_read_each_video_in_one_thread(tmp_path, together):
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 4)
    rows = [VideoRow(path, 0, 0.1 * number) for number in range(4)]
    manifest = Manifest(rows, ("a",), "train")
    converter = VideoConverter(6, (32, 32))
    loader = VideoLoader(manifest, converter, batch_size=2, training=True, workers=2)
    assert len(loader[0][0]) == 2
    list(decode_ahead(manifest.rows, converter, 2, 3, workers=4))
    assert not together
    list(decode_ahead(manifest.rows[:1], converter, 2, 3, workers=2))
    assert together == [2]  # two threads, and one video


@pytest.mark.parametrize(("clips", "crops"), [(4, 3), (10, 3)])
@pytest.mark.parametrize("sampling", ["uniform", "dense"])
def test_a_frame_of_several_views_is_decoded_and_resized_once(
    tmp_path, together, monkeypatch, clips, crops, sampling
):
    path = write_pair(tmp_path / "a.mp4", "h264.mp4", 8, size=(64, 96))
    converter = VideoConverter(8, (32, 32), sampling, frame_stride=2)
    decoded, resized, lock = [], [], threading.Lock()
    packets, to_rgb = Packets.decoded, Scaler.to_rgb

    def spied(self, *arguments):
        for frame in packets(self, *arguments):
            with lock:
                decoded.append(frame.pts)
            yield frame

    def counted(self, frame, *arguments):
        resized.append(frame.pts)
        return to_rgb(self, frame, *arguments)

    monkeypatch.setattr(Packets, "decoded", spied)
    monkeypatch.setattr(Scaler, "to_rgb", counted)
    manifest = Manifest([VideoRow(path, 0)], ("a",), "val")
    [(_, views, _)] = decode_ahead(manifest.rows, converter, clips, crops, workers=2)
    assert len(views) == clips * crops
    assert len(decoded) == len(set(decoded)) <= NUM_FRAMES
    wanted = {int(i) for i in converter.read(path, clips, crops).frame_indices.ravel()}
    assert len(resized) == 2 * len(wanted)  # once in each of the two calls


def test_real_broken_and_misread_files(shared_dir, together):
    """All files of `videos`: several decoders say and give what one does."""
    count = 0
    for path in sorted((shared_dir / "videos").rglob("*.*")):
        if path.suffix == ".md" or path.name == "packets_1e6.mp4":
            continue
        one, several = (spread_frames(str(path), threads) for threads in (1, 3))
        assert several[1:] == one[1:], path
        np.testing.assert_array_equal(several[0], one[0], str(path))
        count += 1
    assert count > 20
    assert together


def spread_frames(path, threads):
    """Eight frames of a file, small; their numbers, and what the reader says; or the error."""
    converter = VideoConverter(8, (24, 24))
    try:
        clip = converter.read(path, threads=threads)
        with FileReader(path, threads=threads) as reader:
            found = reader.num_frames, reader.doubt, reader.damage
    except (VideoError, OSError) as error:
        return np.zeros(0), str(error)
    return clip.frames, clip.frame_indices.tolist(), *found
