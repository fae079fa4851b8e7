import sys

import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.distribution import Distribution
from keras_mlp3d.training import (
    Recipe,
    clip_converter,
    data_identity,
    list_recipes,
    make_loaders,
    network_options,
    train,
)

RECIPE = Recipe("unmeasured", "test", batch_size=2, epochs=2, warmup_epochs=0.5)


class Noise(keras.utils.PyDataset):
    epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng([self.epoch, index])
        return rng.integers(0, 256, (2, 8, 32, 32, 3), "uint8"), np.array([0, 1], "int32")


def manifest(rows=6):
    videos = tuple(VideoRow(f"{row}.mp4", row % 2) for row in range(rows))
    return Manifest(videos, ("first", "second"), "train")


def test_what_a_network_and_a_converter_do_otherwise_is_said(caplog):
    """The recipe in a run's folder would state what was not done."""
    recipe = RECIPE.replace(num_frames=16)
    make_loaders(recipe, manifest(), None, VideoConverter(8, (32, 32)))
    assert "asks for other clips than the converter makes" in caplog.text
    caplog.clear()
    make_loaders(recipe, manifest(), None, clip_converter(VideoConverter(8, (32, 32)), recipe))
    assert not caplog.records


class NoClip(Noise):
    def __getitem__(self, index):
        raise InterruptedError


@pytest.mark.parametrize(
    ("field", "asked", "built"),
    [("dropout", 0.5, 0.25), ("drop_path_rate", 0.1, 0.2), ("dtype", "mixed_bfloat16", "float32")],
)
def test_a_network_that_was_built_otherwise_is_said(tmp_path, caplog, field, asked, built):
    recipe = RECIPE.replace(epochs=1, **{field: asked})

    def begin(value, folder):
        backbone_options = {} if field == "dropout" else {field: value}
        backbone = MLP3DBackbone(
            (8,) * 4, (1,) * 4, 2, "short_range:2", input_shape=(8, 32, 32, 3), **backbone_options
        )
        model = MLP3D(backbone, 2, **({field: value} if field == "dropout" else {}))
        caplog.clear()
        with pytest.raises(InterruptedError):
            train(model, recipe, NoClip(), folder=tmp_path / folder, verbose=0)
        return [record.message for record in caplog.records if "asks for" in record.message]

    [said] = begin(built, "other")
    assert f"asks for {field}={asked}" in said
    assert str(built) in said
    assert begin(asked, "same") == []


def test_random_mixing_draws_from_every_mixing_that_fits():
    recipe = RECIPE.replace(random_mixing=0.1, max_group_size=4)
    options = network_options(recipe, num_frames=24)  # six tokens in time
    names = {str(mixing) for mixing in options["candidates"]}
    assert names == {
        *("short_range:1", "short_range:2", "long_range:2", "shift_window:2"),
        *("shift_token:2", "shift_token:4"),
    }
    assert (options["random_mixing"], options["max_group_size"]) == (0.1, 4)


def test_another_size_of_clips_is_not_resized_as_the_old_one():
    """The length to which pictures are resized is for one size of clips."""
    converter = VideoConverter(16, (224, 224), resize=256)
    recipe = Recipe("unmeasured", "small", num_frames=16, image_size=(64, 64))
    assert clip_converter(converter, recipe) == VideoConverter(16, (64, 64))
    for size in ((224, 224), None):
        kept = clip_converter(converter, recipe.replace(image_size=size))
        assert kept == converter
    larger = clip_converter(converter, recipe.replace(image_size=(288, 288)))
    assert larger == VideoConverter(16, (288, 288))


def test_a_stride_for_frames_of_the_whole_video_is_refused():
    recipe = Recipe("unmeasured", "mine", num_frames=16, image_size=(64, 64), frame_stride=4)
    fault = r"'mine': frame_stride=4 has no meaning for sampling='uniform'.* set frame_stride to 1"
    with pytest.raises(ValueError, match=fault):
        clip_converter(VideoConverter(), recipe)
    assert clip_converter(VideoConverter(sampling="dense"), recipe).frame_stride == 4


def test_what_the_recipe_leaves_open_is_left_to_the_preset():
    assert network_options(RECIPE, 32) == {}
    converter = VideoConverter(num_frames=8, image_size=(40, 48), crop="none")
    assert clip_converter(converter, RECIPE) == converter
    changed = clip_converter(converter, RECIPE.replace(num_frames=16, sampling="dense"))
    assert (changed.num_frames, changed.sampling, changed.crop) == (16, "dense", "none")


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_builds_a_network_that_train_takes(name):
    recipe = Recipe.load(name)
    options = {"schedule": "short_range:2", **network_options(recipe, 64)}
    model = MLP3D.from_preset("mlp3d_nano", load_weights=False, num_classes=2, **options)
    assert model.backbone.random_mixing == recipe.random_mixing
    assert model.backbone.remat == recipe.remat


@pytest.mark.parametrize(
    ("crop", "augmentation", "expected"),
    [
        ("center", {}, "random"),
        ("none", {}, "none"),
        ("center", {"crop": {"scale": [0.5, 1.0]}}, "center"),
    ],
)
def test_training_crops_at_random_where_nothing_else_does(crop, augmentation, expected):
    converter = VideoConverter(num_frames=8, image_size=(32, 32), crop=crop)
    recipe = RECIPE.replace(augmentation=augmentation)
    loader, checks = make_loaders(recipe, manifest(), manifest(4), converter)
    assert loader.source.converter.crop == expected
    assert checks.source.converter.crop == crop
    assert not checks.source.training


def test_copies_and_shards_of_a_batch():
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    recipe = RECIPE.replace(
        batch_augmentation=3, augmentation={"flip": 0.5, "mix_up": {"alpha": 0.2}}
    )
    loader, checks = make_loaders(recipe, manifest(), manifest(4), converter, shard=(1, 2))
    assert (loader.source.batch_size, loader.source.copies) == (6, 3)
    assert loader.source.shard == checks.source.shard == (1, 2)
    assert checks.source.batch_size == 2
    assert loader.source.one_hot
    assert checks.source.one_hot, "the loss takes labels of one form"


@pytest.mark.parametrize(
    ("shard", "devices", "expected"),
    [((0, 1), 1, 6), ((0, 1), 4, 6), ((1, 2), 2, 6), ((0, 2), 4, 8)],
)
def test_a_validation_batch_divides_over_the_devices(shard, devices, expected, monkeypatch):
    """Also where a training batch does by its copies alone: here of 6 x 2 clips."""
    module = sys.modules[make_loaders.__module__]
    monkeypatch.setattr(module, "current_distribution", lambda: Distribution(devices, shard))
    recipe = RECIPE.replace(batch_size=6, batch_augmentation=2, augmentation={"flip": 0.5})
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    _, checks = make_loaders(recipe, manifest(12), manifest(4), converter, shard=shard)
    assert checks.source.batch_size == expected


def test_identity_tells_manifests_apart():
    first, second = (data_identity(manifest(rows), None) for rows in (4, 6))
    assert first != second
    assert first["validation"] is None
    assert data_identity(manifest(), manifest())["validation"]["videos"][5] == [
        "5.mp4",
        1,
        None,
        None,
    ]


@pytest.mark.parametrize(
    "field", [*("random_mixing", "remat", "subtract_mean"), *("pixel_mean", "pixel_std")]
)
def test_train_refuses_a_network_without_what_the_recipe_asks_for(field, tmp_path):
    colors = {"pixel_mean": [0.1, 0, 1], "pixel_std": [0.2, 0.3, 1], "subtract_mean": True}
    recipe = RECIPE.replace(random_mixing=0.2, max_group_size=2, remat=True, **colors)
    options = network_options(recipe, 8)
    del options[field]
    options.pop("dropout", None)
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "short_range:2", **options)
    with pytest.raises(ValueError, match=f"{field}=.* the network has .*network_options"):
        train(MLP3D(backbone, 2), recipe, Noise(), folder=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_random_mixing_is_resumed_where_it_was(tmp_path):
    recipe = RECIPE.replace(random_mixing=0.5, max_group_size=2)
    weights = []
    for stops in ((), (1,)):
        keras.utils.set_random_seed(0)
        options = network_options(recipe, 8)
        backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "short_range:2", **options)
        model = MLP3D(backbone, 2)
        folder = tmp_path / f"run{len(stops)}"
        if stops:
            stop = iter([False] * 3 + [True]).__next__
            with pytest.raises(KeyboardInterrupt):
                train(model, recipe, Noise(), folder=folder, verbose=0, stop=stop)
            for weight in model.trainable_weights:  # another process would not have them
                weight.assign(np.zeros(weight.shape))
        train(model, recipe, Noise(), folder=folder, verbose=0)
        weights.append([keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights])
    for whole, resumed in zip(*weights, strict=True):
        np.testing.assert_allclose(resumed, whole, rtol=0, atol=1e-6)
