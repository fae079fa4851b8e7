"""The command line as a whole: exit codes, one-line errors, real processes."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from keras_mlp3d.cli import presets as presets_command
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.hub import HubError

PREFIX = "keras-mlp3d: error: "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["cost"], "PRESET"),
        (["cost", "mlp3d_nano", "--frames", "0"], "expected a positive integer, got '0'"),
        (["cost", "mlp3d_nano", "--frames", "1.5"], "got '1.5'"),
        (["cost", "mlp3d_nano", "--size", "32x32x3"], "N or HEIGHTxWIDTH"),
        (["predict"], "VIDEO"),
        (["predict", "a.mp4", "--crops", "many"], "a positive integer, got 'many'"),
        (["convert", "a.pth"], "--to"),
    ],
)
def test_what_cannot_be_parsed_is_one_line_and_exit_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(PREFIX)
    assert err.count("\n") == 1
    assert message in err
    assert "--help)" in err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("two\nlines\x1b[2J"), 2, "two lines [2J"),
        (FileNotFoundError(2, "No such file", "a.mp4"), 2, "No such file: a.mp4"),
        (IsADirectoryError(21, "Is a directory", "a"), 2, "Is a directory: a"),
        (PermissionError(13, "Permission denied", "a"), 1, "Permission denied: a"),
        (HubError("no network"), 1, "no network"),
        (ImportError("pip install it"), 1, "pip install it"),
        (RuntimeError("out of memory"), 1, "RuntimeError: out of memory"),
        (KeyError("macs"), 1, "KeyError: 'macs'"),
        (
            ModuleNotFoundError("No module named 'jax'", name="jax"),
            1,
            "jax is not installed: pip install 'keras-mlp3d[jax]'",
        ),
    ],
)
def test_errors_become_one_line_and_an_exit_code(run, monkeypatch, error, code, line):
    def failing(options):
        raise error

    monkeypatch.setattr(presets_command, "run", failing)
    assert run("presets") == (code, "", f"{PREFIX}{line}\n")
    _, _, err = run("--traceback", "presets")
    assert "in failing" in err
    assert err.endswith(f"{PREFIX}{line}\n")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder that nobody can write to")
@pytest.mark.parametrize(
    "arguments",
    [
        ["embed", "{videos}", "--output", "/proc/x.npz"],
        ["embed", "{videos}", "--output", "/proc/x.parquet"],
        ["evaluate", "--data", "{data}", "--json", "/proc/x.json"],
        ["evaluate", "--data", "{data}", "--plot", "/proc/x.png"],
        ["predict", "{videos}/b.mkv", "--plot", "/proc/x.png"],
        ["predict", "{videos}/b.mkv", "--output", "/proc/x.csv"],
    ],
)
def test_no_video_is_read_for_a_file_that_cannot_be_written(
    run, monkeypatch, presets, videos, tmp_path, arguments
):
    def refuse(*args, **kwargs):
        raise AssertionError("a video is read")

    (tmp_path / "jump").mkdir()
    shutil.copy(videos / "b.mkv", tmp_path / "jump")
    monkeypatch.setattr(VideoConverter, "read", refuse)
    arguments = [word.format(videos=videos, data=tmp_path) for word in arguments]
    code, out, err = run(*arguments, "--preset", str(presets / "clips"))
    assert code in (1, 2)
    assert not out
    assert err.startswith(PREFIX)
    assert arguments[-1] in err
    assert err.count("\n") == 1


def test_interruption(run, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets_command, "run", interrupted)
    assert run("presets") == (130, "", "\n")


def test_a_reader_that_goes_away(run, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert run("presets") == (1, "", "")
        print("goes nowhere, and raises nothing when it is flushed", flush=True)


@pytest.mark.skipif(os.name == "nt", reason="a shell closes the stream")
@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [("presets", ">&-", 0), ("presets", ">&- 2>&-", 0), ("dance", "2>&-", 2)],
)
def test_a_process_without_standard_streams(root_dir, arguments, closed, code):
    process = subprocess.run(
        f'"{sys.executable}" -m keras_mlp3d {arguments} {closed}',
        shell=True,
        env={**os.environ, "PYTHONPATH": str(root_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (code, "", "")


@pytest.mark.parametrize("missing", ["stdout", "stderr"])
def test_results_are_written_without_a_standard_stream(
    run, quick, monkeypatch, presets, videos, tmp_path, missing
):
    arguments = ["predict", videos, "--preset", presets / "clips", "--output"]
    assert run(*arguments, tmp_path / "wanted.jsonl")[0] == 0
    monkeypatch.setattr(sys, missing, None)
    code, out, err = run(*arguments, tmp_path / "results.jsonl")
    getattr(sys, missing).close()
    assert code == 0
    assert not (out if missing == "stdout" else err)
    assert (tmp_path / "results.jsonl").read_text() == (tmp_path / "wanted.jsonl").read_text()


def test_a_process_with_a_network_that_runs(root_dir, presets, videos, tmp_path):
    command = [sys.executable, "-m", "keras_mlp3d", "predict", videos, "--json"]
    process = subprocess.run(
        [*command, "--preset", presets / "clips"],
        env={**os.environ, "PYTHONPATH": str(root_dir)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    said = json.loads(process.stdout)
    paths = [str(videos / "b.mkv"), str(videos / "sub" / "a.mkv")]
    assert [entry["path"] for entry in said] == paths
    assert all(sum(entry["scores"]) == pytest.approx(1) for entry in said)
    assert all(0 < score < 1 for entry in said for score in entry["scores"])
