"""The public networks: features and logits of CycleMLP B1 to B5, and of MLP-3D made from B1."""

import keras
import numpy as np
import pytest
from conversion.running import run
from golden import make_state_dict

from keras_mlp3d import MLP3D, CycleMLP
from keras_mlp3d.conversion import inflate, load_cyclemlp

TOLERANCE = 1e-4  # of the reference's standard deviation


def converted(name):
    model = CycleMLP.from_preset(f"cyclemlp_{name}", load_weights=False, include_rescaling=False)
    load_cyclemlp(model, make_state_dict.state_dict(f"cyclemlp_{name}", 7))
    return model


def images():
    return make_state_dict.image(7, 96).transpose(0, 2, 3, 1)


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < TOLERANCE * expected.std()


@pytest.mark.parametrize("name", ["b1", "b2", "b3", "b5"])
def test_cyclemlp(name, root_dir):
    golden = np.load(root_dir / "tests" / "golden" / f"cyclemlp_{name}.npz")
    model = converted(name)
    outputs = run(
        keras.Model(model.input, {**model.pyramid_outputs, "logits": model.output}), images()
    )
    assert_close(outputs["logits"], golden["logits"])
    assert_close(outputs["P5"], golden["stage4"])
    for stage in range(4):
        features, std = outputs[f"P{stage + 2}"], golden["stage_std"][stage]
        assert abs(features.mean() - golden["stage_mean"][stage]) < TOLERANCE * std
        assert abs(features.std() - std) < TOLERANCE * std


@pytest.fixture(scope="module")
def b1():
    return converted("b1")


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("short_range:4+shift_window:4", {}),
        ("shift_token:3+long_range:2", {"max_group_size": 4}),
        ("full", {"share_weights": False, "input_shape": (16, 96, 96, 3)}),
    ],
)
def test_inflated_on_a_still_clip(schedule, options, b1, root_dir):
    """Every schedule gives CycleMLP's logits where all frames are one image."""
    golden = np.load(root_dir / "tests" / "golden" / "cyclemlp_b1.npz")
    model = MLP3D.from_preset(
        "mlp3d_xs",
        load_weights=False,
        num_classes=1000,
        schedule=schedule,
        include_rescaling=False,
        **options,
    )
    assert inflate(b1, model) == []
    clip = np.repeat(images()[:1, None], 16, axis=1)
    assert_close(run(model, clip), golden["logits"][:1])
