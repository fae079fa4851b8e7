"""Help, the version and errors of arguments: at once, without Keras, in processes of their own."""

import os
import re
import resource
import signal
import subprocess
import sys

import keras
import pytest
from data.make_videos import moving_frames, write_video

import keras_mlp3d
from keras_mlp3d._utils import backend as keras_backend
from keras_mlp3d.cli import cost as cost_command
from keras_mlp3d.cli.main import build_parser

COMMANDS = (
    *("presets", "predict", "train", "evaluate", "search", "compare", "correlation"),
    *("embed", "app", "check-videos", "pixel-statistics", "shard", "cost", "convert", "export"),
    "upload",
)
#: Commands that run or build a network.
COMPUTING = {
    "predict",
    "train",
    "evaluate",
    "embed",
    "app",
    "search",
    "compare",
    "correlation",
    "cost",
    "convert",
    "export",
}
SECONDS = 0.4
#: What `pip` makes of `[project.scripts]`.
SCRIPT = """import re
import sys
from keras_mlp3d.cli.main import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("bin") / "keras-mlp3d"
    path.write_text(SCRIPT)
    return [str(path)]


def measured(root_dir, command):
    """(exit code, standard output, standard error, modules imported, processor seconds)."""
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        env={**kept, "PYTHONPATH": str(root_dir), "COLUMNS": "80"},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    errors, modules = [], set()
    for line in result.stderr.splitlines():
        if line.startswith("import time:"):
            modules.add(line.rpartition("|")[2].strip())
        else:
            errors.append(line)
    return result.returncode, result.stdout, errors, modules, seconds


def check_light(root_dir, command):
    """The result of a command that imports nothing heavy and is quick: the best of three runs."""
    code, out, errors, modules, seconds = measured(root_dir, command)
    ours = {name for name in modules if name.split(".")[0] == "keras_mlp3d"}
    foreign = {name.split(".")[0] for name in modules} - {*sys.stdlib_module_names}
    assert "keras_mlp3d.cli.main" in ours
    packages = {".".join(name.split(".")[:2]) for name in ours}
    light = {"", "._utils", ".cli", ".version", ".__main__"}
    assert packages <= {f"keras_mlp3d{name}" for name in light}
    # What `site` imports for the environment comes before the program.
    assert not foreign & {"keras", "numpy", "av", "jax", "torch", "tensorflow", "huggingface_hub"}
    runs = [seconds]
    while min(runs) >= SECONDS and len(runs) < 3:
        runs.append(measured(root_dir, command)[-1])
    assert min(runs) < SECONDS, runs
    return code, out, errors


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(root_dir, script, command):
    code, out, errors = check_light(root_dir, [*script, command, "--help"])
    assert (code, errors) == (0, [])
    assert f"example:\n  keras-mlp3d {command}" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert ("--backend {tensorflow,jax,torch}" in out) == (command in COMPUTING)


@pytest.mark.parametrize("start", [["keras-mlp3d"], ["-m", "keras_mlp3d"]])
def test_help_and_version(root_dir, script, start):
    start = start if "-m" in start else script
    code, out, errors = check_light(root_dir, [*start, "--help"])
    assert (code, errors) == (0, [])
    listed = re.findall(r"^    ([a-z-]+)(?: |$)", out, re.MULTILINE)
    assert listed == list(COMMANDS)
    assert "KERAS_BACKEND" in out
    version = check_light(root_dir, [*start, "--version"])
    assert version == (0, f"keras-mlp3d {keras_mlp3d.__version__}\n", [])


#: What a command refuses before it imports Keras, or NumPy.
REFUSED = (
    "",
    "dance",
    "cost",
    "predict a.mp4 --backend theano",
    "predict",
    "predict a.mp4 --hop 1",
    "predict a.mp4 --ray-workers 2",
    "predict a.mp4 --ray local",
    "predict a.mp4 --output a.txt",
    "embed a.mp4 --preset mlp3d_nano --output a.txt",
    "cost mlp3d_nano --batch 2",
    "evaluate --data a --preset mlp3d_nano --json nowhere/a.json",
    "export --preset mlp3d_nano --to a.onnx",
    "export --preset mlp3d_nano --benchmark --int8",
    "search --data a --preset mlp3d_nano --tie 2",
    "compare --data a --preset mlp3d_nano --sizes x",
    "correlation --data a --search b --worker-cpus 1",
)
#: What it refuses before it imports Keras, but not before NumPy.
REFUSED_LATER = (
    "predict a.mp4 --preset nosuch",
    "predict a.mp4 --plot a.gif",
    "evaluate --data a --preset mlp3d_nano --plot-wrong a.gif",
    "train --data a --preset nosuch",
    "train --data nowhere --preset mlp3d_nano",
    "train --data . --val nowhere --preset mlp3d_nano",
    "train --data . --preset mlp3d_nano --set epochs=x",
    "train --data . --preset mlp3d_nano --set epoch=3",
    "search --data . --preset mlp3d_nano --recipe nosuch",
    "compare --data . --preset mlp3d_nano --set augmentation.flip=2",
    "correlation --data nowhere --search .",
    "evaluate --data nowhere --preset mlp3d_nano",
    "embed --manifest nowhere.csv --preset mlp3d_nano --output a.npz",
    "compare --data a --preset mlp3d_nano --searched nosuch",
    "cost nosuch",
    "convert a.pth --to .",
    "convert a.pth --to nowhere --num-classes 3",
    "convert a.pth --to nowhere --inflate nosuch",
)


@pytest.mark.parametrize("arguments", REFUSED)
def test_errors_of_arguments(root_dir, script, arguments):
    code, out, errors = check_light(root_dir, [*script, *arguments.split()])
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("keras-mlp3d: error: ")


@pytest.mark.parametrize("arguments", REFUSED_LATER)
def test_errors_before_keras(root_dir, script, arguments):
    code, out, errors, modules, _ = measured(root_dir, [*script, *arguments.split()])
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("keras-mlp3d: error: ")
    assert not modules & {"keras", "tensorflow", "jax", "torch"}
    assert "Traceback" not in errors[0]


@pytest.mark.parametrize("command", sorted({*COMMANDS} - COMPUTING))
def test_commands_without_keras(root_dir, script, command, tmp_path):
    (tmp_path / "videos" / "a").mkdir(parents=True)
    write_video(tmp_path / "videos" / "a" / "0.mp4", moving_frames(8, 32, 32))
    rest = {
        "check-videos": [str(tmp_path / "videos")],
        "pixel-statistics": [str(tmp_path / "videos")],
        "shard": [str(tmp_path / "videos"), "--to", str(tmp_path / "shards")],
        "upload": [str(tmp_path / "videos"), "hf://nobody"],
        "presets": [],
    }[command]
    code, _, errors, modules, _ = measured(root_dir, [*script, command, *rest])
    assert code == (2 if command == "upload" else 0), errors
    assert "keras" not in modules


def test_the_list_of_commands_is_the_parsers():
    [choices] = [action.choices for action in build_parser()._actions if action.dest == "command"]
    assert tuple(choices) == COMMANDS


# --- --backend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [None, *keras_backend.BACKENDS])
def test_the_backend_of_the_option_computes_in_silence(root_dir, script, presets, backend):
    """Whatever KERAS_BACKEND says, and nothing is logged."""
    start = ["-m", "keras_mlp3d"] if backend else script
    backend = backend or keras.backend.backend()
    if not keras_backend.is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    unset = {"TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    result = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", *start, "cost", presets / "clips"),
            *("--backend", backend),
        ],
        env={**environment, "PYTHONPATH": str(root_dir), "KERAS_BACKEND": "theano"},
        capture_output=True,
        text=True,
    )
    lines = result.stderr.splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == []
    assert result.returncode == 0
    assert "G multiply-accumulates" in result.stdout
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert f"keras.src.backend.{backend}" in imported
    assert ("tensorflow" in imported) == (backend == "tensorflow")


@pytest.mark.parametrize(
    ("backend", "format", "name"),
    [("jax", "tf_saved_model", "saved"), ("tensorflow", "litert", "made.tflite")],
)
def test_an_export_logs_nothing(root_dir, script, presets, tmp_path, backend, format, name):
    """It imports TensorFlow late, or runs what it has made."""
    pytest.importorskip("tensorflow" if format == "tf_saved_model" else "ai_edge_litert")
    unset = {"TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"}
    result = subprocess.run(
        [
            *(sys.executable, *script, "export", "--preset", presets / "clips"),
            *("--to", tmp_path / name, "--format", format, "--backend", backend),
        ],
        env={
            **{name: value for name, value in os.environ.items() if name not in unset},
            "PYTHONPATH": str(root_dir),
        },
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_filter_of_a_log_passes_on_the_last_words_of_a_process(root_dir):
    code = (
        "import os\nfrom keras_mlp3d.cli import start_keras\n"
        "with start_keras.filtered_errors():\n"
        "    os.write(2, b'WARNING: All log messages before absl::InitializeLog()\\n')\n"
        "    os.write(2, b'I0000 00:00:1 9 port.cc:153] oneDNN custom operations are on.\\n')\n"
        "    os.write(2, b'2026-01-30 22:44:42.45: I tensorflow/core/util/port.cc:153] on.\\n')\n"
        "    os.write(2, b'F0000 00:00:1 9 cpu.cc:1] no such instructions\\n')\n"
        "    os.abort()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root_dir)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == -signal.SIGABRT
    said = [line for line in result.stderr.splitlines() if "port.cc" in line or "F0000" in line]
    assert said == ["F0000 00:00:1 9 cpu.cc:1] no such instructions"]


@pytest.mark.parametrize("backend", keras_backend.BACKENDS)
def test_a_backend_that_is_not_installed(run, monkeypatch, backend):
    monkeypatch.setattr(keras_backend, "is_installed", lambda name: False)
    line = f"--backend {backend} is not installed: pip install 'keras-mlp3d[{backend}]'"
    expected = (2, "", f"keras-mlp3d: error: {line}\n")
    assert run("cost", "mlp3d_nano", "--backend", backend) == expected


def test_a_backend_that_comes_too_late(run, monkeypatch):
    other = "jax" if keras.backend.backend() != "jax" else "torch"
    monkeypatch.setattr(keras_backend, "is_installed", lambda name: True)
    code, out, err = run("cost", "mlp3d_nano", "--backend", other)
    assert (code, out) == (2, "")
    assert f"--backend {other} came too late" in err
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()


def test_a_command_without_any_backend(root_dir, tmp_path):
    """One line with all that helps, and exit code 2."""
    code = (
        "import sys\nfor name in ('tensorflow', 'jax', 'torch'): sys.modules[name] = None\n"
        "sys.argv = ['keras-mlp3d', 'cost', 'mlp3d_nano']\n"
        "from keras_mlp3d.cli.main import main\nsys.exit(main())"
    )
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(root_dir), "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("keras-mlp3d: error: No Keras backend is installed.")
    installs = [f"pip install 'keras-mlp3d[{name}]'" for name in ("jax", "torch", "tensorflow")]
    assert f"Install a backend: {' or '.join(installs)}. " in result.stderr
    assert "KERAS_BACKEND" in result.stderr


def test_the_note_on_a_backend_that_was_taken(run, monkeypatch):
    """In a process that has Keras already there is nothing to take."""
    monkeypatch.setattr(cost_command, "run", lambda options: 0)
    monkeypatch.delenv("KERAS_BACKEND")
    assert run("cost", "mlp3d_nano") == (0, "", "")
