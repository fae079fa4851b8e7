"""From the 2-D network to the 3-D one: every form of time mixing, every dtype, and refusals."""

import keras
import numpy as np
import pytest
from conversion import tiny_checkpoint
from conversion.running import run
from models import tiny

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone
from keras_mlp3d.conversion import inflate, load_cyclemlp

SIZES, CLASSES = tiny_checkpoint.SIZES, tiny_checkpoint.CLASSES
KINDS = ["short_range:4", "long_range:2", "shift_window:2", "shift_token:3", "full"]
FORMS = [{}, {"max_group_size": 8}, {"share_weights": False}]


@pytest.fixture(scope="module")
def frame():
    model = CycleMLP(**SIZES, num_classes=CLASSES)
    load_cyclemlp(model, tiny_checkpoint.state_dict())
    return model


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


def scrambled(schedule, options, num_classes=CLASSES):
    """A network none of whose weights is at its start, the biases of time mixing included."""
    model = MLP3D(MLP3DBackbone(**SIZES, schedule=schedule, **options), num_classes)
    random = np.random.default_rng(2)
    for variable in model.weights:
        variable.assign(random.normal(0, 0.3, variable.shape).astype("float32"))
    return model


def still(image):
    return np.repeat(image[:, None], 16, axis=1)


@pytest.mark.parametrize("form", FORMS)
def test_a_still_clip_gives_the_logits_of_the_image(frame, image, form):
    model = scrambled(KINDS, {**form, "input_shape": (16, 32, 32, 3)})
    assert inflate(frame, model) == []
    expected = run(frame, image)
    np.testing.assert_allclose(
        run(model, still(image)), expected, atol=1e-4 * expected.std(), rtol=0
    )


def test_center_initialisation(frame):
    model = scrambled("short_range:4", {})
    inflate(frame, model)
    kernel = np.array(model.backbone.get_layer("embedding").kernel)
    np.testing.assert_array_equal(kernel[2], np.array(frame.get_layer("embedding").kernel)[0])
    assert not kernel[[0, 1, 3]].any()
    mixing = model.backbone.get_layer("stage1_block1").token_mixing.mix_time
    flat = frame.get_layer("stage1_block1").token_mixing.mix_time
    np.testing.assert_array_equal(np.array(mixing.kernel)[3], np.array(flat.kernel)[0])
    assert not np.array(mixing.kernel)[[0, 1, 2, 4, 5, 6]].any()
    assert not np.array(mixing.bias).any()


def test_another_number_of_classes_keeps_the_head(frame):
    model = scrambled("shift_token:2", {}, num_classes=3)
    head = [np.array(value) for value in model.get_layer("head").get_weights()]
    assert inflate(frame, model) == ["head/kernel", "head/bias"]
    for old, new in zip(head, model.get_layer("head").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    norm = model.backbone.get_layer("norm").gamma
    np.testing.assert_array_equal(np.array(norm), np.array(frame.get_layer("norm").gamma))


def test_backbone_alone(frame, image):
    model = scrambled("long_range:2", {}).backbone
    assert inflate(frame, model) == []
    tokens = run(model, still(image))
    assert tokens.shape == (2, 4, 1, 1, 20)
    np.testing.assert_allclose(tokens[:, 0], tokens[:, 3], atol=1e-5)
    head = [np.array(value) for value in frame.get_layer("head").get_weights()]
    logits = tokens[:, 0, 0, 0] @ head[0] + head[1]
    np.testing.assert_allclose(logits, run(frame, image), atol=1e-4)


def test_networks_share_no_memory(frame):
    """On JAX, training one of them would delete the arrays that both hold."""
    model = scrambled("short_range:1", {})
    inflate(frame, model)
    held = {weight.path: weight.value for weight in frame.weights}
    same = [weight for weight in model.weights if weight.path in held]
    assert len(same) == len(held)
    assert all(weight.value is not held[weight.path] for weight in same)
    mixing = (m.get_layer("stage1_block1").token_mixing.mix_time for m in (frame, model.backbone))
    np.testing.assert_array_equal(*(np.array(layer.kernel) for layer in mixing))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_dtypes_may_differ(frame, dtype):
    model = MLP3D(MLP3DBackbone(**SIZES, schedule="short_range:2", dtype=dtype), CLASSES)
    assert inflate(frame, model) == []
    flat, deep = (
        np.array(m.get_layer("stage4_block1").token_mixing.mix_time.kernel, "float32")
        for m in (frame, model.backbone)
    )
    np.testing.assert_allclose(deep[1], flat[0], rtol=2**-8 if dtype == "bfloat16" else 0)
    assert not deep[[0, 2]].any()


@pytest.mark.parametrize(
    ("name", "value"),
    [("channels", (8, 12, 16, 24)), ("depths", (1, 1, 1, 1)), ("mlp_ratios", (2, 2, 2, 2))],
)
def test_networks_that_do_not_match(frame, name, value):
    model = MLP3DBackbone(**{**SIZES, name: value}, schedule="short_range:2")
    before = [np.array(array) for array in model.get_weights()]
    with pytest.raises(ValueError, match=f"the same {name}: cycle_mlp has ") as caught:
        inflate(frame, model)
    assert str(SIZES[name]) in str(caught.value)
    assert str(value) in str(caught.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_arguments_in_the_wrong_order(frame):
    model = MLP3DBackbone(**SIZES, schedule="short_range:2")
    with pytest.raises(ValueError, match="cycle_mlp must be a CycleMLP, got MLP3DBackbone"):
        inflate(model, frame)
    with pytest.raises(ValueError, match="mlp3d must be an MLP3D or MLP3DBackbone, got CycleMLP"):
        inflate(frame, frame)


@pytest.mark.parametrize(
    "change", [lambda network: network.quantize("int8"), lambda network: network.enable_lora(2)]
)
@pytest.mark.parametrize("which", ["cycle_mlp", "mlp3d"])
def test_weights_that_are_not_what_the_network_computes_with(which, change):
    networks = {"cycle_mlp": tiny.tiny_cycle_mlp(), "mlp3d": tiny.tiny_model()}
    change(networks[which])
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in networks["mlp3d"].weights]
    with pytest.raises(ValueError, match=f"{which} must have float weights without adapters"):
        inflate(**networks)
    for weight, expected in zip(networks["mlp3d"].weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected)


@pytest.mark.parametrize("options", [{"pixel_mean": (0.5, 0.5, 0.5)}, {"include_rescaling": False}])
def test_other_pixels(options):
    with pytest.raises(ValueError, match="the same include_rescaling, pixel_mean and pixel_std"):
        inflate(tiny.tiny_cycle_mlp(**options), tiny.tiny_model())
    assert inflate(tiny.tiny_cycle_mlp(**options), tiny.tiny_model(**options)) == []
    same = {"pixel_mean": (0.485, 0.456, 0.406), "pixel_std": (0.229, 0.224, 0.225)}
    assert inflate(tiny.tiny_cycle_mlp(**same), tiny.tiny_model()) == []
