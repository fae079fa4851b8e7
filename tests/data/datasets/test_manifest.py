"""Rows and manifests: what they refuse, their digest, and the CSV they write."""

import pathlib
import pickle
import unicodedata

import numpy as np
import pytest

from keras_mlp3d.data import Manifest, VideoRow, read_csv

ROWS = (VideoRow("a.mp4", 1), VideoRow("b.mp4", 0, 1.0, 2.5), VideoRow("b.mp4", 1, 2.5))


def manifest(rows=ROWS, class_names=("run", "jump"), split="train", **kwargs):
    return Manifest(rows, class_names, split, **kwargs)


def test_row_values_become_plain():
    row = VideoRow(pathlib.Path("x", "a.mp4"), np.int64(3), np.float32(0.5), 2)
    assert row == VideoRow("x/a.mp4", 3, 0.5, 2.0)
    assert [type(value) for value in (row.path, row.label, row.start, row.end)] == [
        str,
        int,
        float,
        float,
    ]
    assert VideoRow("s3://bucket/a.mp4", 0).path == "s3://bucket/a.mp4"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", 0), "path must"),
        ((7, 0), "path must"),
        (("a\0b", 0), "path must"),
        (("a", -1), "label must"),
        (("a", 1.0), "label must"),
        (("a", True), "label must"),
        (("a", "run"), "label must"),
        (("a", 0, -0.5), "start must be a number of at least 0, got -0.5"),
        (("a", 0, float("nan")), "start must"),
        (("a", 0, "1"), "start must"),
        (("a", 0, None, float("inf")), "end must"),
        (("a", 0, 2.0, 2.0), "end must be after start, got start 2.0 and end 2.0"),
        (("a", 0, None, 0), "end must be after"),
        (("a", 0, 3, 1), "end must be after"),
    ],
)
def test_wrong_rows(arguments, message):
    with pytest.raises(ValueError, match=message):
        VideoRow(*arguments)


def test_a_manifest_is_plain_data():
    made = manifest(list(ROWS), ["run", "jump"])
    assert len(made) == 3
    assert made.labels.dtype == np.int32
    assert made.labels.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        made.labels[0] = 0
    assert made == manifest()
    again = pickle.loads(pickle.dumps(made))
    assert (again, again.digest) == (made, made.digest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": ()}, "the split 'train' is empty"),
        ({"rows": (), "not_found": ["x"]}, "is empty; none of the 1 videos that it lists"),
        ({"rows": ("a.mp4",)}, "rows must hold VideoRow objects"),
        ({"class_names": ()}, "class_names must"),
        ({"class_names": "ab"}, "class_names must"),
        ({"class_names": ("run", "")}, "class_names must"),
        ({"class_names": ("run", "run")}, "got 'run' twice"),
        ({"class_names": ("run",)}, "the label of 'a.mp4' is 1, and class_names has 1 classes"),
        ({"split": ""}, "split must"),
        ({"rows": (*ROWS, VideoRow("./a.mp4", 0))}, r"rows 0 and 3 are the same video: './a.mp4'"),
        ({"rows": (*ROWS, ROWS[1])}, "rows 1 and 3 .* 'b.mp4' from 1.0 s to 2.5 s"),
    ],
)
def test_wrong_manifests(arguments, message):
    with pytest.raises(ValueError, match=message):
        manifest(**arguments)


def test_the_digest_tells_manifests_apart():
    others = [
        manifest(ROWS[:2]),
        manifest(ROWS[::-1]),
        manifest((VideoRow("a.mp4", 0), *ROWS[1:])),
        manifest((VideoRow("a.mp4", 1, 0.0), *ROWS[1:])),
        manifest((VideoRow("c.mp4", 1), *ROWS[1:])),
        manifest(class_names=("jump", "run")),
        manifest(split="val"),
    ]
    digests = {made.digest for made in [manifest(), *others]}
    assert len(digests) == 8
    assert all(len(digest) == 64 for digest in digests)
    # Written down: a hash that changes from version to version identifies nothing.
    expected = "cba4a378b5c0492f90d0d694ef001f9af1f48a3ae0fe882bb020bc2db0f2af87"
    assert manifest().digest == expected


def test_the_digest_survives_a_move(tmp_path):
    def at(root):
        rows = [VideoRow(f"{root}/x/a.mp4", 0), VideoRow("/elsewhere/b.mp4", 1)]
        return manifest(rows, root=root)

    assert at(tmp_path / "one").digest == at(tmp_path / "two").digest == at("s3://a/b").digest
    other = manifest(at(tmp_path / "one").rows, root=tmp_path / "two")
    assert other.digest != at(tmp_path / "one").digest
    assert manifest([VideoRow("caf\udce9.mp4", 0)]).digest  # a name that is no text


def test_missing_looks_at_local_paths(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "7").mkdir()
    rows = [
        VideoRow(tmp_path / "a.mp4", 0),
        VideoRow(tmp_path / "7", 0),
        VideoRow(tmp_path / "b.mp4", 1),
        VideoRow("s3://bucket/c.mp4", 1),
    ]
    assert manifest(rows).missing() == (rows[2],)


def test_select():
    made = manifest(root="/data", not_found=["x"])
    part = made.select(np.array([2, 0]))
    assert part.rows == (ROWS[2], ROWS[0])
    assert part.labels.tolist() == [1, 1]
    assert (part.class_names, part.split, part.root, part.not_found) == (
        made.class_names,
        "train",
        "/data",
        (),  # else each part of a data set would count all missing videos of the whole as wrong
    )
    for indices, message in (
        ([3], "got 3"),
        ([-1], "got -1"),
        ([0, 0], "same video"),
        ([], "empty"),
        ([0.0], "float64"),
        ([[0]], "shape"),
        ([True], "bool"),
    ):
        with pytest.raises(ValueError, match=message):
            made.select(indices)


def test_what_was_left_out_counts_for_nothing():
    made = manifest(left_out=[("notes.txt", "no video")])
    assert made.left_out == (("notes.txt", "no video"),)
    assert made.select([0]).left_out == made.left_out
    assert (made, made.digest) == (manifest(), manifest().digest)
    with pytest.raises(ValueError, match="left_out must be a sequence"):
        manifest(left_out="notes.txt")


def test_the_same_letters_are_the_same_class():
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    made = manifest(class_names=("run", decomposed))
    assert made.class_names == ("run", composed)
    assert (made, made.digest) == (
        manifest(class_names=("run", composed)),
        manifest(class_names=("run", composed)).digest,
    )
    with pytest.raises(ValueError, match="must be distinct"):
        manifest(class_names=(composed, decomposed))


def test_a_written_csv_reads_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        VideoRow(tmp_path / "x" / "a, 'b'\n.mp4", 0, 0.1, 1 / 3),
        VideoRow("x/c.mp4", 1),
        VideoRow("/elsewhere/d.mp4", 1, None, 5),
        VideoRow("gs://bucket/e.mp4", 0, 7),
    ]
    made = manifest(rows)
    made.write_csv("lists.csv")
    read = read_csv(tmp_path / "lists.csv", class_names=made.class_names)
    assert [row.path for row in read.rows] == [
        rows[0].path,
        str(tmp_path / "x/c.mp4"),
        "/elsewhere/d.mp4",
        "gs://bucket/e.mp4",
    ]
    assert [(r.label, r.start, r.end) for r in read.rows] == [
        (r.label, r.start, r.end) for r in rows
    ]
    assert (tmp_path / "lists.csv").read_text().splitlines()[-2:] == [
        "/elsewhere/d.mp4,jump,,5.0",
        "gs://bucket/e.mp4,run,7.0,",
    ]


def test_a_csv_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        manifest().write_csv(tmp_path / "a.csv")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.csv", "old")]
