"""Networks that are trained by themselves: where they lie, what they start from, what is kept."""

import json
import shutil

import keras
import numpy as np
import pytest

from keras_mlp3d import FrameCycleMLP, cost
from keras_mlp3d.data import read_manifest
from keras_mlp3d.search import Trainer
from keras_mlp3d.training import Recipe, TrainingInterrupted


@pytest.fixture(scope="module")
def manifests(videos):
    return read_manifest(videos, "train"), read_manifest(videos, "val")


def make(preset, recipe, manifests, folder, **options):
    return Trainer(preset, recipe, *manifests, folder, verbose=0, **options)


@pytest.fixture(scope="module")
def done(preset, recipe, manifests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trainer = make(preset, recipe, manifests, folder)
    return trainer, trainer("long_range:2", seed=3)


def test_a_training_leaves_its_accuracy_in_a_folder_of_its_own(done):
    trainer, accuracy = done
    assert [path.name for path in trainer.folder.iterdir()] == ["LR2-seed3"]
    evaluation = json.loads((trainer.folder / "LR2-seed3" / "evaluation.json").read_text())
    assert evaluation["top1"] == accuracy
    assert evaluation["digest"] == trainer.validation.digest
    assert evaluation["expected"] == 6
    run = json.loads((trainer.folder / "LR2-seed3" / "run.json").read_text())
    assert run["model"]["schedule"] == ["long_range:2"] * 4
    assert run["recipe"]["seed"] == 3


def test_a_finished_training_is_only_read(done, preset, recipe, manifests):
    trainer, accuracy = done
    times = {path: path.stat().st_mtime_ns for path in trainer.folder.rglob("*")}
    again = make(preset, recipe, manifests, trainer.folder)
    assert again(["long_range:2"] * 4, seed=3) == accuracy
    assert {path: path.stat().st_mtime_ns for path in trainer.folder.rglob("*")} == times


def test_a_finished_training_is_measured_on_the_videos_there_are(done, preset, recipe, manifests):
    """And its weights stay: one video of six is gone."""
    trainer, _ = done
    folder = trainer.folder / "LR2-seed3"
    weights = (folder / "best.npz").read_bytes()
    five = manifests[1].select(range(5))
    accuracy = make(preset, recipe, (manifests[0], five), trainer.folder)("long_range:2", seed=3)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert (evaluation["top1"], evaluation["expected"]) == (accuracy, 5)
    assert (folder / "best.npz").read_bytes() == weights
    [change] = json.loads((folder / "run.json").read_text())["changes"]
    assert "1 of 6 videos is gone" in change["validation"]
    two = manifests[1].select(range(2))
    other = make(preset, recipe, (manifests[0], two), trainer.folder)
    with pytest.raises(ValueError, match="3 of 5 videos are gone"):
        other("long_range:2", seed=3)
    other.accept_changed_data = True
    other("long_range:2", seed=3)
    assert json.loads((folder / "evaluation.json").read_text())["expected"] == 2


def test_a_folder_of_another_recipe_is_refused(done, preset, recipe, manifests):
    trainer, _ = done
    other = make(preset, recipe.replace(weight_decay=0.3), manifests, trainer.folder)
    with pytest.raises(ValueError, match=r"recipe weight_decay was 0\.05, is 0\.3"):
        other("long_range:2", seed=3)


def test_a_folder_of_another_recipe_is_moved_aside_if_asked(
    done, preset, recipe, manifests, tmp_path
):
    trainer, _ = done
    shutil.copytree(trainer.folder, tmp_path / "runs")
    folder = tmp_path / "runs" / "LR2-seed3"
    before = (folder / "evaluation.json").read_bytes()
    other = make(preset, recipe.replace(weight_decay=0.3), manifests, tmp_path / "runs")
    other.anew = True
    other("long_range:2", seed=3)
    assert (folder / "before-1" / "evaluation.json").read_bytes() == before
    assert json.loads((folder / "run.json").read_text())["recipe"]["weight_decay"] == 0.3
    assert (folder / "evaluation.json").exists()


def test_asked_to_stop_it_ends_behind_a_checkpoint(preset, recipe, manifests, tmp_path):
    trainer = make(preset, recipe, manifests, tmp_path)
    trainer.stop = lambda: True
    with pytest.raises(TrainingInterrupted, match="Stopped after step 1 of "):
        trainer("shift_token:2")
    assert list(trainer.run_folder("shift_token:2", 0).glob("checkpoint-*"))


def test_weights_of_the_preset_or_none(preset, recipe, manifests, tmp_path):
    kernels = []
    for options in ({}, {}, {"from_scratch": True}):
        keras.utils.set_random_seed(0)
        model = make(preset, recipe, manifests, tmp_path, **options).model("short_range:4")
        kernels.append(np.array(model.backbone.get_layer("embedding").kernel))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()
    assert {mixing.kind for mixing in model.backbone.schedule} == {"short_range"}
    assert model.class_names == ["bright", "dark"]


def test_the_two_dimensional_network(preset, recipe, manifests, tmp_path, monkeypatch):
    trainer = make(preset, recipe, manifests, tmp_path, from_scratch=True)
    model = trainer.model(None)
    assert isinstance(model, FrameCycleMLP)
    assert model.cycle_mlp.depths == (1, 1, 1, 1)
    assert trainer.gmacs(None) == cost.count(model, (16, 32, 32, 3)).macs / 1e9
    assert trainer.run_folder(None, 0).name == "2-D-seed0"
    trainer.run_folder(None, 0).mkdir()
    monkeypatch.setattr("keras_mlp3d.search.trainer.train", lambda *args, **options: None)
    accuracy = trainer(None)
    evaluation = json.loads((tmp_path / "2-D-seed0" / "evaluation.json").read_text())
    assert accuracy == evaluation["top1"]
    assert evaluation["expected"] == 6
    with pytest.raises(ValueError, match="pass frames_preset, a preset of CycleMLP, or from_scra"):
        make(preset, recipe, manifests, tmp_path).model(None)


def test_folders_of_schedules(preset, recipe, manifests, tmp_path):
    trainer = make(preset, recipe, manifests, tmp_path)
    mixed = ["shift_token:4", "short_range:2", "short_range:2", "short_range:1"]
    assert trainer.run_folder("short_range:4+shift_window:4", 1).name == "SR-SW4-seed1"
    assert trainer.run_folder("shift_token:1", 0).name == "S1-seed0"
    assert trainer.run_folder(mixed, 0).name == "ST4-SR2-SR2-SR1-seed0"


def test_what_the_recipe_says_of_clips(preset, manifests, tmp_path):
    recipe = Recipe("unmeasured", "small", num_frames=8, image_size=(48, 32), dropout=0.25)
    trainer = make(preset, recipe, manifests, tmp_path)
    assert trainer.clip_shape == (8, 48, 32, 3)
    model = trainer.model("shift_token:2")
    assert model.dropout == 0.25
    assert model.converter.image_size == (48, 32)


def test_other_classes_are_refused(preset, recipe, videos, tmp_path):
    training = read_manifest(videos, "train")
    validation = read_manifest(videos, "val", class_names=["dark", "bright"])
    with pytest.raises(ValueError, match=r"the same classes in the same order, .* this order"):
        Trainer(preset, recipe, training, validation, tmp_path)
