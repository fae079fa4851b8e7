"""Nothing that a command prints can steer a terminal, whatever names and labels hold."""

import ast
import json
import logging
import pathlib
import shutil
import warnings

import pytest
from cli.conftest import NAMES
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d import cost, hub, search, training
from keras_mlp3d.cli import cost as cost_command
from keras_mlp3d.cli import presets as presets_command
from keras_mlp3d.cli import terminal
from keras_mlp3d.cli.compare import announce
from keras_mlp3d.hub import upload

FOLDER = pathlib.Path(terminal.__file__).parent
#: Clears the screen, sets the title, rings, a C1 control, right-to-left, a line of its own.
HOSTILE = "evil\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\nkeras-mlp3d: done"


def assert_harmless(*texts, names="evil"):
    """No character but line breaks and those that can be seen, and the name is still there."""
    text = "".join(texts)
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "\nkeras-mlp3d: done" not in text
    assert names in text


# --- the functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [HOSTILE, "evil\ud800 \udcff", "evil\x00\x85\u2028", "evil\ufeff"])
def test_every_way_of_saying_something(capsys, text):
    terminal.say(text)
    terminal.say(text, error=True)
    terminal.note(text)
    terminal.print_error(text)
    terminal.print_error(ValueError(text))
    terminal.print_error(FileNotFoundError(2, text, text))
    terminal.print_error(KeyError(text))
    terminal.print_json({text: [text]})
    terminal.StatusLine(show=False)(1, label=text)
    out, err = capsys.readouterr()
    assert_harmless(out)
    assert_harmless(err)
    assert len(err.splitlines()) == 6
    assert json.loads(out.partition("\n")[2]) == {text: [text]}


def test_say_keeps_what_can_be_seen(capsys):
    terminal.say("  é☃ 漢字  12 %")
    assert capsys.readouterr().out == "  é☃ 漢字  12 %\n"


def test_a_status_line_goes_before_the_next_line(capsys):
    line = terminal.StatusLine(show=True)
    line(1, label=HOSTILE)
    terminal.say("found")
    terminal.say("more")
    out, err = capsys.readouterr()
    shown, _, rest = err.removeprefix("\r\x1b[K").partition("\r\x1b[K")
    assert_harmless(shown)
    assert (out, rest) == ("found\nmore\n", "")


def test_warnings_and_logs_are_lines_except_the_backends(capsys):
    with terminal.warnings_as_lines():
        logging.getLogger("keras_mlp3d.data").warning("cut %s", HOSTILE)
        logging.getLogger("another").error(HOSTILE)
        for name in ("absl", "jax._src.xla_bridge", "tensorflow", "torch.distributed"):
            logging.getLogger(name).warning("about itself")
        logging.getLogger("jax").error("evil failure")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(HOSTILE, stacklevel=1)
            backend = pathlib.Path(next(terminal._folders_of_backends())) / "core.py"
            warnings.warn_explicit("about itself", UserWarning, str(backend), 1)
    logging.getLogger("keras_mlp3d").info("no longer a line")
    out, err = capsys.readouterr()
    assert_harmless(out, err)
    said = [line.removeprefix("keras-mlp3d: ").partition(":")[0] for line in err.splitlines()]
    assert said == ["warning", "error", "error", "warning"]
    assert "about itself" not in err


def test_every_command_prints_by_these_functions_alone():
    """No `print`, no stream, no library's printing in any other file."""
    allowed = {"isatty", "flush", "fileno", "reconfigure"}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if path.name == "terminal.py":
                continue
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("print", "pprint", "warnings.warn"), where
                assert not name.endswith((".print_exc", ".print_help", "Progbar")), where
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(
                ("sys.stdout.", "sys.stderr.")
            ):
                assert node.attr in allowed, where


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path, presets):
    """A folder of that name with the preset of those labels, and videos of such names."""
    folder = tmp_path / HOSTILE.replace("/", "")
    shutil.copytree(presets / "clips", folder / "preset")
    task = json.loads((folder / "preset" / "task.json").read_text())
    assert task["config"]["class_names"] == NAMES
    task["config"]["class_names"] = [HOSTILE, *NAMES[1:]]
    (folder / "preset" / "task.json").write_text(json.dumps(task))
    for name in (HOSTILE, *NAMES[1:]):
        (folder / "videos" / name).mkdir(parents=True)
        write_lossless(folder / "videos" / name / f"{HOSTILE}.mkv", moving_frames(8, 32, 32))
    (folder / "videos" / NAMES[1] / f"{HOSTILE} broken.mkv").write_text("no video")
    (folder / "videos" / NAMES[1] / f"{HOSTILE}.text").write_text("no video")
    return folder


def test_presets(run, monkeypatch):
    row = presets_command._row(hub.read_preset("mlp3d_nano"))
    texts = dict.fromkeys(("name", "class_name", "weights", "description"), HOSTILE)
    monkeypatch.setattr(presets_command, "_row", lambda preset: {**row, **texts})
    for arguments in (["presets"], ["presets", "--json"]):
        code, out, err = run(*arguments)
        assert code == 0
        assert_harmless(out, err)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_predict(run, quick, hostile, form):
    arguments = [hostile / "videos", "--preset", hostile / "preset", "--output"]
    code, out, err = run("predict", *arguments, hostile / "out.jsonl", *form)
    assert code == 2
    assert_harmless(out)
    assert_harmless(err)
    again = run("predict", *arguments, hostile / "out.jsonl", *form)
    assert_harmless(*again[1:])


def test_evaluate(run, quick, hostile):
    arguments = ["--data", hostile / "videos", "--preset", hostile / "preset", "--split", HOSTILE]
    code, out, err = run("evaluate", *arguments)
    assert_harmless(out, err)
    assert code in (0, 2)


@pytest.mark.parametrize("command", ["check-videos", "shard"])
def test_reading_a_data_set(run, hostile, command):
    more = ["--to", hostile / "shards"] if command == "shard" else ["--workers", 1]
    _, out, err = run(command, hostile / "videos", *more)
    assert_harmless(out, err)


def test_cost(run, hostile, monkeypatch):
    for arguments in ([], ["--json"]):
        code, out, err = run("cost", hostile / "preset", *arguments)
        assert code == 0
        assert_harmless(out, err)
    layers = [cost.LayerCost(HOSTILE, (1, 2), 3, 4)]
    monkeypatch.setattr(cost, "count", lambda *shape: cost.Cost(3, 4, tuple(layers)))
    assert_harmless(*run("cost", hostile / "preset")[1:])


def test_convert(run, hostile):
    path = hostile / f"{HOSTILE}.pth"
    code, out, err = run("convert", path, "--to", hostile / "new")
    assert code == 2
    assert_harmless(out, err)


def test_upload(run, monkeypatch):
    monkeypatch.setattr(upload, "upload_preset", lambda *args, **options: HOSTILE)
    code, out, err = run("upload", "folder", "hf://user/repo")
    assert code == 0
    assert_harmless(out, err)


class Failure(Exception):
    """What stops a command after it has said what it is about to do."""


def failing(*arguments, **options):
    raise Failure(HOSTILE)


def test_train(run, hostile, monkeypatch):
    """A folder's name that no terminal should get is refused as a class before any training."""
    monkeypatch.setattr(training, "train", failing)
    arguments = ["--data", hostile / "videos", "--preset", hostile / "preset", "--run", HOSTILE]
    code, out, err = run("--traceback", "train", *arguments)
    assert code == 2, err
    assert_harmless(out, names="")
    assert_harmless(err, names="class_names must hold no control characters")


def test_search(run, hostile, monkeypatch):
    monkeypatch.setattr(search, "train_supernet", failing)
    arguments = ["--data", hostile / "videos", "--val", hostile / "videos", "--run", HOSTILE]
    code, out, err = run("search", *arguments, "--preset", hostile / "preset")
    assert code == 1
    assert_harmless(out)
    assert_harmless(err, names="Failure: evil")


def test_compare_and_correlation(run, hostile, capsys):
    announce(0, 1, HOSTILE)
    assert_harmless(capsys.readouterr().out)
    for command, option in (("compare", "--preset"), ("correlation", "--search")):
        videos = ["--data", hostile / "videos", "--val", hostile / "videos"]
        code, out, err = run(command, *videos, option, hostile / "no")
        assert code == 2
        assert_harmless(out, err)


@pytest.mark.parametrize(
    "arguments",
    [
        [HOSTILE],
        ["predict", "a.mp4", "--crops", HOSTILE],
        ["predict", "a.mp4", f"--{HOSTILE}".replace(" ", "")],
        ["predict", "a.mp4", "--backend", HOSTILE],
        ["cost", HOSTILE],
        ["evaluate", "--data", "a", "--preset", "b", "--class-names", HOSTILE],
    ],
)
def test_arguments(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert_harmless(err)


def test_errors_and_interruptions(run, monkeypatch):
    monkeypatch.setattr(cost_command, "run", failing)
    for arguments in (["cost", "mlp3d_nano"], ["--traceback", "cost", "mlp3d_nano"]):
        assert_harmless(*run(*arguments)[1:])

    def interrupted(options):
        raise KeyboardInterrupt(HOSTILE)

    monkeypatch.setattr(cost_command, "run", interrupted)
    assert_harmless(*run("cost", "mlp3d_nano")[1:])
