"""Folders of class folders."""

import os
import socket
import unicodedata

import pytest

from keras_mlp3d.data import VideoRow, read_folder

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()


def test_classes_and_videos_are_sorted(tmp_path):
    touch(tmp_path, "run/b.mp4", "run/a.WEBM", "jump/z.mkv")
    touch(tmp_path, "run/.c.mp4", "run/notes.txt", "run/deep/d.mp4", ".hidden/e.mp4", "list.csv")
    (tmp_path / "run" / "f.mp4").mkdir()
    manifest = read_folder(tmp_path, "val")
    assert manifest.class_names == ("jump", "run")
    assert manifest.rows == (
        VideoRow(tmp_path / "jump" / "z.mkv", 0),
        VideoRow(tmp_path / "run" / "a.WEBM", 1),
        VideoRow(tmp_path / "run" / "b.mp4", 1),
    )
    assert (manifest.split, manifest.root, manifest.not_found) == ("val", str(tmp_path), ())
    assert manifest.missing() == ()


def test_class_names_set_the_labels(tmp_path):
    touch(tmp_path, "b/1.mp4", "b/0.avi", "a/x.mov")
    manifest = read_folder(str(tmp_path), class_names=["b", "a"])
    assert [row.path for row in manifest.rows] == [
        str(tmp_path / name) for name in ("b/0.avi", "b/1.mp4", "a/x.mov")
    ]
    assert manifest.labels.tolist() == [0, 0, 1]
    assert manifest.class_names == ("b", "a")


def test_a_sub_folder_for_each_split(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/jump/b.mp4", "val/run/c.mp4")
    assert len(read_folder(tmp_path, "train")) == 2
    val = read_folder(tmp_path, "val")
    assert (val.class_names, val.root) == (("run",), str(tmp_path / "val"))
    with pytest.raises(ValueError, match=r"not named: \[\]"):
        read_folder(tmp_path, "val", ["run", "jump"])
    with pytest.raises(ValueError, match=r"no folder 'test'; .* are \['train', 'val'\]"):
        read_folder(tmp_path, "test")


def test_a_class_may_have_the_name_of_the_split(tmp_path):
    touch(tmp_path, "train/a.mp4", "plane/b.mp4")
    assert read_folder(tmp_path, "train").class_names == ("plane", "train")


@pytest.mark.parametrize(
    ("files", "split", "parts"),
    [
        (["train/run/a.mp4", "validation/run/b.mp4"], "val", ["'val'", "['train', 'validation']"]),
        (["Train/run/a.mp4"], "train", ["no folder 'train'", "['Train']"]),
        (["train/run/a.mp4", "run/a.mp4"], "val", ["no folder 'val'", "['train']"]),
        (["train/run/a.mp4", "val/"], "val", ["val has none", "is nothing", "['train']"]),
        (["train/run/a.mp4", "val/b.mp4"], "val", ["val has none", "1 x video", "['train']"]),
        (["train/a.mp4", "val/b.mp4"], "train", ["the splits ['train', 'val']", "train/run"]),
        (["train/a.mp4"], "train", ["the splits ['train']", "hold no class folders"]),
        (
            ["run/a.txt", "run/b.txt", "run/c/"],
            "val",
            ["run holds no video", "2 x file"],
        ),
        (["run/"], "val", ["run holds no video"]),
        (["a.mp4", "b.mp4"], "val", ["one sub-folder per class", "2 x video"]),
        ([], "val", ["one sub-folder per class", "nothing"]),
    ],
)
def test_folders_of_another_layout(tmp_path, files, split, parts):
    touch(tmp_path, *files)
    with pytest.raises(ValueError) as info:
        read_folder(tmp_path, split)
    for part in parts:
        assert part in str(info.value), (part, str(info.value))


def test_classes_with_the_names_of_splits(tmp_path):
    touch(tmp_path, "run/a.mp4", "test/b.mp4", "test/old/c.mp4")
    assert read_folder(tmp_path, "val").class_names == ("run", "test")
    touch(tmp_path, "one/train/a.mp4", "one/val/b.mp4")
    named = read_folder(tmp_path / "one", "val", ["val", "train"])
    assert named.class_names == ("val", "train")


@pytest.mark.parametrize("layout", ["", "train"])
def test_what_is_left_out(tmp_path, layout, monkeypatch):
    """Each kind of thing that is no row, told with its path, in both layouts."""
    data = tmp_path / "data" / layout
    run = data / "run"
    touch(data, "run/a.mp4", "run/notes.TXT", "run/README", "run/.hidden", "run/deep/b.mp4")
    touch(data, "jump/c.mp4", ".hidden/d.mp4", "e.mp4", "list.csv")
    monkeypatch.chdir(run)  # names of sockets are short
    os.mkfifo("pipe.mp4")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.mp4")
    for name, target in (
        ("run/dangling.mp4", "nowhere.mp4"),
        ("run/self.mp4", "self.mp4"),
        ("run/one.mp4", "two.mp4"),
        ("run/two.mp4", "one.mp4"),
        ("run/up", ".."),
        ("run/device.mp4", "/dev/null"),
        ("run/good.mp4", "../jump/c.mp4"),
        ("gone", "nowhere"),
        ("again", "."),
        ("top", "/"),
        ("linked", "jump"),
    ):
        (data / name).symlink_to(target)
    manifest = read_folder(tmp_path / "data", "train")
    assert manifest.class_names == ("jump", "linked", "run")
    assert [os.path.relpath(row.path, data) for row in manifest.rows] == [
        "jump/c.mp4",
        "linked/c.mp4",
        "run/a.mp4",
        "run/good.mp4",
    ]
    assert [(os.path.relpath(path, data), reason) for path, reason in manifest.left_out] == [
        ("again", "link to a folder that it is in"),
        ("e.mp4", "file in no class folder"),
        ("gone", "link to nothing"),
        ("list.csv", "file in no class folder"),
        ("top", "link to a folder that it is in"),
        ("run/README", "file without an ending"),
        ("run/dangling.mp4", "link to nothing"),
        ("run/deep", "folder in a class folder"),
        ("run/device.mp4", "device"),
        ("run/notes.TXT", "file with the unknown ending '.TXT'"),
        ("run/one.mp4", "link that leads to itself"),
        ("run/pipe.mp4", "named pipe"),
        ("run/self.mp4", "link that leads to itself"),
        ("run/socket.mp4", "socket"),
        ("run/two.mp4", "link that leads to itself"),
        ("run/up", "link to a folder that it is in"),
    ]


def test_what_is_beside_the_splits_is_left_out(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "val/run/b.mp4", "c.mp4", "train/d.mp4")
    assert read_folder(tmp_path, "train").left_out == (
        (str(tmp_path / "c.mp4"), "file in no class folder"),
        (str(tmp_path / "train" / "d.mp4"), "file in no class folder"),
    )


def test_class_names_in_another_unicode_form(tmp_path):
    touch(tmp_path, f"{NFC}/b.mp4", f"{NFD}/a.mp4", "run/c.mp4")
    if len(os.listdir(tmp_path)) < 3:
        pytest.skip("this file system takes both for one")
    manifest = read_folder(tmp_path)
    assert (manifest.class_names, manifest.labels.tolist()) == ((NFC, "run"), [0, 0, 1])
    named = read_folder(tmp_path, "val", ["run", NFD])
    assert (named.class_names, named.labels.tolist()) == (("run", NFC), [0, 1, 1])


@pytest.mark.parametrize(
    ("files", "class_names", "error", "message"),
    [
        (["a.mp4"], None, ValueError, "one sub-folder per class"),
        (["run/a.mp4", "jump/notes.txt"], None, ValueError, r"class folder \S*jump holds no video"),
        (
            ["run/a.mp4"],
            ["jump"],
            ValueError,
            r"folder: \['jump'\], not named: \['run'\]",
        ),
        (["run/a.mp4"], ["run", "run"], ValueError, "distinct"),
        (["run/a.mp4"], "run", ValueError, "distinct"),
    ],
)
def test_wrong_folders(tmp_path, files, class_names, error, message):
    touch(tmp_path, *files)
    with pytest.raises(error, match=message):
        read_folder(tmp_path, "train", class_names)


def test_no_folder(tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="folder of class folders, got"):
        read_folder(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="must be a path, got 7"):
        read_folder(7)
