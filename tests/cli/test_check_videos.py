"""`keras-mlp3d check-videos`: what it says, writes and returns."""

import csv
import io
import os
import signal
import subprocess
import sys
import time

import pytest
from data.make_videos import moving_frames, write_damaged, write_lossless

from keras_mlp3d.data import Manifest, VideoCheck, VideoRow


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
        ["file", "codec", "frames", "error", "promised", "note"],
        [str(folder / "train" / "jump" / "a.mkv"), "ffv1", "4", "", "4", ""],
        [str(folder / "train" / "run" / "a.mkv"), "ffv1", "4", "", "4", ""],
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
        (["path,label,start,end", "a.mp4,run,2,1"], "line 2 is wrong: end must be after"),
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


def test_notes_are_no_failures(run, folder, tmp_path, monkeypatch):
    """An index that cannot be trusted, and what class folders hold besides videos."""
    checks = [
        VideoCheck("a.mkv", "h264", 4, "", 4, "its index cannot be trusted"),
        VideoCheck("b.mkv", "h264", 4, "", 4),
    ]
    left_out = [(f"run/{k}\x1b.txt", "its ending is no video's") for k in range(25)]
    left_out += [("run/gone.mp4", "it is a dangling link")]
    manifest = Manifest([VideoRow("a.mkv", 0), VideoRow("b.mkv", 0)], ["x"], "train", None, ["c"])
    object.__setattr__(manifest, "left_out", tuple(left_out))
    monkeypatch.setattr("keras_mlp3d.data.read_manifest", lambda *_, **__: manifest)
    monkeypatch.setattr("keras_mlp3d.data.check_videos", lambda *_: (check for check in checks))
    code, out, err = run("check-videos", folder, "--report", tmp_path / "report.csv")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "a.mkv: note: its index cannot be trusted"
    assert lines[1:21] == [f"run/{k} .txt: left out: its ending is no video's" for k in range(20)]
    assert lines[21:] == [
        "and 5 more left out: its ending is no video's",
        "run/gone.mp4: left out: it is a dangling link",
        "c: left out: the data set lists it, and has no file of it",
        "2 files: 2 whole, 0 readable in part, 0 unreadable",
        "1 note",
        "27 left out: 25 x its ending is no video's, 1 x it is a dangling link, "
        "1 x the data set lists it, and has no file of it",
    ]
    with open(tmp_path / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 + 27
    assert rows[0]["note"] == "its index cannot be trusted"
    assert rows[2]["file"] == "run/0\x1b.txt"
    assert rows[-2]["note"] == "left out: it is a dangling link"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_still_reports(root_dir, folder, tmp_path, number):
    """The second of three videos hangs; then comes a signal."""
    write_lossless(folder / "train" / "jump" / "hang.mkv", moving_frames(4, 16, 16))
    program = f"""
import sys
from keras_mlp3d.data.datasets import check
check._PROGRAM = {HANGING!r}
from keras_mlp3d.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    report = tmp_path / "report.csv"
    arguments = ["check-videos", str(folder), "--report", str(report), "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(root_dir),
            "KERAS_BACKEND": "numpy",
            "HANGS": str(tmp_path / "hangs"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "hangs").exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert out.splitlines() == [
        "1 file: 1 whole, 0 readable in part, 0 unreadable",
        "stopped: 2 of 3 files were not checked",
    ]
    with open(report, newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [
            str(folder / "train" / "jump" / "a.mkv")
        ]


HANGING = """
import ctypes, os
from keras_mlp3d._utils.child_process import serve
from keras_mlp3d.data.datasets import check_file
real = check_file.open_video

def open_video(source):
    if source.endswith("hang.mkv"):
        open(os.environ["HANGS"], "w").close()
        ctypes.CDLL(None).sleep(600)
    return real(source)

check_file.open_video = open_video
serve(check_file.check_file)
"""


def test_whatever_comes_between_the_report_is_written(run, folder, tmp_path, monkeypatch):
    def failing(*_):
        yield VideoCheck("a.mkv", "h264", 4)
        raise RuntimeError("cannot start a process: no memory")

    monkeypatch.setattr("keras_mlp3d.data.check_videos", failing)
    code, _, err = run("check-videos", folder, "--report", tmp_path / "report.csv")
    assert (code, err) == (
        1,
        "keras-mlp3d: error: RuntimeError: cannot start a process: no memory\n",
    )
    assert (tmp_path / "report.csv").read_text().splitlines()[1:] == ["a.mkv,h264,4,,,"]


def test_a_report_that_cannot_be_written_is_named(run, folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    code, out, err = run("check-videos", folder, "--report", tmp_path / "report.csv")
    assert code == 1
    assert err == (f"keras-mlp3d: error: No space left on device: {tmp_path / 'report.csv'}\n")
    assert "2 files: 2 whole" in out
    code, out, err = run("check-videos", folder, "--report", tmp_path)
    assert (code, out) == (2, "")
    assert "--report must be a file, and is a folder" in err


@pytest.mark.parametrize("limit", ["0.5", "0", "-3", "nan", "inf", "soon"])
def test_wrong_time_limits(run, folder, limit):
    code, out, err = run("check-videos", folder, f"--time-limit={limit}")
    assert (code, out) == (2, "")
    assert f"expected at least 1 second, got '{limit}'" in err
