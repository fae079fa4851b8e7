"""`presets`, `cost` and `upload`."""

import json

import keras
import pytest

from keras_mlp3d import cost, hub
from keras_mlp3d.hub import upload
from keras_mlp3d.models import MLP3D, CycleMLP


def test_presets_are_listed(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run("presets")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["name", "class", "parameters", "GMACs", "clip", "weights"]
    rows = [line for line in lines[1:] if not line.startswith(" ")]
    assert [row.split()[0] for row in rows] == hub.list_presets()
    [row] = [row for row in rows if row.startswith("cyclemlp_b1 ")]
    assert row.split()[1:] == ["CycleMLP", "15,155,400", "2.12", "224x224", "none"]
    [row] = [row for row in rows if row.startswith("mlp3d_xs ")]
    preset = hub.read_preset("mlp3d_xs")
    assert row.split()[1:-1] == (
        f"MLP3D {preset.parameter_count:,} {preset.macs / 1e9:.2f} 64x224x224".split()
    )
    [place] = [place for place, line in enumerate(lines) if line.startswith("mlp3d_xs_imagenet ")]
    assert lines[place].split()[-1] == "fetched"
    assert "The first load downloads 61 MB or more." in " ".join(" ".join(lines[place:]).split())
    assert max(map(len, lines)) <= 80


def test_presets_as_json(run):
    code, out, _ = run("presets", "--json")
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert (code, sorted(entries)) == (0, hub.list_presets())
    description = entries["cyclemlp_b1"].pop("description")
    assert description.startswith("CycleMLP-B1, ")
    assert entries["cyclemlp_b1"] == {
        "name": "cyclemlp_b1",
        "class_name": "CycleMLP",
        "parameter_count": 15_155_400,
        "macs": 2_121_523_200,
        "frames": None,
        "image_size": [224, 224],
        "weights": "none",
        "download_bytes": None,
    }
    assert entries["mlp3d_xs_imagenet"]["weights"] == "inflate:cyclemlp_b1_imagenet"
    assert entries["mlp3d_xs_imagenet"]["download_bytes"] == 4 * 15_155_400


def test_cost_is_the_table_of_the_package(run, presets):
    code, out, err = run("cost", presets / "clips")
    counted = cost.count(MLP3D.from_preset(presets / "clips"), (8, 32, 32, 3))
    assert (code, err) == (0, "")
    assert out.startswith(counted.table())
    assert out.endswith(
        f"{presets / 'clips'} at 8 x 32 x 32: {counted.macs / 1e9:.2f} G multiply-accumulates, "
        f"{counted.params / 1e6:.2f} M parameters\n"
    )


def test_cost_of_another_clip_and_schedule(run, presets):
    form = ["--frames", 16, "--size", "48x80", "--schedule", "shift_token:3+long_range:2"]
    code, out, _ = run("cost", presets / "clips", *form, "--json")
    schedule = "shift_token:3+long_range:2"
    model = MLP3D.from_preset(presets / "clips", load_weights=False, schedule=schedule)
    counted = cost.count(model, (16, 48, 80, 3))
    said = json.loads(out)
    assert (code, said["macs"], said["params"]) == (0, counted.macs, counted.params)
    assert said["input_shape"] == [16, 48, 80, 3]
    assert sum(layer["macs"] for layer in said["layers"]) == counted.macs


def test_cost_of_a_schedule_with_an_entry_for_each_block(run, presets):
    blocks = "full,short_range:1,long_range:2,shift_token:3"
    form = ["--frames", 16, "--size", 64, "--schedule", blocks]
    code, out, _ = run("cost", presets / "clips", *form, "--json")
    rows = json.loads(out)["layers"]
    macs = [row["macs"] for row in rows if row["name"].endswith("mix_time")]
    # 16 frames are 4 tokens in time; each stage halves 16 x 16 tokens in space.
    tokens, widths, sizes = [1024, 256, 64, 16], [8, 8, 16, 16], [4, 1, 2, 3]
    assert code == 0
    assert macs == [n * s * c * c for n, s, c in zip(tokens, sizes, widths, strict=True)]


def test_cost_of_images(run, presets):
    code, out, _ = run("cost", presets / "frames", "--json")
    model = CycleMLP.from_preset(presets / "frames", load_weights=False)
    assert (code, json.loads(out)["macs"]) == (0, cost.count(model, (32, 32, 3)).macs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp3d_nan"], "Did you mean 'mlp3d_nano'?"),
        (["{presets}/clips", "--frames", "20"], "20 frames does not fit the schedule"),
        (["{presets}/clips", "--schedule", "sideways:4"], "sideways"),
        (["{presets}/clips", "--schedule", "full,full"], "each of the 4 blocks"),
        (["{presets}/frames", "--frames", "8"], "takes single images"),
        (["{presets}/frames", "--schedule", "full"], "mixes no time"),
    ],
)
def test_costs_that_cannot_be_counted(run, presets, arguments, message):
    code, out, err = run("cost", *[text.format(presets=presets) for text in arguments])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_cost_of_a_training_step(run, presets):
    form = ["--training", "--batch", 4, "--dtype", "mixed_bfloat16", "--ema", "--memory", "1GiB"]
    code, out, err = run("cost", presets / "clips", *form, "--rate", "2 TFLOP/s")
    model = MLP3D.from_preset(presets / "clips", load_weights=False, dtype="mixed_bfloat16")
    step = cost.training_step(model, (8, 32, 32, 3), 4, ema=True)
    assert (code, err) == (0, "")
    assert out.startswith(step.table())
    counted = "memory is counted as PyTorch keeps it"
    assert (counted in out) == (keras.backend.backend() != "torch")
    lines = [line for line in out.splitlines() if not line.startswith(counted)]
    assert f"peak {step.peak:,}".split() in [line.split() for line in lines]
    assert lines[-3] == (
        f"{presets / 'clips'} at 8 x 32 x 32, batch 4, mixed_bfloat16, adamw: "
        f"{step.peak / 1e9:.2f} GB at the peak ({step.peak_at}), "
        f"{step.macs / 1e9:.2f} G multiply-accumulates"
    )
    assert lines[-2].startswith(f"{step.seconds(2e12):.3g} s per step")
    both = ["--rate", "2 TFLOP/s", "--bandwidth", "11 GB/s"]
    _, out, _ = run("cost", presets / "clips", *form, *both)
    [time] = [line for line in out.splitlines() if "s per step" in line]
    assert time == f"{step.seconds(2e12, 11e9):.3g} s per step, at 2 TFLOP/s and 11 GB/s"
    largest = cost.largest_batch(model, 2**30, (8, 32, 32, 3), ema=True)
    assert lines[-1] == f"largest batch in 1.07374 GB: {largest}"


def test_cost_of_a_training_step_as_json(run, presets):
    form = ["--training", "--remat", "--optimizer", "sgd", "--memory", "0.001MB", "--json"]
    code, out, _ = run("cost", presets / "clips", *form)
    said = json.loads(out)
    model = MLP3D.from_preset(presets / "clips", load_weights=False, remat=True)
    step = cost.training_step(model, (8, 32, 32, 3), 1, "sgd")
    assert (code, said["peak"], said["macs"], said["remat"]) == (0, step.peak, step.macs, True)
    assert sum(layer["kept"] for layer in said["layers"]) == step.activations
    assert (said["optimizer_bytes"], said["optimizer"], said["largest_batch"]) == (0, "sgd", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "4"], "--batch is for a training step: add --training"),
        (["--remat"], "--remat is for a training step: add --training"),
        (["--memory", "24GB"], "--memory is for a training step: add --training"),
        (["--training", "--batch", "0"], "expected a positive integer, got '0'"),
        (["--training", "--dtype", "int8"], "invalid choice: 'int8'"),
        (["--training", "--dtype", "floaty"], "invalid choice: 'floaty'"),
        (["--training", "--memory=-24GB"], "expected memory above 0 with a unit"),
        (["--training", "--memory", "24"], "such as 22GB or 22GiB, got '24'"),
        (["--training", "--rate", "fast"], "such as 100TFLOP/s, got 'fast'"),
        (["--training", "--bandwidth", "11GB"], "such as 11GB/s, got '11GB'"),
        (["--training", "--bandwidth", "11GB/s"], "--bandwidth is for the time of a step: add --r"),
        (["--training", "--optimizer", "lion"], "invalid choice: 'lion'"),
    ],
)
def test_training_steps_that_cannot_be_counted(run, presets, arguments, message):
    code, out, err = run("cost", presets / "clips", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_images_have_no_remat(run, presets):
    code, _, err = run("cost", presets / "frames", "--training", "--remat")
    assert code == 2
    assert "the blocks of a CycleMLP have none" in err


def test_upload_hands_everything_over(run, monkeypatch):
    calls = []

    def recorded(uri, directory, private, commit_message):
        calls.append((uri, directory, private, commit_message))
        return "https://huggingface.co/user/repo"

    monkeypatch.setattr(upload, "upload_preset", recorded)
    page = (0, "https://huggingface.co/user/repo\n", "")
    assert run("upload", "folder", "hf://user/repo") == page
    arguments = ["upload", "folder", "hf://user/repo", "--private", "--message", "First"]
    assert run(*arguments) == page
    assert calls == [
        ("hf://user/repo", "folder", False, None),
        ("hf://user/repo", "folder", True, "First"),
    ]


def test_upload_of_what_is_no_preset(run, tmp_path):
    code, _, err = run("upload", tmp_path, "hf://user/repo")
    assert code == 2
    assert "has no config.json" in err
    code, _, err = run("upload", tmp_path, "user/repo")
    assert code == 2
    assert "does not start with hf://" in err
