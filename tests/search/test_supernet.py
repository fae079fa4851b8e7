import keras
import numpy as np
import pytest
from layer_contract import to_numpy
from numpy_weights import fill

from keras_mlp3d import MLP3D, Mixing, MLP3DBackbone
from keras_mlp3d.cost import count
from keras_mlp3d.layers import SwitchableTimeMixing
from keras_mlp3d.models.transfer import walk_layers
from keras_mlp3d.search import SearchSpace, extract, supernet

SPACE = SearchSpace(group_sizes=(1, 2, 4, 8))
SHAPE = (1, 32, 32, 32, 3)


@pytest.fixture(scope="module")
def model():
    return fill(supernet("mlp3d_nano", SPACE, num_classes=3, class_names=["a", "b", "c"]))


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype("uint8")


def random_schedules(count):
    rng = np.random.default_rng(1)
    return [
        [SPACE.mixings[index] for index in rng.integers(0, len(SPACE.mixings), 4)]
        for _ in range(count)
    ]


def test_fixed_choices_give_the_ordinary_network_with_one_compilation(model, clips, monkeypatch):
    traced = []
    inner = SwitchableTimeMixing.call
    monkeypatch.setattr(
        SwitchableTimeMixing,
        "call",
        lambda self, *args, **kwargs: traced.append(1) or inner(self, *args, **kwargs),
    )
    model.compile()
    model.predict_on_batch(clips)
    before = len(traced)
    # XLA compiles each ordinary network: there, twelve use every mixing in some block.
    for schedule in random_schedules(50 if keras.backend.backend() == "torch" else 12):
        model.backbone.set_choices(schedule)
        assert model.backbone.choices == tuple(schedule)
        logits = to_numpy(model.predict_on_batch(clips))
        expected = to_numpy(extract(model, schedule)(clips))
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    if keras.backend.backend() != "torch":  # which runs the network step by step
        assert len(traced) == before, "a choice compiled the network anew"


def test_extracted_network_is_an_ordinary_one(model):
    schedule = random_schedules(1)[0]
    network = extract(model, schedule)
    assert network.backbone.schedule == tuple(schedule)
    assert network.backbone.candidates is None
    assert network.class_names == ["a", "b", "c"]
    assert not any(isinstance(layer, SwitchableTimeMixing) for layer in walk_layers(network))
    assert network.converter == model.converter
    for weight in network.weights:
        weight.assign(np.zeros(weight.shape, weight.dtype))
    assert np.abs(to_numpy(model.weights[0])).max() > 0, "it shares its weights with the supernet"


def test_training_trains_the_shared_kernels_at_random(clips):
    model = supernet("mlp3d_nano", SPACE, num_classes=3)
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = {round(float(model.train_on_batch(clips, np.array([1]))), 4) for _ in range(6)}
    assert len(losses) > 3
    chosen = model.backbone.choices
    assert chosen == (Mixing("short_range", 1),) * 4, "a draw changed the choice"


def test_all_candidates_are_equally_likely():
    model = supernet("mlp3d_nano", SPACE, num_classes=3)
    number = len(SPACE.mixings)
    for layer in walk_layers(model):
        if isinstance(layer, SwitchableTimeMixing):
            assert layer.random_rate == pytest.approx(1 - 1 / number)
            assert len(layer.candidates) == number


def test_cost_follows_the_choice(model):
    model.backbone.set_choices("short_range:8")
    dear = count(model, SHAPE[1:]).macs
    model.backbone.set_choices("short_range:1")
    assert count(model, SHAPE[1:]).macs < dear
    assert dear == count(extract(model, "short_range:8"), SHAPE[1:]).macs


def test_preset_round_trip_keeps_choices(model, clips, tmp_path):
    model.backbone.set_choices(random_schedules(2)[1])
    model.save_to_preset(tmp_path / "supernet")
    again = MLP3D.from_preset(tmp_path / "supernet")
    assert again.backbone.choices == model.backbone.choices
    np.testing.assert_allclose(to_numpy(again(clips)), to_numpy(model(clips)), rtol=0, atol=1e-5)


def test_starts_from_a_presets_weights(clips):
    preset = "mlp3d_nano_motion_shapes"
    network = MLP3D.from_preset(preset)
    model = supernet(preset, SPACE, load_weights=True)
    model.backbone.set_choices(network.backbone.schedule)
    expected = to_numpy(network(clips))
    np.testing.assert_allclose(
        to_numpy(model(clips)), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_unknown_choice_switches_no_block(model):
    model.backbone.set_choices("short_range:2")
    with pytest.raises(ValueError, match="long_range:16 is no candidate of block 2; the cand"):
        model.backbone.set_choices(["long_range:2", "long_range:2", "long_range:16", "full"])
    assert model.backbone.choices == (Mixing("short_range", 2),) * 4


def test_network_without_candidates_has_no_choice():
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 2, "short_range:2")
    assert backbone.choices == backbone.schedule
    with pytest.raises(ValueError, match="has no candidates"):
        backbone.set_choices("short_range:2")
    with pytest.raises(ValueError, match="needs candidates"):
        MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 2, "short_range:2", random_mixing=0.1)


def test_clip_length_that_a_group_size_refuses(model):
    with pytest.raises(ValueError, match="multiples of 32"):
        model(np.zeros((1, 16, 32, 32, 3), "uint8"))
    with pytest.raises(ValueError, match="multiples of 32"):
        supernet("mlp3d_nano", SPACE, num_classes=3, input_shape=(16, 32, 32, 3))


def test_extract_refuses_what_the_supernet_never_trained():
    small = SearchSpace(group_sizes=(1, 2))
    model = supernet("mlp3d_nano", small, num_classes=3)
    with pytest.raises(ValueError, match=r"no weights for 'short_range:4'.*mix_time"):
        extract(model, "short_range:4")
