"""What the pages of docs/ say: their Python runs in order, and their commands are commands."""

import dataclasses
import itertools
import pathlib
import re
import shlex
import shutil

import pytest

import keras_mlp3d as km
from keras_mlp3d.cli.main import build_parser
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
from keras_mlp3d.training import Recipe

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
#: A line of a page before a block that the tests do not run, with the reason.
NOT_RUN = "<!-- not run in the tests:"
CLASSES = ("circle_then_tilt", "tilt_then_circle")


def blocks_to_run(text):
    """The Python blocks of a page, without those after `NOT_RUN`."""
    pieces = text.split("```python\n")
    pairs = itertools.pairwise(pieces)
    return [after.split("```")[0] for before, after in pairs if not _is_left_out(before)]


def _is_left_out(before):
    return before.rstrip().splitlines()[-1].startswith(NOT_RUN) if before.strip() else False


def commands(text):
    """The `keras-mlp3d` commands in the blocks of a page, a command that is continued as one."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("keras-mlp3d "):
                yield line


WITH_CODE = {name: blocks_to_run(text) for name, text in TEXTS.items() if blocks_to_run(text)}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """What the pages name: a folder of videos, two files, a list of them, a preset."""
    folder = tmp_path_factory.mktemp("place")
    for split, clips in (("train", 8), ("val", 4)):
        write_motion_shapes(folder / "my_videos" / split, split, clips, classes=CLASSES)
    files = sorted((folder / "my_videos" / "train").rglob("*.mp4"))
    for name, file in (("clip.mp4", files[0]), ("long.mp4", files[1])):
        shutil.copy(file, folder / name)
    (folder / "train.csv").write_text("clip.mp4 0\nlong.mp4 1\n")
    model = km.MLP3D.from_preset(
        "mlp3d_nano_motion_shapes", num_classes=len(CLASSES), class_names=CLASSES
    )
    model.save_to_preset(folder / "my_preset")
    return folder


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_python_of_a_page_runs_in_order(page, videos, tmp_path, monkeypatch):
    shutil.copytree(videos, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    names = {}
    for block in WITH_CODE[page]:
        exec(compile(block.replace("epochs=10", "epochs=1"), page, "exec"), names)
    made = {path.name for path in pathlib.Path().iterdir()}
    if page == "docs/export.md":
        assert {"model.onnx", "model.onnx.json", "model.onnx.example.py"} <= made
    if page == "docs/small.md":
        small = km.MLP3D.from_preset("small")
        assert small.get_layer("head").quantization_mode == "int8"
        assert "mine.lora.h5" in made


def test_the_guides_have_code():
    guides = (
        "get_started",
        "own_videos",
        "evaluation",
        "search",
        "export",
        "small",
        "devices",
        "predicting",
    )
    assert {f"docs/{name}.md" for name in (*guides, "migrating", "network")} <= set(WITH_CODE)


@pytest.mark.parametrize("name", [*TEXTS, "README.md"])
def test_commands_are_commands(name, capsys):
    text = (ROOT / name).read_text(encoding="utf-8")
    for command in commands(text):
        try:
            build_parser().parse_args(shlex.split(command, comments=True)[1:])
        except SystemExit:
            pytest.fail(f"{command}: {capsys.readouterr().err}")
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for key in re.findall(r"--set (\w+)", text):
        assert key in fields, f"{name}: --set {key}"
    for path in re.findall(r"python ((?:benchmarks|examples|docs|tests)/[\w/]+\.py)", text):
        assert (ROOT / path).exists(), f"{name}: {path}"


def test_commands_are_seen():
    """The test of the test."""
    found = [command for text in TEXTS.values() for command in commands(text)]
    assert len(found) >= 15
    text = "```\nkeras-mlp3d a \\\n    --b\n```\n\nkeras-mlp3d c\n"
    assert list(commands(text)) == ["keras-mlp3d a      --b"]
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--no-such-option"])


def test_the_table_of_presets_is_theirs():
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", TEXTS["docs/presets.md"], re.MULTILINE))
    assert sorted(rows) == km.list_presets()
    for name, row in rows.items():
        preset = km.hub.read_preset(name)
        assert f" {preset.parameter_count:,} |" in row
        assert f" {preset.macs / 1e9:.2f} |" in row


@pytest.mark.parametrize("name", [name for name in TEXTS if "migrating" not in name])
def test_files_that_pages_name_exist(name):
    for path in re.findall(
        r"`((?:examples|benchmarks|notebooks|docs|tests)/[\w./]*)`", TEXTS[name]
    ):
        assert (ROOT / path).exists(), f"{name}: {path}"
