"""Files of results: rows as they come, resumed whatever comes between; others' files are left."""

import csv
import errno
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

from keras_mlp3d.cli.results_file import ResultsFile

SETTINGS = {
    "preset": "mine", "model": "0123456789abcdef", "clips": 1, "crops": 3, "top_k": 2,
    "frames": 8, "size": [32, 32],
}  # fmt: skip
GOOD = {
    "error": None, "labels": ["run", 'jump, "high"\n'], "scores": [0.75, 1e-7],
    "frame_indices": [[0, 2, 4]], "frame_times": [[0.0, 0.08, 0.16]],
}  # fmt: skip
BAD = {
    "error": "no such video file", "labels": [], "scores": [], "frame_indices": None,
    "frame_times": None,
}  # fmt: skip
ODD = ["a.mp4", "b c,d.mp4", 'e"f.mp4', "g\nh\r.mp4", "caf\udce9.mp4", "ü☃.mp4", "\x1b[2J.mp4"]

both = pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])


def write(path, rows, settings=SETTINGS):
    """Runs a command that adds `{path: row}`, those left out that are done; returns what it did."""
    with ResultsFile(path) as results:
        results.start(settings, 2)
        todo = {video: row for video, row in rows.items() if not results.is_done(video)}
        for video, row in todo.items():
            results.write(video, row)
    return list(todo)


def read(path):
    """[(path, error, labels, scores)] of the rows, as any reader of CSV or JSON reads them."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        assert all(row["settings"] == SETTINGS for row in rows)
        return [(row["path"], row["error"], row["labels"], row["scores"]) for row in rows]
    found = []
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file, strict=True):
            assert json.loads(row["settings"]) == SETTINGS
            labels, scores = ([row[f"{what}_{k}"] for k in (1, 2)] for what in ("label", "score"))
            wrong = row["error"] or None
            scores = [] if wrong else [float(score) for score in scores]
            found.append((row["path"], wrong, [] if wrong else labels, scores))
    return found


def expected(rows):
    return [(path, row["error"], row["labels"], row["scores"]) for path, row in rows.items()]


@both
def test_rows_come_back_as_they_were(tmp_path, name):
    rows = {path: BAD if "c" in path else GOOD for path in ODD}
    path = tmp_path / name
    assert write(path, rows) == ODD
    assert read(path) == expected(rows)
    good = [video for video in ODD if rows[video] is GOOD]
    with ResultsFile(path, wanted=ODD) as results:
        assert results.count == len(good)
        assert [video for video in ODD if results.is_done(video)] == good
        for video in good:
            row = results.row(video)
            assert (row["path"], row["settings"]) == (video, SETTINGS)
            assert {key: row[key] for key in GOOD} == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@both
def test_a_row_is_in_the_file_when_write_returns(tmp_path, name):
    path, lengths = tmp_path / name, []
    with ResultsFile(path) as results:
        results.start(SETTINGS, 2)
        for video in ODD:
            results.write(video, GOOD)
            lengths.append(path.stat().st_size)
            assert read(path)[-1][0] == video
    assert lengths == sorted(set(lengths))


@both
def test_a_row_is_one_write(tmp_path, name, monkeypatch):
    writes = []

    class Counted:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            writes.append(bytes(data))
            return self._file.write(data)

        def __getattr__(self, name):
            return getattr(self._file, name)

    with ResultsFile(tmp_path / name) as results:
        results.start(SETTINGS, 2)
        results._file = Counted(results._file)
        for video in ODD:
            results.write(video, GOOD)
    assert len(writes) == len(ODD)
    assert all(data.endswith(b"\n") for data in writes)


# Resuming ---------------------------------------------------------------------------------------


@both
def test_failed_rows_are_tried_again_and_replaced(tmp_path, name):
    path = tmp_path / name
    rows = {"a.mp4": GOOD, "b.mp4": BAD, "c.mp4": BAD, "d.mp4": GOOD}
    write(path, rows)
    assert write(path, {**rows, "b.mp4": GOOD}) == ["b.mp4", "c.mp4"]
    order = ["a.mp4", "d.mp4", "b.mp4", "c.mp4"]
    assert read(path) == expected({video: {**rows, "b.mp4": GOOD}[video] for video in order})
    assert write(path, {"e.mp4": GOOD}) == ["e.mp4"]  # of another command: the failed row stays
    assert [row[0] for row in read(path)] == [*order, "e.mp4"]


@both
def test_failed_rows_of_a_killed_run_are_replaced_too(tmp_path, name):
    path = tmp_path / name
    write(path, {"a.mp4": BAD, "b.mp4": BAD})
    with ResultsFile(path) as results:
        results.start(SETTINGS, 2)
        for row in (BAD, BAD, GOOD):
            results.write("a.mp4", row)
        results._stale.clear()  # killed before the file is tidied up
    assert [row[:2] for row in read(path)] == [
        ("a.mp4", BAD["error"]), ("b.mp4", BAD["error"]),
        ("a.mp4", BAD["error"]), ("a.mp4", BAD["error"]), ("a.mp4", None),
    ]  # fmt: skip
    assert write(path, {"a.mp4": GOOD, "b.mp4": BAD}) == ["b.mp4"]
    assert [row[:2] for row in read(path)] == [("a.mp4", None), ("b.mp4", BAD["error"])]


@both
def test_cut_off_anywhere_it_resumes(tmp_path, name):
    """As a full disk or a power cut leaves it: every length of the file."""
    whole, path = tmp_path / name, tmp_path / f"cut.{name.partition('.')[2]}"
    rows = dict.fromkeys(ODD[:4], GOOD)
    write(whole, rows)
    content = whole.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        done = write(path, rows)
        # Nothing that is whole is done again, and the file is what it would have been.
        assert path.read_bytes() == content, length
        assert len(done) >= 1 or length == len(content) - 1
        assert done == ODD[4 - len(done) : 4]


@both
def test_a_path_is_known_in_its_other_forms(tmp_path, name):
    write(tmp_path / name, {"videos/a.mp4": GOOD, "s3://b//a.mp4": GOOD})
    assert write(tmp_path / name, {"./videos//a.mp4": GOOD, "s3://b/a.mp4": GOOD}) == [
        "s3://b/a.mp4"
    ]
    other = os.path.abspath("videos/b.mp4")
    write(tmp_path / name, {other: GOOD})
    assert write(tmp_path / name, {"videos/b.mp4": GOOD}) == []


@both
def test_a_relative_path_counts_from_its_folder(tmp_path, name, monkeypatch):
    """`cd first; predict *.mp4`, then the same in another folder: other videos of equal names."""
    rows, output = {"a.mp4": GOOD, "b.mp4": BAD}, tmp_path / name
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        assert write(output, rows) == ["a.mp4", "b.mp4"]
    better = {**rows, "b.mp4": GOOD}
    assert write(output, better) == ["b.mp4"]  # and the failed row of the first folder stays
    assert [row[:2] for row in read(output)] == [
        ("a.mp4", None), ("b.mp4", BAD["error"]), ("a.mp4", None), ("b.mp4", None),
    ]  # fmt: skip
    with ResultsFile(output, wanted=["a.mp4", "../first/a.mp4"]) as results:
        assert results.row("a.mp4")["folder"] == str(tmp_path / "second")
        assert results.row("../first/a.mp4")["folder"] == str(tmp_path / "first")
        assert not results.is_done("../first/b.mp4")
    content = output.read_text(encoding="utf-8")
    assert all(content.count(folder) == 2 for folder in ("first", "second"))
    monkeypatch.chdir(tmp_path)
    both_folders = [f"{folder}/{video}" for folder in ("first", "second") for video in rows]
    assert write(output, dict.fromkeys(both_folders, GOOD)) == ["first/b.mp4"]


@both
def test_a_whole_path_counts_from_no_folder(tmp_path, name):
    paths = [str(tmp_path / "a.mp4"), "https://b/a.mp4"]
    write(tmp_path / name, dict.fromkeys(paths, GOOD))
    with ResultsFile(tmp_path / name, wanted=paths) as results:
        assert [results.row(path)["folder"] for path in paths] == [None, None]


# What is refused --------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clips": 4}, "clips 1, now 4"),
        ({"crops": 1, "top_k": 3}, "crops 3, now 1; top_k 2, now 3"),
        ({"frames": 16, "size": [64, 64]}, r"frames 8, now 16; size \[32, 32\], now \[64, 64\]"),
        ({"preset": "other", "model": "f"}, "preset 'mine', now 'other'"),
        ({"model": "f"}, "the preset 'mine' has changed since"),
    ],
)
def test_other_settings(tmp_path, name, change, message):
    path = tmp_path / name
    write(path, {"a.mp4": GOOD, "b.mp4": BAD})
    path.write_bytes(path.read_bytes() + b'{"path": "half')
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"holds results with other settings: {message}. Name an"):
        write(path, {"c.mp4": GOOD}, {**SETTINGS, **change})
    assert path.read_bytes() == before


@both
def test_the_same_preset_by_another_name(tmp_path, name):
    write(tmp_path / name, {"a.mp4": GOOD})
    other = {**SETTINGS, "preset": "./mine"}
    assert write(tmp_path / name, {"a.mp4": GOOD, "b.mp4": GOOD}, other) == ["b.mp4"]
    assert len(read(tmp_path / name)) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("out.jsonl", b"my notes\n", "row 1"),
        ("out.jsonl", b"my notes", "row 1"),
        (
            "out.jsonl",
            b"{}\n",
            "row 1: 'path' and 'folder' and 'error' and 'labels' and 'scores' and 'settings' are m",
        ),
        (
            "out.jsonl",
            b'{"path": "a", "labels": 3}',
            "row 1: 'folder' and 'error' and 'labels' and",
        ),
        ("out.jsonl", b"[1, 2]\n", "it is no JSON object"),
        ("out.jsonl", b"\0" * 99 + b"\n", "row 1"),
        ("out.jsonl", b"[" * 100_000 + b"\n", "row 1: it is nested too deeply"),
        ("out.jsonl", b"\xff\xfe\n", "row 1"),
        ("out.csv", b"name,age\nme,7\n", "not the header of a file of results"),
        ("out.csv", b"name,age", "row 1"),
        ("out.csv", b"path,error,reason", "row 1"),
        ("out.csv", b"path,label\nvideos/a.mp4,run\n", "not the header of a file of results"),
        ("out.csv", b'"', "row 1"),
        ("out.csv", b"\0\n", "row 1"),
    ],
)
def test_a_file_of_others_is_left_alone(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"no file of results .*{message}"):
        ResultsFile(path)
    assert path.read_bytes() == content


@both
def test_a_spoilt_row_in_the_middle_is_named(tmp_path, name):
    path = tmp_path / name
    write(path, {"a.mp4": GOOD, "b.mp4": GOOD, "c.mp4": GOOD})
    lines = path.read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = b"spoilt\n"
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"row \d: "):
        write(path, {"d.mp4": GOOD})
    assert path.read_bytes() == before


def test_random_bytes_are_never_taken_for_results(tmp_path):
    source = random.Random(0)
    for _ in range(300):
        name = source.choice(["a.csv", "a.jsonl"])
        content = source.randbytes(source.randint(1, 40))
        content = source.choice([content, content.replace(b"\n", b"") + b"\n", content + b'"\n'])
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="no file of results"):
            ResultsFile(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_where_no_results_can_go(tmp_path):
    for wrong in ("out.json", "out", "out.txt", "jsonl"):
        with pytest.raises(ValueError, match=r"--output must end in \.jsonl or \.csv, got "):
            ResultsFile(tmp_path / wrong)
    with pytest.raises(FileNotFoundError, match=r"no such folder for --output: .*absent"):
        ResultsFile(tmp_path / "absent" / "out.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv"):
        with pytest.raises(ValueError, match="--output must be a file, got "):
            ResultsFile(tmp_path / name)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.csv", "pipe.csv"]


def test_two_processes_do_not_write_one_file(tmp_path):
    program = (
        "import sys\nfrom keras_mlp3d.cli.results_file import ResultsFile\n"
        "try:\n    ResultsFile(sys.argv[1])\nexcept ValueError as error:\n    print(error)\n"
    )
    with ResultsFile(tmp_path / "out.csv"):
        process = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "out.csv"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        )
    assert "another process writes to" in process.stdout


# Disks ------------------------------------------------------------------------------------------


class Full:
    """A file on a disk that takes some bytes more."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name):
        return getattr(self._file, name)


@both
@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_is_named_and_leaves_whole_rows(tmp_path, name, room):
    path = tmp_path / name
    with ResultsFile(path) as results:
        results.start(SETTINGS, 2)
        results.write("a.mp4", GOOD)
        before = path.read_bytes()
        results._file = Full(results._file, room)
        with pytest.raises(OSError, match=rf"No space left on device: '.*{name}'"):
            results.write("b.mp4", GOOD)
    assert path.read_bytes() == before
    assert write(path, {"a.mp4": GOOD, "b.mp4": GOOD}) == ["b.mp4"]


@both
def test_tidying_up_on_a_full_disk_loses_nothing(tmp_path, name, monkeypatch):
    path = tmp_path / name
    write(path, {"a.mp4": BAD, "b.mp4": GOOD})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device: '.*{name}'"):
        write(path, {"a.mp4": GOOD})
    assert [row[:2] for row in read(path)] == [
        ("a.mp4", BAD["error"]), ("b.mp4", None), ("a.mp4", None),
    ]  # fmt: skip
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_behind_a_link_stays_behind_it(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink("real/x.jsonl", tmp_path / "out.jsonl")
    write(tmp_path / "out.jsonl", {"a.mp4": BAD})
    os.chmod(tmp_path / "real" / "x.jsonl", 0o640)
    write(tmp_path / "out.jsonl", {"a.mp4": GOOD})
    assert (tmp_path / "out.jsonl").is_symlink()
    assert read(tmp_path / "real" / "x.jsonl") == expected({"a.mp4": GOOD})
    assert (tmp_path / "real" / "x.jsonl").stat().st_mode & 0o777 == 0o640


@both
def test_no_rows_no_file(tmp_path, name):
    write(tmp_path / name, {})
    assert not (tmp_path / name).exists()
    (tmp_path / name).touch()
    write(tmp_path / name, {})
    assert (tmp_path / name).exists()
