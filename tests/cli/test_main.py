"""The command line as a whole: help, exit codes, one-line errors, real processes."""

import json
import os
import subprocess
import sys

import pytest

import keras_mlp3d
from keras_mlp3d.cli import presets as presets_command
from keras_mlp3d.hub import HubError

COMMANDS = ["convert", "cost", "predict", "presets", "upload"]
PREFIX = "keras-mlp3d: error: "


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"example:\n  keras-mlp3d {command}" in out
    assert max(len(line) for line in out.splitlines()) <= 100


def test_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"\n    {command} " in out for command in COMMANDS)


def test_version(run):
    assert run("--version") == (0, f"keras-mlp3d {keras_mlp3d.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["cost"], "PRESET"),
        (["cost", "mlp3d_nano", "--frames", "0"], "expected a whole number of at least 1, got '0'"),
        (["cost", "mlp3d_nano", "--frames", "1.5"], "got '1.5'"),
        (["cost", "mlp3d_nano", "--size", "32x32x3"], "N or HEIGHTxWIDTH"),
        (["predict"], "VIDEO"),
        (["predict", "a.mp4", "--crops", "many"], "at least 1, got 'many'"),
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
            "the Keras backend jax is not installed: pip install keras-mlp3d[jax], or set "
            "KERAS_BACKEND to one of tensorflow, jax, torch",
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


def test_interruption(run, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets_command, "run", interrupted)
    assert run("presets") == (130, "", "\n")


def process(arguments, root_dir, **options):
    command = [sys.executable, "-m", "keras_mlp3d", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root_dir)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


def test_processes(root_dir, presets, videos, tmp_path):
    """The commands as they are typed: a network that runs, and a reader that goes away."""
    reading, writing = os.pipe()
    os.close(reading)
    deaf = process(["presets"], root_dir, stdout=writing)
    os.close(writing)
    arguments = ["predict", videos, "--preset", presets / "clips", "--json"]
    predict = process(arguments, root_dir, stdout=subprocess.PIPE, cwd=tmp_path)
    out, err = predict.communicate(timeout=300)
    assert predict.returncode == 0, err
    assert [entry["path"] for entry in json.loads(out)] == [
        str(videos / "b.mkv"),
        str(videos / "sub" / "a.mkv"),
    ]
    assert all(sum(entry["scores"]) == pytest.approx(1) for entry in json.loads(out))
    _, err = deaf.communicate(timeout=300)
    assert deaf.returncode == 1
    assert "BrokenPipe" not in err
    assert "Traceback" not in err
