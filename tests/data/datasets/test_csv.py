"""CSV files of `path,label[,start,end]`, right and wrong."""

import os

import pytest

from keras_mlp3d.data import VideoRow, read_csv


@pytest.fixture
def write(tmp_path):
    """Writes a CSV from lines, or bytes, and returns its path."""

    def call(*lines):
        path = tmp_path / "list.csv"
        content = lines[0] if isinstance(lines[0], bytes) else "\n".join(lines).encode() + b"\n"
        path.write_bytes(content)
        return path

    return call


def test_names_spans_and_places(write, tmp_path):
    path = write(
        "path,label,start,end",
        "a.mp4,run,,",
        "",
        "sub/b.mp4,jump, 0.5 ,2",
        '/c.mp4,"fall, hard",3,',
        "s3://bucket/d.mp4,run,,1e1",
    )
    manifest = read_csv(path, "val")
    assert manifest.class_names == ("fall, hard", "jump", "run")
    assert manifest.rows == (
        VideoRow(tmp_path / "a.mp4", 2),
        VideoRow(tmp_path / "sub" / "b.mp4", 1, 0.5, 2.0),
        VideoRow("/c.mp4", 0, 3.0),
        VideoRow("s3://bucket/d.mp4", 2, None, 10.0),
    )
    assert (manifest.split, manifest.root) == ("val", str(tmp_path))
    assert len(manifest.missing()) == 3


def test_columns_in_any_order_with_a_mark_and_other_line_ends(write, tmp_path):
    path = write(b"\xef\xbb\xbflabel, path\r\nrun,caf\xc3\xa9.mp4\r\n")
    assert read_csv(path).rows == (VideoRow(tmp_path / "café.mp4", 0),)


def test_stretches_of_one_file_are_different_rows(write):
    path = write("path,label,start,end", "a.mp4,run,0,1", "a.mp4,run,1,2", "a.mp4,run,,1")
    assert len(read_csv(path)) == 3


@pytest.mark.parametrize(
    ("labels", "class_names", "names", "numbers"),
    [
        (["2", "0"], None, ("0", "1", "2"), [2, 0]),
        (["2", "run"], None, ("2", "run"), [0, 1]),
        (["02", "1"], None, ("02", "1"), [0, 1]),
        (["run", "jump"], ["run", "jump", "fall"], ("run", "jump", "fall"), [0, 1]),
        (["1", "run"], ["run", "jump"], ("run", "jump"), [1, 0]),
        (["1", "0"], ["1", "0"], ("1", "0"), [0, 1]),  # a name before a number
        ([" run ", "jump"], None, ("jump", "run"), [1, 0]),
        (["9999999", "1"], None, ("1", "9999999"), [1, 0]),  # no ten million classes
    ],
)
def test_labels_are_names_or_numbers(write, labels, class_names, names, numbers):
    path = write("path,label", *(f"{i}.mp4,{label}" for i, label in enumerate(labels)))
    manifest = read_csv(path, class_names=class_names)
    assert manifest.class_names == names
    assert manifest.labels.tolist() == numbers


def test_root(write, tmp_path, monkeypatch):
    path = write("path,label", "a.mp4,run", "/b.mp4,run", "gs://x/c.mp4,run")
    paths = [row.path for row in read_csv(path, root="s3://bucket/clips/").rows]
    assert paths == ["s3://bucket/clips/a.mp4", "/b.mp4", "gs://x/c.mp4"]
    assert read_csv(path, root="/data").rows[0].path == os.path.join("/data", "a.mp4")
    monkeypatch.chdir(tmp_path)
    here = read_csv("list.csv")
    assert here.rows[0].path == "a.mp4"
    assert here.digest == read_csv(path).digest


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label,fps", "a,run,3"], r"line 1 has the unknown columns \['fps'\]"),
        (["path,start", "a,1"], r"line 1 lacks the columns \['label'\]; expected is path,label\["),
        (["path,label,label", "a,b,c"], r"line 1 repeats the columns \['label'\]"),
        (["path,label", "a,run", "b"], "line 3 must have 2 fields, .* and has 1"),
        (["path,label", "a,run,7"], "line 2 must have 2 fields, .* and has 3"),
        (["path,label", "a,run", "b,fly"], "line 3 has the label 'fly', which is none of the 2"),
        (["path,label", "a,2"], "line 2 has the label '2'"),
        (["path,label", "a,"], "line 2 has no label"),
        (["path,label", ",run"], "line 2 is wrong: `path` must name a file"),
        (["path,label,end,start", "a,run,1,2"], "line 2 is wrong: `end` must lie after `start`"),
        (["path,label,start", "a,run,-1"], "line 2 is wrong: `start` must be at least 0 seconds"),
        (["path,label,start", "a,run,nan"], "line 2 is wrong: `start` must be at least 0 seconds"),
        (["path,label,start", "a,run,x"], "line 2 is wrong: `start` must be seconds as a number"),
        (["path,label", "a,run", "", "./a,jump"], "line 4 repeats line 2: "),
        (["path,label,start,end", "a,run,1,2", "a,run,1.0,2"], "repeats line 2: .* from 1.0 s to"),
        (["path,label"], "the split 'train' is empty"),
        ([b""], "is empty; its first line must be path,label"),
        ([b"path,label\na,\xff\n"], "must be UTF-8"),
        ([b'path,label\n"a"b,run\n'], "line 2 is no CSV"),
        ([b"path,label\na\0.mp4,run\n"], "line 2 "),
    ],
)
def test_wrong_files_name_the_line(write, lines, message):
    path = write(*lines)
    with pytest.raises(ValueError, match=message) as info:
        read_csv(path, class_names=["run", "jump"])
    assert str(path) in str(info.value) or "is empty" in str(info.value)
    assert "\n" not in str(info.value)


def test_no_such_file_and_wrong_classes(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv does not exist"):
        read_csv(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="must be a CSV file, received"):
        read_csv(tmp_path)
    with pytest.raises(ValueError, match="`class_names` must be a list of distinct names"):
        read_csv(write("path,label", "a,run"), class_names=["run", "run"])
