import numpy as np
import pytest
from layer_contract import to_numpy
from models import tiny

from keras_mlp3d import MLP3D
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


def test_takes_an_ordinary_network_too():
    model = tiny.tiny_model()
    network = extract(model)
    for own, other in zip(network.weights, model.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(own), to_numpy(other))


def test_weights_that_are_not_there():
    model = tiny.tiny_model("long_range:2", candidates=CANDIDATES)
    with pytest.raises(ValueError, match="no weights for 'long_range:16'"):
        extract(model, "long_range:16")
