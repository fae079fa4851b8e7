"""Rows whose videos are no files."""

import io
import pathlib
import pickle

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import Manifest, VideoRow
from keras_mlp3d.data.video.sources import Frames, LazySource

FRAMES = moving_frames(3, 8, 8)


def load():
    return b"content"


#: Kind of source: a function that makes one, another one of other content, and its name.
SOURCES = {
    "bytes": (lambda: b"content", lambda: b"other", "bytes "),
    "bytearray": (lambda: bytearray(b"content"), lambda: bytearray(b"other"), "bytes "),
    "memoryview": (lambda: memoryview(b"content"), lambda: memoryview(b"other"), "bytes "),
    "file": (lambda: io.BytesIO(b"content"), lambda: io.BytesIO(b"other"), "bytes "),
    "array": (lambda: FRAMES.copy(), lambda: FRAMES[::-1], "frames "),
    "shorter array": (lambda: FRAMES.copy(), lambda: FRAMES[:2], "frames "),
    "list": (lambda: list(FRAMES), lambda: list(FRAMES[::-1]), "frames "),
    "shorter list": (lambda: list(FRAMES), lambda: list(FRAMES[:2]), "frames "),
    "frames": (lambda: Frames(FRAMES.copy(), 8), lambda: Frames(FRAMES[::-1], 8), "frames "),
    "rate": (lambda: Frames(FRAMES.copy(), 8), lambda: Frames(FRAMES, 9), "frames "),
    "named": (lambda: Frames(FRAMES, 8, "cam"), lambda: Frames(FRAMES[:1], 8, "cam"), "cam "),
    "lazy": (lambda: LazySource("first", load), lambda: LazySource("second", load), "first"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_are_compared_by_content(kind):
    make, make_other, name = SOURCES[kind]
    row, same, other = (
        VideoRow(make(), 1, 0.5),
        VideoRow(make(), 1, 0.5),
        VideoRow(make_other(), 1, 0.5),
    )
    assert row == same
    assert hash(row) == hash(same)
    assert row.content == same.content
    assert row != other
    assert row.content != other.content
    assert len(row.content) == 64
    assert row not in (VideoRow("a.mp4", 1, 0.5), VideoRow(make(), 0, 0.5), VideoRow(make(), 1))
    assert (row != 1, row.name.startswith(name), "b'" in repr(row)) == (True, True, False)
    assert pickle.loads(pickle.dumps(row)) == row


@pytest.mark.parametrize("kind", SOURCES)
def test_manifests_of_videos_in_memory(kind, tmp_path):
    make, make_other, _ = SOURCES[kind]

    def manifest(*sources):
        return Manifest([VideoRow(source, 0) for source in sources], ["x"], "val", root="/data")

    made = manifest(make(), "/data/a.mp4", make_other())
    assert made == manifest(make(), "/data/a.mp4", make_other())
    assert made.digest == manifest(make(), "/data/a.mp4", make_other()).digest
    assert made.digest != manifest(make_other(), "/data/a.mp4", make()).digest
    names = [made.name_of(row) for row in made.rows]
    assert len(set(names)) == 3
    assert all(isinstance(name, str) for name in names)
    assert names[1] == "a.mp4"
    assert made.select([2, 0]).rows == (made.rows[2], made.rows[0])
    assert made.missing() == (made.rows[1],)
    with pytest.raises(ValueError, match=r"holds paths, and 2 of 3 rows hold none, .* row 0"):
        made.write_csv(tmp_path / "list.csv")
    assert not list(tmp_path.iterdir())
    assert pickle.loads(pickle.dumps(made)).digest == made.digest


def test_one_source_may_be_in_a_manifest_once_a_stretch():
    for source in (b"content", FRAMES, Frames(FRAMES), LazySource("first", load)):
        rows = [VideoRow(source, 0), VideoRow(source, 0, 0.5), VideoRow(source, 1)]
        assert len(Manifest(rows[:2], ["x", "y"], "val")) == 2
        with pytest.raises(ValueError, match="rows 0 and 2 are the same video: '"):
            Manifest(rows, ["x", "y"], "val")
    # Copies, such as a data set may hold, are no more of a mistake than copies of a file.
    assert (
        len(Manifest([VideoRow(FRAMES.copy(), 0), VideoRow(FRAMES.copy(), 0)], ["x"], "val")) == 2
    )


def test_names_tell_rows_apart():
    rows = [VideoRow(bytes([value]), 0) for value in range(50)]
    assert len({row.name for row in rows}) == 50
    assert VideoRow(list(FRAMES), 0).content == VideoRow(FRAMES, 0).content
    assert VideoRow(np.asfortranarray(FRAMES), 0).content == VideoRow(FRAMES, 0).content
    assert VideoRow("a.mp4", 0).content is None


def test_a_file_object_is_read_from_its_start(tmp_path):
    path = pathlib.Path(write_lossless(tmp_path / "a.mkv", FRAMES))
    with open(path, "rb") as file:
        file.read(7)
        row = VideoRow(file, 0)
    assert row.path == path.read_bytes()

    class Stream(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:3] = b"abc"
            self.readinto = lambda buffer: 0
            return 3

    assert VideoRow(io.BufferedReader(Stream()), 0).path == b"abc"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "got empty bytes"),
        (io.BytesIO(), "got an empty file object"),
        (io.StringIO("text"), "opened with 'rb'.*reads str"),
        (FRAMES.astype("float32"), r"got shape \(3, 8, 8, 3\) of float32"),
        (FRAMES[0], r"got shape \(8, 8, 3\) of uint8"),
        (FRAMES[..., :1], r"got shape \(3, 8, 8, 1\) of uint8"),
        (FRAMES[:0], r"got shape \(0, 8, 8, 3\)"),
        ([], "of nothing"),
        ([FRAMES], r"got shape \(1, 3, 8, 8, 3\) of uint8"),
        ([FRAMES[0], 7], "one size"),
        ([FRAMES[0], FRAMES[1, :4]], "one size"),
        (["a.mp4"], r"got shape \(1,\) of <U5"),
        (7, "got a int"),
        (None, "got a NoneType"),
        ({"bytes": b"x"}, "got a dict"),
        (b"a/b.mp4\0", None),  # bytes are content, never a path
    ],
)
def test_what_is_no_video(source, message):
    if message is None:
        assert VideoRow(source, 0).name.startswith("bytes ")
        return
    with pytest.raises(ValueError, match=f"path must.*{message}"):
        VideoRow(source, 0)
