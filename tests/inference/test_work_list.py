"""Which videos a large job has, each once, and how workers find theirs."""

import json
import os
import tracemalloc

import numpy as np
import pytest

from keras_mlp3d.data import Manifest, VideoRow
from keras_mlp3d.inference.work_list import (
    KnownVideos,
    Video,
    WorkList,
    has_parts,
    unit_size,
    videos_of,
)


def paths_of(value):
    return [video.path for video in videos_of(value)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.mp4", "a.mkv", "sub/c.mp4", "notes.txt"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_a_pattern_a_file_and_an_address(folder):
    names = ["a.mkv", "b.mp4", "sub/c.mp4"]
    assert paths_of(folder) == paths_of(str(folder)) == [str(folder / name) for name in names]
    assert sorted(paths_of(f"{folder}/**/*.mp4")) == [str(folder / n) for n in names[1:]]
    assert paths_of(folder / "b.mp4") == [str(folder / "b.mp4")]
    assert paths_of("s3://bucket/a.mp4") == ["s3://bucket/a.mp4"]
    odd = folder / "x[1].mp4"
    odd.touch()
    assert paths_of(str(odd)) == [str(odd)]  # a file is no pattern


def test_a_list_or_an_iterator_is_taken_as_it_is(folder):
    """What is missing is found when it is read: a million files are not asked for first."""
    given = [folder / "b.mp4", "absent.mp4"]
    assert paths_of(given) == paths_of(iter(given)) == [str(folder / "b.mp4"), "absent.mp4"]
    assert paths_of(np.array(["a.mp4", "b.mp4"])) == ["a.mp4", "b.mp4"]


def test_the_parts_of_a_manifest():
    rows = [VideoRow("a.mp4", 0), VideoRow("a.mp4", 0, start=1, end=2.5)]
    manifest = Manifest(rows, ["run"], "train")
    here = os.getcwd()
    assert list(videos_of(manifest)) == [
        Video("a.mp4", folder=here), Video("a.mp4", 1.0, 2.5, here),
    ]  # fmt: skip
    assert has_parts(manifest)
    assert not has_parts(manifest.select([0]))
    assert not has_parts(["a.mp4"])


@pytest.mark.parametrize("value", [None, 3, b"abc", {"a.mp4": 1}])
def test_what_is_no_data_set(value):
    with pytest.raises(ValueError, match=f"an iterator; got {type(value).__name__}"):
        list(videos_of(value))


def test_videos_in_memory_are_refused():
    frames = np.zeros((4, 8, 8, 3), "uint8")
    with pytest.raises(ValueError, match=r"item 1 is bytes b'abc'.*use classify"):
        list(videos_of(["a.mp4", b"abc"]))
    with pytest.raises(ValueError, match="item 0 is ndarray"):
        list(videos_of(frames))
    with pytest.raises(ValueError, match="row 0 is ndarray"):
        list(videos_of(Manifest([VideoRow(frames, 0)], ["run"], "train")))
    with pytest.raises(ValueError, match="item 0 is str ''"):
        list(videos_of([""]))


def test_a_place_without_videos(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty' holds no videos"):
        list(videos_of(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"no file matches the pattern 'none/\*.mp4'"):
        list(videos_of("none/*.mp4"))
    with pytest.raises(FileNotFoundError, match=r"no such video, folder or pattern: none\.mp4"):
        list(videos_of("none.mp4"))


def test_each_video_is_listed_once(tmp_path):
    given = ["a.mp4", "./a.mp4", "b.mp4", "sub/../b.mp4", "s3://x//a.mp4", "s3://x/a.mp4"]
    with KnownVideos() as known:
        known.add(Video("done.mp4"))
        work = WorkList(tmp_path)
        spans = [Video("a.mp4", 1.0, 2.0), Video("a.mp4", 1.0, 3.0), Video("a.mp4", 1.0, 2.0)]
        assert work.write([*map(Video, given), Video("done.mp4"), *spans], known) == 6
    expected = ["a.mp4", "b.mp4", "s3://x//a.mp4", "s3://x/a.mp4"]
    assert work.read(0, 10) == [*map(Video, expected), *spans[:2]]
    assert work.read(1, 2) == [Video("b.mp4"), Video("s3://x//a.mp4")]
    assert work.read(5, 4) == [spans[1]]


def test_relative_paths_count_from_their_folder(tmp_path, monkeypatch):
    """One name in two folders is two videos, and a whole path is the video that it leads to."""
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        found += videos_of(
            ["a.mp4", "../one/a.mp4", str(tmp_path / "one" / "a.mp4"), "s3://x/a.mp4"]
        )
    assert [video.place for video in found[:3]] == [
        *(str(tmp_path / "one" / "a.mp4"), str(tmp_path / "one" / ".." / "one" / "a.mp4")),
        str(tmp_path / "one" / "a.mp4"),
    ]
    assert [video.folder for video in found[2:4]] == [None, None]
    with KnownVideos() as known:
        assert [known.add(video) for video in found] == [
            *(True, False, False, True), *(True, False, False, False),
        ]  # fmt: skip


def test_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"\xff caf\xc3\xa9\n.mp4")
    video = Video(name)
    work = WorkList(tmp_path)
    with KnownVideos() as known:
        assert work.write([video, Video("plain.mp4")], known) == 2
        assert not known.add(Video(video.text))  # as it is read from a part
    assert work.read(0, 2) == [video, Video("plain.mp4")]
    assert video.text == "\\xff café\n.mp4"
    assert video._replace(folder="/videos").place == f"/videos/{name}"
    json.dumps(video.text).encode("utf-8")


def test_memory_does_not_grow_with_the_number_of_videos(tmp_path):
    paths = (f"/videos/of/a/large/data/set/{number:09d}.mp4" for number in range(40_000))
    with KnownVideos() as known:
        tracemalloc.start()
        count = WorkList(tmp_path).write(videos_of(paths), known)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 40_000
    assert peak < 2**20  # a list of them would take 4 MiB
    assert WorkList(tmp_path).read(39_999, 3)[0].path.endswith("/000039999.mp4")


@pytest.mark.parametrize(
    ("videos", "workers", "largest", "size"),
    [(1, 2, 256, 1), (8, 2, 256, 1), (9, 2, 256, 2), (10**6, 2, 256, 256), (3000, 2, 256, 256)],
)
def test_a_worker_has_several_turns(videos, workers, largest, size):
    assert unit_size(videos, workers, largest) == size
