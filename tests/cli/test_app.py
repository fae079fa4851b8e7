"""The arguments of `keras-mlp3d app`; the page has tests of its own."""

import sys

import pytest

from keras_mlp3d import app
from keras_mlp3d.cli.app import byte_count
from keras_mlp3d.cli.main import build_parser


@pytest.fixture
def launched(monkeypatch):
    """What `launch` got from each run."""
    got = []

    def launch(*options, ready):
        ready("http://127.0.0.1:7860/")
        got.append(options)

    monkeypatch.setattr(app, "launch", launch)
    return got


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command without starting Keras's backend: (exit code, output, errors)."""
    from keras_mlp3d.cli import main as program

    monkeypatch.setattr(program, "start_keras", lambda backend: None)

    def call(*arguments):
        code = program.main(["app", *arguments])
        return code, *capsys.readouterr()

    return call


def test_the_defaults(launched, command):
    assert command() == (0, "The page is at http://127.0.0.1:7860/ (Ctrl-C ends it).\n", "")
    assert launched == [(None, "127.0.0.1", None, app.Limits(), None)]


def test_every_option(launched, command):
    presets = ["mlp3d_nano", "mlp3d_xs"]
    code, _, errors = command(
        *("--preset", *presets, "--host", "0.0.0.0", "--port", "80", "--examples", "clips"),
        *("--max-upload", "1.5kB", "--max-seconds", "9", "--max-frames", "8", "--max-wait", "7"),
    )
    assert code == 0
    assert launched == [(presets, "0.0.0.0", 80, app.Limits(1500, 9.0, 8, 7.0), "clips")]
    assert errors == "keras-mlp3d: note: every machine that reaches 0.0.0.0 can use the page\n"


@pytest.mark.parametrize(
    ("text", "count"),
    [("100MB", 10**8), ("1.5 GB", 1_500_000_000), ("2000", 2000), ("3b", 3), ("500kb", 500_000)],
)
def test_sizes(text, count):
    assert byte_count(text) == count


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--max-upload", "0"], "expected a size such as 500kB, 100MB or 1GB, got '0'"),
        (["--max-upload", "10 apples"], "got '10 apples'"),
        (["--max-upload", "-1MB"], "--max-upload"),
        (["--port", "65536"], "expected a port from 1 to 65535, got '65536'"),
        (["--port", "http"], "got 'http'"),
        (["--max-seconds", "0"], "expected at least 1 second"),
        (["--max-frames", "1.5"], "expected a positive integer"),
    ],
)
def test_wrong_values_are_one_line(launched, command, arguments, part):
    code, out, errors = command(*arguments)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert part in errors
    assert launched == []


def test_without_gradio_one_line(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    line = "The page needs Gradio, which is not installed: pip install 'keras-mlp3d[app]'"
    assert command("--preset", "mlp3d_nano_searched") == (1, "", f"keras-mlp3d: error: {line}\n")


def test_a_preset_without_weights_is_one_line(command):
    code, out, errors = command("--preset", "mlp3d_xs")
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert "'mlp3d_xs' has no weights" in errors


def test_the_help_names_the_defaults_that_the_page_has(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["app", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert app.Limits() == app.Limits(100_000_000, 120.0, 7200, 60.0)
    for part in ("default: 100MB", "default: 120", "default: 7200", "default: 60", "127.0.0.1"):
        assert part in text
