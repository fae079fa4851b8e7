import keras
import numpy as np
import pytest
from layer_contract import to_numpy
from models import tiny

from keras_mlp3d import MLP3D, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.models import extract

CANDIDATES = ["short_range:1", "long_range:2", "shift_token:2", "shift_window:4"]


def test_extracts_the_choices_in_use():
    options = {"candidates": CANDIDATES, "random_mixing": 0.3, "remat": True}
    model = tiny.tiny_model("long_range:2", task={"class_names": list("abcde")}, **options)
    model.backbone.set_choices("shift_window:4")
    clip = tiny.pixels()
    network = extract(model)
    assert isinstance(network, MLP3D)
    backbone = network.backbone
    assert (backbone.candidates, backbone.random_mixing, backbone.remat) == (None, 0.0, False)
    assert {str(mixing) for mixing in backbone.schedule} == {"shift_window:4"}
    assert network.class_names == list("abcde")
    expected = tiny.run(model, clip)
    np.testing.assert_allclose(
        tiny.run(network, clip), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_takes_both_paths_of_a_network():
    paths = [
        tiny.tiny_model(
            "long_range:2", seed, candidates=CANDIDATES, remat=True, task={"name": name}
        )
        for seed, name in enumerate(("seen", "moving"))
    ]
    model = TwoPathMLP3D(*paths, (32, 36), "softmax", class_names=list("abcde"))
    model.motion.backbone.set_choices("shift_window:4")
    network = extract(model)
    kinds = [{str(mixing) for mixing in path.backbone.schedule} for path in
             (network.appearance, network.motion)]  # fmt: skip
    assert kinds == [{"long_range:2"}, {"shift_window:4"}]
    assert not any(path.backbone.candidates for path in (network.appearance, network.motion))
    assert (network.class_names, network.motion_size) == (list("abcde"), (32, 36))
    clip = tiny.pixels()
    np.testing.assert_allclose(tiny.run(network, clip), tiny.run(model, clip), rtol=0, atol=1e-5)


def test_takes_an_ordinary_network_too():
    model = tiny.tiny_model()
    network = extract(model)
    for own, other in zip(network.weights, model.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(own), to_numpy(other))


def test_weights_that_are_not_there():
    model = tiny.tiny_model("long_range:2", candidates=CANDIDATES)
    with pytest.raises(ValueError, match="no weights for 'long_range:16'"):
        extract(model, "long_range:16")


def test_recomputing_activations_changes_no_weights_file(tmp_path):
    """A network trained with `remat` is saved and loaded as one without, and the other way."""
    plain, frugal = (
        MLP3D(
            MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "short_range:2", remat=remat),
            num_classes=3,
        )
        for remat in (False, True)
    )
    clip = np.random.default_rng(0).integers(0, 256, (1, 8, 32, 32, 3)).astype("uint8")
    for number, (source, target) in enumerate([(plain, frugal), (frugal, plain)]):
        for weight in source.trainable_weights:
            weight.assign(keras.ops.convert_to_numpy(weight) + 0.1 * (number + 1))
        path = tmp_path / f"{number}.weights.h5"
        source.save_weights(path)
        target.load_weights(path)
        outputs = [keras.ops.convert_to_numpy(model(clip)) for model in (source, target)]
        np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=1e-5)
