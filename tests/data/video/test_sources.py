"""Videos that are no files: bytes, file objects, frames in memory, and sources fetched late."""

import io
import os
import pathlib
import threading

import numpy as np
import pytest
from data.make_videos import moving_frames, write_frames, write_lossless

from keras_mlp3d.data import (
    Frames,
    VideoConverter,
    VideoError,
    frame_times,
    probe_video,
    read_video,
)
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.sources import LazySource, Watched, is_source, open_video, source_name

FRAMES = moving_frames(12, 48, 64)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_lossless(tmp_path_factory.mktemp("videos") / "a.mkv", FRAMES, rate=8)


def sources(path):
    """{name: (source, fps to give)} of every kind, all of the same frames."""
    content = pathlib.Path(path).read_bytes()
    return {
        "path": (path, None),
        "pathlib": (pathlib.Path(path), None),
        "bytes": (content, None),
        "bytearray": (bytearray(content), None),
        "memoryview": (memoryview(content), None),
        "BytesIO": (io.BytesIO(content), None),
        "array": (FRAMES, 8),
        "list": (list(FRAMES), 8),
        "tuple": (tuple(FRAMES), 8),
        "Frames": (Frames(FRAMES, fps=8), None),
        "Frames of a list": (Frames(list(FRAMES), fps=8, name="camera"), None),
        "lazy bytes": (LazySource("row", lambda: content), None),
        "lazy path": (LazySource("row", lambda: path), None),
        "watched path": (Watched(path, lambda frames: None), None),
    }


@pytest.mark.parametrize("kind", sorted(sources(__file__)))
def test_every_source_gives_the_same(path, kind):
    source, fps = sources(path)[kind]
    assert is_source(source)
    frames, rate = read_video(source, fps=fps)
    np.testing.assert_array_equal(frames, FRAMES)
    assert rate == 8
    np.testing.assert_array_equal(read_video(source, [11, 3, 3], fps=fps)[0], FRAMES[[11, 3, 3]])
    np.testing.assert_allclose(frame_times(source, fps=fps), np.arange(12) / 8, atol=1e-3)
    info = probe_video(source, fps=fps)
    assert (info.num_frames, info.height, info.width) == (12, 48, 64)
    converter = VideoConverter(4, (48, 48))
    expected = converter.read(path, crops=3, start=0.5, end=1.0)
    views = converter.read(source, crops=3, start=0.5, end=1.0, fps=fps)
    np.testing.assert_array_equal(views.frames, expected.frames)
    np.testing.assert_array_equal(views.frame_indices, [[4, 5, 6, 7]])
    np.testing.assert_allclose(views.frame_times, expected.frame_times, atol=1e-3)
    with pytest.raises(VideoError):
        read_video(source, [12], fps=fps)


def test_file_objects_are_read_from_their_beginning_and_left_where_they_were(path):
    with open(path, "rb") as file:
        file.seek(7)
        for _ in range(2):
            np.testing.assert_array_equal(read_video(file, [2])[0][0], FRAMES[2])
        assert file.tell() == 7
        assert source_name(file) == path


class Pipe(io.RawIOBase):
    """A file object that gives its content once."""

    def __init__(self, content):
        self.content = content

    def read(self, size=-1):
        part, self.content = self.content[:size], self.content[size:]
        return part


def test_a_pipe_can_be_read_once(path):
    pipe = Pipe(pathlib.Path(path).read_bytes())
    np.testing.assert_array_equal(read_video(pipe, [2])[0][0], FRAMES[2])
    with pytest.raises(VideoError, match="has been read already and cannot seek"):
        read_video(pipe)


def test_threads_may_share_a_file_object(path):
    wrong = []
    with open(path, "rb") as file:

        def read():
            for index in range(12):
                if not np.array_equal(read_video(file, [index])[0][0], FRAMES[index]):
                    wrong.append(index)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_folder_of_pictures_takes_a_rate(tmp_path):
    folder = write_frames(tmp_path / "a", FRAMES)
    assert frame_times(folder) is None
    assert frame_times(folder, fps=4)[-1] == 2.75
    converter = VideoConverter(2, (32, 32))
    assert converter.read(folder).frame_times is None
    indices = converter.read(folder, fps=4, start=1).frame_indices
    assert indices.min() >= 4
    with pytest.raises(VideoError, match="if nothing says the frames per second"):
        converter.read(folder, start=1)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 8, 8), "uint8"), r"got shape \(4, 8, 8\) of uint8"),
        (np.zeros((4, 8, 8, 3)), "of float64"),
        ([np.zeros((8, 8, 3), "uint8"), np.zeros((8, 9, 3), "uint8")], "one size"),
        ([np.zeros((8, 8, 3))], "of float64"),
        (np.zeros((0, 8, 8, 3), "uint8"), "at least one frame"),
        ([], r"a video must be a path.*got \[\]"),
        (None, "a video must be a path.*got None"),
        (io.StringIO("text"), "must give bytes, got one that gives str"),
        (LazySource("row 3", lambda: 1 / 0), "'row 3': it cannot be fetched"),
        (LazySource("row 3", lambda: b"no video"), "cannot be opened as a video"),
        (b"", "it is empty"),
    ],
)
def test_what_is_no_video(source, words):
    with pytest.raises(ValueError, match=words):
        read_video(source)


def test_a_rate_for_a_file_and_wrong_rates(path):
    with pytest.raises(ValueError, match=r"fps must be None for .*clock of its own, got 5"):
        read_video(path, fps=5)
    for fps in (0, -1, float("nan"), True, "8"):
        with pytest.raises(ValueError, match="fps must be a number above 0"):
            read_video(FRAMES, fps=fps)


def test_frames_in_memory_are_not_copied():
    frames = FRAMES.copy()
    with open_video(frames) as video:
        picture = next(iter(video.frames([3])))[1]
    assert np.shares_memory(picture, frames)
    read, fps = read_video(frames)
    assert fps is None
    assert not np.shares_memory(read, frames)


def test_a_file_that_goes_away_says_nothing_of_other_videos(tmp_path):
    """A file's index is kept for the next time. Bytes, and a file that is gone, have no version."""
    path = write_lossless(tmp_path / "gone.mkv", moving_frames(9, 16, 24))
    with FileReader(path) as reader:
        os.unlink(path)
        reader._keep_entries(np.arange(9).tobytes())  # as when it goes away while it is decoded
    short = moving_frames(4, 16, 24)
    content = pathlib.Path(write_lossless(tmp_path / "short.mkv", short)).read_bytes()
    np.testing.assert_array_equal(read_video(content)[0], short)
