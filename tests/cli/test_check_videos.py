"""`keras-mlp3d check-videos`: what it says, writes and returns."""

import csv
import io

import pytest
from data.make_videos import moving_frames, write_damaged, write_lossless


@pytest.fixture
def folder(tmp_path):
    """Class folders for two splits; all of them good."""
    for split, name in (("train", "run"), ("train", "jump"), ("val", "run")):
        (tmp_path / "data" / split / name).mkdir(parents=True)
        write_lossless(tmp_path / "data" / split / name / "a.mkv", moving_frames(4, 16, 16))
    return tmp_path / "data"


def test_all_readable(run, folder, tmp_path):
    report = tmp_path / "report.csv"
    assert run("check-videos", folder, "--report", report, "--workers", 2) == (
        0,
        "2 files: 2 whole, 0 readable in part, 0 unreadable\n",
        "",
    )
    with open(report, newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "codec", "frames", "error"],
        [str(folder / "train" / "jump" / "a.mkv"), "ffv1", "4", ""],
        [str(folder / "train" / "run" / "a.mkv"), "ffv1", "4", ""],
    ]
    code, out, _ = run("check-videos", folder, "--split", "val")
    assert (code, out[:16]) == (0, "1 file: 1 whole,")


def test_some_are_not(run, folder, tmp_path):
    damaged = write_damaged(folder / "train" / "run" / "b.mov", moving_frames(6), first_bad=2)
    (folder / "train" / "run" / "c\x1b.mp4").write_text("no video")
    report = tmp_path / "report.csv"
    code, out, err = run("check-videos", folder, "--report", report)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{damaged}: only the first 2 of its 6 frames can be decoded")
    assert "c .mp4: it cannot be opened as a video" in lines[1]
    assert lines[2] == "4 files: 2 whole, 1 readable in part, 1 unreadable"
    assert len(report.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,color", "a.mp4,red"], "line 1 lacks the columns ['label']"),
        (["path,label,start,end", "a.mp4,run,2,1"], "line 2 is wrong: `end` must lie after"),
        (["path,label"], "is empty"),
        (["path,label", "a.mp4,run", "a.mp4,run"], "line 3 repeats line 2"),
    ],
)
def test_a_wrong_list_is_exit_code_2_and_leaves_no_report(run, tmp_path, lines, message):
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    code, out, err = run("check-videos", tmp_path / "list.csv", "--report", tmp_path / "r.csv")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "r.csv").exists()


def test_other_bad_input(run, folder, tmp_path):
    (folder / "train" / "fall").mkdir()
    code, _, err = run("check-videos", folder)
    assert (code, err.strip()[-22:]) == (2, "train/fall holds no video"[-22:])
    assert run("check-videos", tmp_path / "nowhere")[0] == 2
    code, _, err = run("check-videos", folder / "val", "--report", tmp_path / "no" / "r.csv")
    assert code == 2
    assert "no such folder for --report" in err
    assert run("check-videos", folder, "--workers", "0")[0] == 2


def test_a_bar_on_standard_error_where_a_person_watches(run, folder, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    code, out, _ = run("check-videos", folder)
    assert (code, out) == (0, "2 files: 2 whole, 0 readable in part, 0 unreadable\n")
    assert "2/2" in terminal.getvalue()
