"""Which videos a command line names, in folders with every odd thing."""

import os
import socket

import pytest

from keras_mlp3d._utils.find_videos import VideoFinder


def found_in(*names):
    """[(path, error)], notes, and what was left out in words."""
    notes = []
    finder = VideoFinder([os.fspath(name) for name in names], notes.append, (".mp4", ".mkv"))
    return [(found.path, found.error) for found in finder], notes, finder.left_out


@pytest.fixture
def folder(tmp_path):
    """`a.mp4`, `b.MKV` and `sub/deep/c.mp4`."""
    folder = tmp_path / "videos"
    (folder / "sub" / "deep").mkdir(parents=True)
    for name in ("b.MKV", "a.mp4", "sub/deep/c.mp4"):
        (folder / name).touch()
    return folder


def test_files_and_folders_in_order(folder, tmp_path):
    for name in (".hidden.mp4", "notes.txt", "more.TXT", "README", "sub/x.json"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "a.mp4").touch()
    single = tmp_path / "anything.xyz"
    single.touch()
    found, notes, left_out = found_in(single, folder, folder / "a.mp4", "s3://bucket/a.mp4")
    inside = [str(folder / name) for name in ("a.mp4", "b.MKV", "sub/deep/c.mp4")]
    assert found == [
        (path, "") for path in (str(single), *inside, str(folder / "a.mp4"), "s3://bucket/a.mp4")
    ]
    assert notes == []
    assert left_out == "left out by their endings: 2 .txt, 1 without an ending, 1 .json"


def test_a_folder_keeps_the_form_in_which_it_is_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for given, path in ((".", "./a.mp4"), ("sub", "sub/deep/c.mp4"), ("sub/", "sub/deep/c.mp4")):
        assert found_in(given)[0][0] == (path, "")
    assert found_in("../videos/sub/deep")[0] == [("../videos/sub/deep/c.mp4", "")]


def test_what_is_not_there(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    os.symlink("nowhere", tmp_path / "link")
    names = ["absent.mp4", tmp_path / "empty", tmp_path / "texts", tmp_path / "link", folder]
    found, _, _ = found_in(*names)
    assert [path for path, _ in found[:4]] == [str(name) for name in names[:4]]
    assert [error for _, error in found[:4]] == [
        "no such video file or folder",
        "the folder holds no videos; files ending in .mp4, .mkv count",
        "the folder holds no videos; files ending in .mp4, .mkv count; the 1 files in it have "
        "other endings",
        "it is a link to nowhere, which does not exist",
    ]
    assert len(found) == 7


def test_links_are_followed_and_circles_end(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "d.mp4").touch()
    os.symlink(elsewhere, folder / "other")
    os.symlink("a.mp4", folder / "alias.mp4")
    os.symlink(folder, folder / "sub" / "up")
    os.symlink("..", folder / "sub" / "deep" / "back")
    os.symlink(folder, elsewhere / "home")
    found, notes, _ = found_in(folder)
    names = ["a.mp4", "alias.mp4", "b.MKV", "other/d.mp4", "sub/deep/c.mp4"]
    assert found == [(str(folder / name), "") for name in names]
    above = "is a link to a folder that it is in, and is not followed"
    assert sorted(notes) == [
        f"{folder / 'other' / 'home'} is the folder {folder}, which is read already",
        f"{folder / 'sub' / 'deep' / 'back'} {above}",
        f"{folder / 'sub' / 'up'} {above}",
    ]
    again, notes, _ = found_in(folder / "sub", folder / "sub")
    assert again == [(str(folder / "sub" / "deep" / "c.mp4"), "")]  # and nothing outside
    assert f"{folder / 'sub'} is the folder {folder / 'sub'}, which is read already" in notes


def test_many_links_to_each_other_cost_no_more_than_the_folders(tmp_path):
    for one in range(12):
        (tmp_path / f"{one:02d}").mkdir()
        (tmp_path / f"{one:02d}" / "a.mp4").touch()
    for one in range(12):
        for other in range(12):
            os.symlink(f"../{other:02d}", tmp_path / f"{one:02d}" / f"to{other:02d}")
    found, notes, _ = found_in(tmp_path)
    assert len(found) == 12
    assert len({os.path.realpath(path) for path, _ in found}) == 12
    assert len(notes) == 12 * 12


def test_broken_links_are_named(folder):
    os.symlink("gone.mp4", folder / "dangling.mp4")
    os.symlink("loop.mp4", folder / "loop.mp4")
    os.symlink("round", folder / "round")
    os.symlink("/nowhere/videos", folder / "old")
    os.symlink("gone.txt", folder / "dangling.txt")
    found, _, left_out = found_in(folder)
    wrong = {os.path.basename(path): error for path, error in found if error}
    assert wrong == {
        "dangling.mp4": "it is a link to gone.mp4, which does not exist",
        "loop.mp4": "it is a link that cannot be followed: Too many levels of symbolic links",
        "old": "it is a link to /nowhere/videos, which does not exist",
        "round": "it is a link that cannot be followed: Too many levels of symbolic links",
    }
    assert len(found) == 3 + 4
    assert left_out == "left out by their endings: 1 .txt"


def test_special_files_are_left_to_the_reader(folder, monkeypatch):
    os.mkfifo(folder / "pipe.mp4")
    os.mkfifo(folder / "pipe")
    (folder / "folder.mp4").mkdir()
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mkv")
    found, _, left_out = found_in(folder)
    names = [os.path.basename(path) for path, _ in found]
    assert names == ["a.mp4", "b.MKV", "pipe.mp4", "socket.mkv", "c.mp4"]
    assert left_out == "left out by their endings: 1 without an ending"


def test_folders_that_cannot_be_read(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "deep":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    found, _, _ = found_in(folder)
    assert found == [
        (str(folder / "a.mp4"), ""),
        (str(folder / "b.MKV"), ""),
        (str(folder / "sub" / "deep"), "the folder is unreadable: Permission denied"),
    ]


def test_folders_deeper_than_a_path_may_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
        open("a.mp4", "w").close()
    found, _, _ = found_in(tmp_path)
    *good, (path, error) = found
    assert len(good) > 15
    assert not any(error for _, error in good)
    assert (error, len(path) > 4000) == ("the folder is unreadable: File name too long", True)


def test_a_folder_of_numbered_pictures_is_a_video(folder):
    for name in ("clip1", "sub/clip2", "mixed"):
        (folder / name).mkdir()
        for number in (1, 2):
            (folder / name / f"{number:05d}.JPG").touch()
    (folder / "mixed" / "z.mp4").touch()
    (folder / "clip1" / "frames.json").touch()
    found, _, left_out = found_in(folder)
    names = ["a.mp4", "b.MKV", "clip1", "mixed/z.mp4", "sub/clip2", "sub/deep/c.mp4"]
    assert found == [(str(folder / name), "") for name in names]
    assert left_out == "left out by their endings: 1 .json"
    assert found_in(folder / "clip1")[0] == [(str(folder / "clip1"), "")]


def test_names_that_are_no_utf8(tmp_path):
    for name in (b"caf\xe9.mp4", b"a\nb\x1b[2J.mp4"):
        open(os.path.join(os.fsencode(tmp_path), name), "w").close()
    found, _, _ = found_in(tmp_path)
    assert [path for path, _ in found] == [
        str(tmp_path / "a\nb\x1b[2J.mp4"),
        str(tmp_path / "caf\udce9.mp4"),
    ]


def test_videos_come_as_they_are_found(tmp_path, monkeypatch):
    """Nothing below the second folder is looked at before it is its turn."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").touch()
    looked, scandir = [], os.scandir
    monkeypatch.setattr("os.scandir", lambda path: (looked.append(path), scandir(path))[1])
    videos = iter(VideoFinder([str(tmp_path)], None, (".mp4",)))
    assert next(videos).path == str(tmp_path / "1" / "a.mp4")
    assert looked == [str(tmp_path), str(tmp_path / "1")]
