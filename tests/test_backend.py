"""The backends agree: each computes the logits that the NumPy twin made, and the same weights."""

import os

import keras
import numpy as np
import pytest
from golden import make_nano_logits
from layer_contract import forward, to_numpy

import keras_mlp3d


@pytest.fixture(scope="module")
def nano():
    return make_nano_logits.nano()


def test_live_backend_is_the_one_asked_for():
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
    assert keras.config.image_data_format() == "channels_last"


def as_called(model, clip):
    return forward(model, clip)


def as_compiled(model, clip):
    """The whole network as one graph of the backend's compiler, without a break."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(model, jit_compile=True)(tf.constant(clip, tf.float32))
    if keras.backend.backend() == "torch":
        import torch

        # Tracing is what can fail; turning the graph into machine code takes minutes.
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        with torch.no_grad():
            return compiled(torch.from_numpy(clip).float())
    return model.predict_on_batch(clip)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("run", [as_called, as_compiled])
def test_logits_of_nano_are_those_of_the_twin(nano, run):
    """Within 1e-4 of their spread of one reference, so within 2e-4 of each other."""
    expected = np.load(make_nano_logits.FILE)["logits"]
    logits = to_numpy(run(nano, make_nano_logits.clip(nano)))
    spread = expected.max() - expected.min()
    assert spread > 1
    assert logits.shape == expected.shape == (2, nano.num_classes)
    assert np.abs(logits - expected).max() / spread < 1e-4


def test_one_seed_gives_the_same_weights_on_every_backend():
    """Python's generator and NumPy draw them: the values themselves are the same."""
    keras.utils.set_random_seed(3)
    backbone = keras_mlp3d.MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2")
    kernels = [to_numpy(weight) for weight in backbone.weights if weight.path.endswith("kernel")]
    np.testing.assert_allclose(kernels[0].ravel()[:3], [0.06005, 0.05165, -0.01056], atol=1e-5)
    assert abs(sum(np.abs(kernel).sum() for kernel in kernels) - 338.31) < 0.01


def test_predictions_leave_the_weights_of_a_preset_as_they_are():
    """Keras has JAX reuse the memory of weights, which may be that of the arrays they came from."""
    model = keras_mlp3d.MLP3D.from_preset("mlp3d_nano_motion_shapes")
    before = [np.array(to_numpy(weight)) for weight in model.weights]
    shape = (1, model.converter.num_frames, *model.converter.image_size, 3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        model.predict_on_batch(rng.integers(0, 256, shape).astype("uint8"))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value, err_msg=weight.path)
