"""Folders of class folders."""

import pytest

from keras_mlp3d.data import VideoRow, read_folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


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
    with pytest.raises(ValueError, match="train holds no video"):
        read_folder(tmp_path, "test")


def test_a_class_may_have_the_name_of_the_split(tmp_path):
    touch(tmp_path, "train/a.mp4", "plane/b.mp4")
    assert read_folder(tmp_path, "train").class_names == ("plane", "train")


@pytest.mark.parametrize(
    ("files", "class_names", "error", "message"),
    [
        (["a.mp4"], None, ValueError, "one sub-folder a class"),
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
    with pytest.raises(ValueError, match="folder of class folders, received"):
        read_folder(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="must be a path, received 7"):
        read_folder(7)
