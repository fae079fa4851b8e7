"""CSV files of videos, in all the forms that programs write them, right and wrong."""

import os
import unicodedata

import pytest

from keras_mlp3d.data import VideoRow, read_csv, read_manifest

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.fixture
def write(tmp_path):
    """Writes a CSV from lines, or bytes, and returns its path."""

    def call(*lines):
        path = tmp_path / "list.csv"
        content = lines[0] if isinstance(lines[0], bytes) else "\n".join(lines).encode() + b"\n"
        path.write_bytes(content)
        return path

    return call


def message_of(path, **options):
    with pytest.raises(ValueError) as info:
        read_csv(path, **options)
    message = str(info.value)
    assert "\n" not in message
    return message


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
    path = write("path,label,start,end", "a.mp4,run,0,1", "a.mp4,run,1,2", "a.mp4,run,,")
    assert len(read_csv(path)) == 3


# What programs write ---------------------------------------------------------------------------

TWO = [("a.mp4", "run"), ("b c.mp4", "jump")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label", '"{0}",{1}'),
        ("path;label", "{0};{1}"),
        ("path\tlabel", "{0}\t{1}"),
        ("path label", '"{0}" {1}'),
        ('"path","label"', '"{0}","{1}"'),
        ("PATH , Label", "{0},{1}"),
        ("label,path", "{1},{0}"),
        (",path,label", "{2},{0},{1}"),  # pandas
        ('"","path","label"', '"{2}","{0}","{1}"'),  # R, write.csv
        ('"path" "label"', '"{2}" "{0}" "{1}"'),  # R, write.table
        ("id;path;frames;label;fps", "7;{0};99;{1};2,5"),
        ("path,label,", "{0},{1},"),  # a spreadsheet
        (None, "{0},{1}"),
        (None, "{0};{1}"),
        (None, "{0}\t{1}"),
        (None, '"{0}" {1}'),
        (None, '  "{0}"    {1}  '),
        (None, "{2},{0},{1}"),
    ],
)
def test_separator_header_and_columns_are_found(tmp_path, end, mark, header, line):
    path = tmp_path / "list.csv"
    lines = [line.format(*pair, number) for number, pair in enumerate(TWO, start=1)]
    text = mark + end.join([header, *lines] if header else lines) + end
    path.write_text(text, encoding="utf-8", newline="")
    manifest = read_csv(path)
    assert [row.path for row in manifest.rows] == [str(tmp_path / name) for name, _ in TWO]
    assert [manifest.class_names[row.label] for row in manifest.rows] == ["run", "jump"]


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        (["file;class", "a.mp4;run"], {"columns": {"path": "file", "label": "class"}}),
        (["FILE;class", "a.mp4;run"], {"columns": {"path": "file", "label": "class"}}),
        (["path;class", "a.mp4;run"], {"columns": {"label": "class"}}),
        (["path,path2,label", "x,a.mp4,run"], {"columns": {"path": "path2"}}),
        (["i,name,video", "0,run,a.mp4"], {"columns": {"path": 3, "label": 2}}),
        (["0,run,a.mp4"], {"columns": {"path": 3, "label": 2}}),
        (["path,label", "a.mp4,run"], {"columns": {"path": 1, "label": 2}}),
        (["a.mp4 99 run"], {"columns": {"path": 1, "label": 3}}),
        (["a.mp4;run"], {"separator": "semicolon", "header": False}),
        (["a.mp4;run"], {"separator": ";"}),
        (["path,label", "a.mp4,run"], {"separator": "comma", "header": True}),
        (["0 a.mp4 run"], {"separator": "space"}),
        (["u,v", "a.mp4,run"], {"columns": {"path": "u", "label": "v"}, "header": True}),
        (["path,start", "a.mp4,run"], {"columns": {"label": "start"}}),
    ],
)
def test_separator_header_and_columns_are_given(write, tmp_path, lines, options):
    for manifest in (read_csv(write(*lines), **options), read_manifest(write(*lines), **options)):
        assert manifest.rows == (VideoRow(tmp_path / "a.mp4", 0),)
        assert manifest.class_names == ("run",)


def test_folders_of_pictures_without_a_header(write, tmp_path):
    (tmp_path / "7").mkdir()
    assert read_csv(write("7 0", "8 1")).rows[1].path == str(tmp_path / "8")
    assert read_csv(write("x/7 0", "x/8 1")).rows[1].path == str(tmp_path / "x" / "8")
    assert read_csv(write("clip7 0", "clip8 1"), header=False).class_names == ("0", "1")
    # A word is the name of a column rather than that of a folder which happens to be there.
    (tmp_path / "file").mkdir()
    assert "columns={'path': 'file', 'label': 'class'}" in message_of(write("file,class", "a,b"))


@pytest.mark.parametrize(
    ("lines", "options", "parts"),
    [
        # Other names of columns.
        (["file;class"], {}, ["line 1", "semicolon", "columns={'path': 'file', 'label': 'class'}"]),
        (["path,category"], {}, ["lacks the columns ['label']", "--columns label=category"]),
        (["u,v"], {}, ["['u', 'v']", "such as columns=", "header=False (--no-header)"]),
        (["u,v"], {"columns": {"path": "w"}}, ["['w', 'label']", "['u', 'v']"]),
        (["u,label"], {"columns": {"path": "w"}}, ["['w']", "['u', 'label']"]),
        (["path,label"], {"columns": {"start": "s"}}, ["lacks the columns ['s']"]),
        (["path,label"], {"separator": "tab"}, ["tab", "['path,label']", "separator is another"]),
        (["video path,class"], {}, ["'video path'"]),
        (["path,my class"], {"columns": {"path": "class"}}, ["['class', 'label']"]),
        # No header.
        (["run,a.mp4"], {}, ["columns={'path': 2, 'label': 1} (--columns path=2,label=1)"]),
        (["x/a 99 0"], {}, ["3 fields", "columns={'path': 1, 'label': 3}"]),
        (["a.mp4,run,1,0:02"], {}, ["4 fields", "'label': 2, 'start': 3, 'end': 4}"]),
        (["a.mp4,run,1"], {"columns": {"path": 1}}, ["names no columns", "['label']"]),
        (["a.mp4,run"], {"columns": {"path": 1, "label": 3}}, ["[1, 3]", "['a.mp4', 'run']"]),
        (["a.mp4,run"], {"header": True}, ["lacks the columns ['path', 'label']"]),
        (["clip1 3"], {}, ["separated by space", "--no-header"]),
        (["a.mp4"], {}, ["['a.mp4']", "no more than a video"]),
        (["a.mp4 0", "b c.mp4 1"], {}, ["line 2", "2 fields", "has 3", "in double quotes"]),
    ],
)
def test_what_was_found_and_what_would_do(write, lines, options, parts):
    message = message_of(write(*lines), **options)
    assert "list.csv, line " in message
    for part in parts:
        assert part in message, (part, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "|"}, "separator must be one of"),
        ({"separator": [","]}, "separator must be one of"),
        ({"header": "yes"}, "header must be True, False or None"),
        ({"columns": "path=file"}, "columns must be a dictionary"),
        ({"columns": {}}, "columns must be a dictionary"),
        ({"columns": {"file": "path"}}, "columns must have keys among"),
        ({"columns": {"path": 0}}, "columns must give 'path' the name of a column"),
        ({"columns": {"path": " "}}, "columns must give 'path' the name of a column"),
        ({"columns": {"path": True}}, "columns must give 'path' the name of a column"),
        ({"columns": {"path": "label"}}, "columns must name different columns"),
    ],
)
def test_wrong_options(write, options, message):
    assert message in message_of(write("path,label", "a,run"), **options)


def test_times_under_other_names_are_not_ignored_in_silence(write, caplog):
    path = write("path,label,time_start,fps", "a.mp4,run,3,25")
    assert read_csv(path).rows[0].start is None
    assert "'time_start' is ignored" in caplog.text
    assert "--columns start=time_start" in caplog.text
    caplog.clear()
    assert read_csv(path, columns={"start": "time_start"}).rows[0].start == 3.0
    assert not caplog.text


# Labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "class_names", "names", "numbers"),
    [
        (["2", "0", "1"], None, ("0", "1", "2"), [2, 0, 1]),
        ([f"{n}.0" for n in range(12)], None, tuple(map(str, range(12))), [*range(12)]),
        (["1.0", "0", "1"], None, ("0", "1"), [1, 0, 1]),
        (["1.00", "0.0"], ["run", "jump"], ("run", "jump"), [1, 0]),
        (["1.0", "0.0"], ["1.0", "0.0"], ("1.0", "0.0"), [0, 1]),  # names
        (["1.5", "0.0"], None, ("0.0", "1.5"), [1, 0]),
        (["2", "run"], None, ("2", "run"), [0, 1]),
        (["02", "1"], None, ("02", "1"), [0, 1]),
        (["run", "jump"], ["run", "jump", "fall"], ("run", "jump", "fall"), [0, 1]),
        (["1", "run"], ["run", "jump"], ("run", "jump"), [1, 0]),
        (["1", "0"], ["1", "0"], ("1", "0"), [0, 1]),  # a name before a number
        (["1", "3"], ["1", "2", "3"], ("1", "2", "3"), [0, 2]),
        (["1.0", "3.00"], ["1", "2", "3"], ("1", "2", "3"), [0, 2]),
        (["2.0", "10"], ["0", "10", "2"], ("0", "10", "2"), [2, 1]),
        (["1.0", "1"], ["1", "1.0"], ("1", "1.0"), [1, 0]),
        ([" run ", "jump"], None, ("jump", "run"), [1, 0]),
        (["9999999", "1"], None, ("1", "9999999"), [1, 0]),  # no ten million classes
        ([NFC, NFD, "a"], None, ("a", NFC), [1, 1, 0]),
        ([NFD], ["a", NFC], ("a", NFC), [1]),
        ([NFC], ["a", NFD], ("a", NFC), [1]),
    ],
)
def test_labels_are_names_or_numbers(write, labels, class_names, names, numbers):
    path = write("path,label", *(f"{i}.mp4,{label}" for i, label in enumerate(labels)))
    manifest = read_csv(path, class_names=class_names)
    assert manifest.class_names == names
    assert manifest.labels.tolist() == numbers


@pytest.mark.parametrize(
    ("labels", "class_names", "parts"),
    [
        (range(10, 0, -1), None, ["line 11", "'1'", "1 to 10", "start at 0", "1,2,...,10"]),
        ([2, 1], None, ["line 3", "1 to 2", "class_names (--class-names), which are 1,2 "]),
        ([0, -1], None, ["line 3", "'-1'", "at least 0"]),
        ([0, 2], ["run", "jump"], ["line 3", "'2'", "numbers go from 0 to 1"]),
        (["run", "Jump"], ["run", "jump"], ["line 3", "'Jump'", "there is the class 'jump'"]),
        (["run", "fly"], ["run", "jump"], ["'fly', which is none of the 2 classes"]),
        ([1, 0], ["1", "2"], ["line 3", "'0'", "as the label '1' is the name of one"]),
        (["0.0", "2.0"], ["1", "2"], ["line 2", "'0.0'", "as the label '2.0' is the name"]),
        (["run", "0", "2"], ["run", "2"], ["line 3", "'0'", "as the label '2' is the name"]),
    ],
)
def test_labels_that_cannot_be_meant(write, labels, class_names, parts):
    path = write("path,label", *(f"{i}.mp4,{label}" for i, label in enumerate(labels)))
    message = message_of(path, class_names=class_names)
    for part in parts:
        assert part in message, (part, message)


def test_numbers_without_a_video_are_told(write, caplog):
    path = write("path,label", "a.mp4,0", "b.mp4,3")
    assert read_csv(path).class_names == ("0", "1", "2", "3")
    assert "of the classes 0 to 3, 2 have no video, such as 1, 2" in caplog.text


def test_numbers_that_may_count_from_1_are_told(write, caplog):
    path = write("path,label", "a.mp4,1", "b.mp4,2")
    assert read_csv(path, class_names=["run", "jump", "fall"]).labels.tolist() == [1, 2]
    assert "no video has the label 0, the class 'run'" in caplog.text
    caplog.clear()
    read_csv(path, class_names=["1", "2"])
    read_csv(write("path,label", "a.mp4,0", "b.mp4,2"), class_names=["run", "jump", "fall"])
    read_csv(write("path,label", "a.mp4,jump"), class_names=["run", "jump", "fall"])
    assert not caplog.text


# Splits ----------------------------------------------------------------------------------------


def names_of(manifest):
    return "".join(os.path.basename(row.path)[0] for row in manifest.rows)


@pytest.mark.parametrize("header", ["path,label,split", "Split,path,label", "path,label,subset"])
def test_a_column_names_the_split_of_each_line(write, header):
    columns = {"split": "subset"} if "subset" in header else None
    fields = [("a", "run", "train"), ("b", "jump", "validation"), ("c", "", "test"),
              ("d", "jump", "Training "), ("e", "run", "val"), ("f", "run", "train")]  # fmt: skip
    lines = [f"{name}.mp4,{label},{split}" for name, label, split in fields]
    if header.startswith("Split"):
        lines = [f"{split},{name}.mp4,{label}" for name, label, split in fields]
    path = write(header, *lines)
    found = {
        split: names_of(read_csv(path, split, columns=columns))
        for split in ("train", "training", "val", "valid")
    }
    assert found == {"train": "adf", "training": "adf", "val": "be", "valid": "be"}
    # Unlabeled lines are no fault of the others.
    assert "line 4 has no label" in message_of(path, split="test", columns=columns)


def test_all_splits_of_a_table_have_the_same_classes(write):
    text = write("path,label,split", "a.mp4,run,train", "b.mp4,jump,val", "c.mp4,?,test")
    for split, labels in {"train": [2], "val": [1]}.items():
        assert read_csv(text, split).class_names == ("?", "jump", "run")
        assert read_csv(text, split).labels.tolist() == labels
        assert read_csv(text, split, ["jump", "run"]).class_names == ("jump", "run")
    lines = "a.mp4,2,train", "b.mp4,1,val", "c.mp4,0,test", "d.mp4,-1,test"
    numbers = write("path,label,split", *lines)
    for split, labels in {"train": [2], "val": [1]}.items():
        assert read_csv(numbers, split).class_names == ("0", "1", "2")
        assert read_csv(numbers, split).labels.tolist() == labels
    assert "line 5 has the label '-1'" in message_of(numbers, split="test")


def test_a_split_that_the_column_lacks(write):
    path = write("path,label,split", "a.mp4,run,train", "b.mp4,run,test")
    message = message_of(path, split="val")
    assert "has no row of the split 'val': its column 'split' has 'test', 'train'" in message


@pytest.mark.parametrize("column", [["val", "val"], ["1", "2"], ["", ""]])
def test_a_column_that_tells_no_splits_apart_is_told(write, caplog, column):
    path = write("path,label,split", f"a.mp4,run,{column[0]}", f"b.mp4,jump,{column[1]}")
    assert names_of(read_csv(path, "train")) == "ab"
    shown = ", ".join(map(repr, sorted({*column})))
    assert (
        f"all rows are read as the split 'train', whatever their column 'split' has: {shown}"
        in (caplog.text)
    )
    caplog.clear()
    if column[0]:
        assert "a" in names_of(read_csv(path, column[0]))
        assert not caplog.text


def test_lines_of_no_split_are_told(write, caplog):
    path = write("path,label,split", "a.mp4,run,train", "b.mp4,run,", "c.mp4,run,train")
    assert names_of(read_csv(path)) == "ac"
    assert "1 rows are left out, as their column 'split' is empty" in caplog.text


def test_a_column_that_may_be_the_split_is_told(write, caplog):
    read_csv(write("path,label,subset", "a.mp4,run,train", "b.mp4,run,val"))
    assert "the column 'subset' is ignored; if it is the split that a row belongs to" in caplog.text
    assert "columns={'split': 'subset'} (--columns split=subset)" in caplog.text


def test_a_part_from_the_beginning_is_the_whole(write):
    message = message_of(write("path,label,start", "a.mp4,run,", "a.mp4,run,0"))
    assert "line 3 repeats line 2" in message


# Paths and times -------------------------------------------------------------------------------


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
    ("listed", "there"),
    [
        (" a.mp4", "a.mp4"),
        ("a.mp4  ", "a.mp4"),
        ("\u00a0a.mp4", "a.mp4"),
        (f"{NFC}.mp4", f"{NFD}.mp4"),
        (f"{NFD}.mp4", f"{NFC}.mp4"),
        (f" {NFD}.mp4", f"{NFC}.mp4"),
        ("x\\a.mp4", "x/a.mp4"),
    ],
)
def test_a_path_that_is_there_in_another_spelling(write, tmp_path, listed, there):
    (tmp_path / "x").mkdir()
    path = write("label,path", "run,b.mp4", f'run,"{listed}"')
    assert read_csv(path).rows[1].path == str(tmp_path / listed)  # neither is there
    (tmp_path / there).touch()
    message = message_of(path)
    show = repr if there.isascii() else ascii
    assert "line 3 has the path" in message
    assert show(listed) in message
    assert show(there) in message
    (tmp_path / listed).touch()
    assert read_csv(path).rows[1].path == str(tmp_path / listed)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("62", 62.0),
        (" 1e1 ", 10.0),
        ("0:01", 1.0),
        ("1:02", 62.0),
        ("01:02.5", 62.5),
        ("90:00", 5400.0),
        ("00:01:02", 62.0),
        ("1:1:2.25", 3662.25),
        ("10:59:59.999", 39599.999),
    ],
)
def test_times(write, text, seconds):
    assert read_csv(write("path,label,start", f"a.mp4,run,{text}")).rows[0].start == seconds


@pytest.mark.parametrize("text", ["1:75", "1:60", "1:61:00", "1:2:3:4", "-1:00", "1;5", "1_0", "x"])
def test_times_that_are_none(write, text):
    message = message_of(write("path,label,start", f"a.mp4,run,{text}"))
    assert "line 2 is wrong: start must be seconds as a number" in message
    assert "hh:mm:ss" in message
    assert repr(text) in message


# Bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na,run\n".encode("utf-16"), "is UTF-16 text"),
        ("path,label\na,run\n".encode("utf-16-be"), "is UTF-16 text or no text at all"),
        ("path,label\na,run\n".encode("utf-32"), "is UTF-32 text"),
        ("path,label\na,run\nb,café\n".encode("latin-1"), "line 3 is not: 'caf\\udce9'"),
        ("päth,label\na,run\n".encode("latin-1"), "line 1 is not: 'p\\udce4th'"),
        ("path,label\na,run\ncafé,run\n".encode("latin-1"), "line 3 is not: 'caf\\udce9'"),
        (b"PK\x03\x04\x14\0\0\0", "is a ZIP file, as Excel workbooks are"),
        (b"\x1f\x8b\x08\0", "is a gzip file"),
        (b"\0" * 40, "UTF-16 text or no text at all"),
    ],
)
def test_what_is_not_utf8(write, content, message):
    found = message_of(write(content))
    assert "list.csv must be UTF-8 text" in found
    assert message in found


def test_a_file_name_that_is_no_text(write, tmp_path):
    name = b"caf\xe9.mp4"
    try:
        (tmp_path / os.fsdecode(name)).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    manifest = read_csv(write(b"path,label\n" + name + b",run\n"))
    assert not manifest.missing()
    manifest.write_csv(tmp_path / "again.csv")
    assert read_csv(tmp_path / "again.csv").rows == manifest.rows


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,start", "a,1"], r"line 1 lacks the columns \['label'\]; expected is path,label\["),
        (["path,label,label", "a,b,c"], r"line 1 repeats the columns \['label'\]"),
        (["path,label", "a,run", "b"], "line 3 must have 2 fields, .* and has 1"),
        (["path,label", "a,run,7"], "line 2 must have 2 fields, .* and has 3"),
        (["path,label", "a,run", "b,fly"], "line 3 has the label 'fly', which is none of the 2"),
        (["path,label", "a,2"], "line 2 has the label '2'"),
        (["path,label", "a,"], "line 2 has no label"),
        (["path,label", ",run"], "line 2 is wrong: path must name a file"),
        (["path,label", "  ,run"], "line 2 is wrong: path must name a file"),
        (["path,label,end,start", "a,run,1,2"], "line 2 is wrong: end must be after start"),
        (["path,label,start", "a,run,-1"], "2 is wrong: start must be a number of at least 0"),
        (["path,label,start", "a,run,nan"], "2 is wrong: start must be a number of at least 0"),
        (["path,label,start", "a,run,x"], "line 2 is wrong: start must be seconds as a number"),
        (["path,label", "a,run", "", "./a,jump"], "line 4 repeats line 2: "),
        (["path,label", "a,run", ",,", "./a,jump"], "line 4 repeats line 2: "),
        (["path,label,start,end", "a,run,1,2", "a,run,1.0,2"], "repeats line 2: .* from 1.0 s to"),
        (["path,label"], "the split 'train' is empty"),
        ([b""], "is empty; its first line must be path,label"),
        ([b"\n \n"], "is empty; its first line must be path,label"),
        ([b"path,label\na,\xff\n"], "must be UTF-8"),
        ([b'path,label\n"a"b,run\n'], "line 2 is no CSV"),
        ([b'"path"x,label\na,run\n'], "line 1 is no CSV"),
        ([b"path,label\na\0.mp4,run\n"], "line 2 "),
        ([b"path,label\n" + b"a" * 200_000 + b",run\n"], "line 2 is no CSV"),
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
    with pytest.raises(ValueError, match="must be a CSV file, got"):
        read_csv(tmp_path)
    for names in (["run", "run"], [NFC, NFD], "run", [], {"run", "jump"}, {"run": 1, "jump": 0}):
        with pytest.raises(ValueError, match="class_names must be a list of distinct names"):
            read_csv(write("path,label", "a,run"), class_names=names)
