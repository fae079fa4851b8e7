"""benchmarks/real_clips.py takes groups out whole, and measures what it says."""

import json
import sys

import keras
import numpy as np
import pytest

from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, read_folder
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
from keras_mlp3d.training import Recipe, clip_converter


@pytest.fixture
def real_clips(pytestconfig, monkeypatch):
    monkeypatch.syspath_prepend(pytestconfig.rootpath / "benchmarks")
    import real_clips

    yield real_clips
    for name in ("real_clips", "r2plus1d"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("data", "names", "taken"),
    [
        (
            "radar_gestures",
            [f"{person}_{k}.mp4" for person in range(800, 813) for k in range(2)],
            {"805_0.mp4", "805_1.mp4", "811_0.mp4", "811_1.mp4"},
        ),
        ("grid_words", [f"s1_{k:02}.mp4" for k in range(25)], {"s1_09.mp4", "s1_19.mp4"}),
    ],
)
def test_groups_are_taken_out_whole(real_clips, data, names, taken):
    rows = [VideoRow(f"{word}/{name}", label) for label, word in enumerate("ab") for name in names]
    training, held_out = real_clips.split(Manifest(rows, ("a", "b"), "train"), data)
    assert {row.path.split("/")[1] for row in held_out.rows} == taken
    assert len(held_out) == 2 * len(taken)
    assert {row.path for row in training.rows}.isdisjoint(row.path for row in held_out.rows)
    assert len(training) + len(held_out) == len(rows)


def test_the_convolutional_network_and_its_cost(real_clips):
    model = real_clips.r2plus1d(3, (4, 32, 32, 3), (2, 4, 4, 4), (1, 1, 1, 1))
    assert model(np.zeros((2, 4, 32, 32, 3), "uint8")).shape == (2, 3)
    inputs = keras.Input((4, 8, 8, 3))
    conv = keras.layers.Conv3D(5, (1, 3, 3), strides=(1, 2, 2), padding="same", use_bias=False)
    small = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(conv(inputs))))
    size = 4 * 4 * 4 * 5
    assert real_clips.multiply_accumulates(small) == size * 9 * 3 + size * 2


@pytest.mark.parametrize("size", [(32, 32), (64, 64)])
def test_clips_in_memory_are_those_of_files(real_clips, tmp_path, size):
    write_motion_shapes(tmp_path, num_clips=3, classes=["blink_then_spin", "spin_then_blink"])
    recipe = Recipe.load("grid_words").replace(image_size=size, num_frames=8)
    files = read_folder(tmp_path)
    memory = real_clips.in_memory(files, "mlp3d_nano", recipe)
    converter = clip_converter(VideoConverter(8), recipe)
    for file, frames in zip(files.rows, memory.rows, strict=True):
        np.testing.assert_array_equal(converter(frames.path), converter(file.path))
    assert files.class_names == memory.class_names


def test_a_short_run(real_clips, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "grid_words"
    classes = ["blink_then_spin", "spin_then_blink"]
    for split, clips in (("train", 40), ("val", 8)):
        write_motion_shapes(folder / split, split=split, num_clips=clips, classes=classes)
    small = ["epochs=1", "warmup_epochs=0.5", "batch_size=8", "image_size=[32, 32]"]
    small += ["num_frames=32"]
    preset = tmp_path / "preset"
    arguments = ["--data", str(folder), "--run", str(tmp_path / "run"), "--preset", "mlp3d_nano"]
    arguments += ["--networks", "MLP-3D", "--seeds", "0", "--in-memory", "--set", *small]
    monkeypatch.setattr(sys, "argv", ["real_clips.py", *arguments, "--to-preset", str(preset)])
    real_clips.main()
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "mlp3d" / "seed0" / "result.json").read_text())
    right = np.mean(np.equal(result["in order"], result["labels"]))
    assert f"| {right:.3f} |" in said.splitlines()[-1]
    assert len(result["shuffled"]) == len(result["one frame"]) == len(result["labels"]) > 0
    stated = json.loads((preset / "metadata.json").read_text())
    assert stated["license"] == "cc-by-4.0"
    assert [row["split"].split(",")[0] for row in stated["metrics"]] == [
        "taken out of train",
        "val",
    ]
    monkeypatch.setattr(sys, "argv", ["real_clips.py", *arguments, "--mistakes"])
    real_clips.main()  # reads what is finished
    again = capsys.readouterr().out.splitlines()
    assert again[-1] == said.splitlines()[-1]
    [classes] = [line for line in again if line.startswith("  by class: ")]
    shares = [float(part.split()[1]) for part in classes.removeprefix("  by class: ").split(", ")]
    assert np.mean(shares) == pytest.approx(right, abs=0.01)  # both classes have as many clips
    monkeypatch.setattr(sys, "argv", ["real_clips.py", *arguments, "--refit"])
    with pytest.raises(SystemExit, match=r"of other settings: training was .* Use another --run"):
        real_clips.main()
    arguments[3] = str(tmp_path / "refit")
    monkeypatch.setattr(
        sys, "argv", ["real_clips.py", *arguments, "--refit", "--to-preset", str(preset)]
    )
    real_clips.main()
    refit = capsys.readouterr().out
    taken = len(result["labels"])
    assert f"{48 - taken} videos to train on, {taken} taken out" in refit
    assert " | 1 | – | " in refit.splitlines()[-1]  # no accuracy on `val`
    stated = json.loads((preset / "metadata.json").read_text())
    assert [row["split"].split(",")[0] for row in stated["metrics"]] == ["taken out of train"]
    assert "trained on val too" in stated["source"]


def test_a_run_begins_with_the_weights_of_another(real_clips, tmp_path, monkeypatch):
    folder = tmp_path / "grid_words"
    classes = ["blink_then_spin", "spin_then_blink"]
    for split, clips in (("train", 40), ("val", 8)):
        write_motion_shapes(folder / split, split=split, num_clips=clips, classes=classes)

    def answers(run, *options, **changes):
        recipe = {**small, **changes}
        arguments = ["--data", str(folder), "--run", str(tmp_path / run), *options]
        arguments += ["--preset", "mlp3d_nano", "--networks", "MLP-3D", "S = 1", "--seeds", "1"]
        arguments += ["--in-memory", "--set", *(f"{key}={recipe[key]}" for key in recipe)]
        monkeypatch.setattr(sys, "argv", ["real_clips.py", *arguments])
        real_clips.main()
        results = sorted((tmp_path / run).glob("*/seed1/result.json"))
        return [json.loads(path.read_text())["shuffled"] for path in results]

    small = {"epochs": 1, "warmup_epochs": 0.5, "batch_size": 8, "num_frames": 32}
    small["image_size"] = [32, 32]
    before = answers("before")
    assert len(before) == 2
    assert answers("untrained", learning_rate=1e-12) != before
    start = ["--start-from", str(tmp_path / "before")]
    assert answers("after", *start, learning_rate=1e-12) == before
    answers("larger", *start, image_size=[64, 64])
    with pytest.raises(FileNotFoundError, match=r"absent.mlp3d.seed1.model\.weights\.h5"):
        answers("never", "--start-from", str(tmp_path / "absent"))
