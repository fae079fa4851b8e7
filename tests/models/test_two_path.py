import json

import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from models import tiny

from keras_mlp3d import TwoPathMLP3D
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.models.two_path import MotionView, PathScores

CLIP = tiny.pixels()
SIZE = tiny.CLIP[2:4]
NAMES = ["up", "down", "left", "right", "still"]


def paths(activation=(None, None), **task):
    return [
        tiny.tiny_model(
            seed=seed,
            schedule=schedule,
            task={"name": name, "activation": own, **task},
        )
        for seed, (name, schedule, own) in enumerate(
            zip(("seen", "moving"), (tiny.SCHEDULE, "shift_token:2"), activation, strict=True)
        )
    ]


@pytest.fixture(scope="module")
def two():
    return TwoPathMLP3D(*paths(), motion_size=SIZE)


def softmax(logits):
    powers = np.exp(to_numpy(logits))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def scores(two):
    """The mean of both paths' softmax scores, each path run by itself."""
    motion = to_numpy(MotionView(SIZE)(CLIP))
    return (softmax(tiny.run(two.appearance, CLIP)) + softmax(tiny.run(two.motion, motion))) / 2


def test_outputs_are_the_logarithm_of_the_mean_of_both_scores(two, scores):
    outputs = two(CLIP)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(outputs), np.log(scores), rtol=0, atol=1e-5)
    np.testing.assert_allclose(softmax(outputs), scores, rtol=0, atol=1e-6)


def test_motion_path_has_a_size_of_its_own(two):
    """It sees the clip as Keras resizes it, minus its mean over time."""
    clip = tiny.pixels((2, 16, 40, 64, 3))
    small = keras.ops.image.resize(
        clip.reshape(32, 40, 64, 3).astype("float32"),
        SIZE,
        antialias=True,
        data_format="channels_last",
    )
    small = keras.ops.convert_to_numpy(small).reshape(tiny.CLIP)
    view = keras.Model(two.input, two.get_layer("motion_view").output)
    expected = small - small.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(to_numpy(view(clip)), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("activation", [("softmax", "softmax"), (None, "softmax")])
def test_softmax_form_and_paths_that_give_scores(activation, scores):
    two = TwoPathMLP3D(*paths(activation), motion_size=SIZE, activation="softmax")
    np.testing.assert_allclose(tiny.run(two, CLIP), scores, rtol=0, atol=1e-5)


def test_motion_path_of_a_still_clip_sees_zeros(two):
    still = np.repeat(CLIP[:, :1], 16, axis=1)
    view = keras.Model(two.input, two.get_layer("motion_view").output)
    seen = to_numpy(view(still))
    assert seen.shape == (2, 16, *SIZE, 3)
    assert np.abs(seen).max() < 1e-3
    moving = to_numpy(view(CLIP))
    assert np.abs(moving).max() > 10
    np.testing.assert_allclose(moving.mean(axis=1), 0, atol=1e-3)


def test_motion_view_at_the_clips_own_size_is_the_clip_minus_its_mean_over_time():
    clip = CLIP.astype("float64")
    view = to_numpy(MotionView(SIZE)(CLIP))
    np.testing.assert_allclose(view, clip - clip.mean(axis=1, keepdims=True), rtol=0, atol=1e-4)


def test_motion_view_halves_a_clip_without_aliasing():
    """A board of single black and white pixels becomes even, not a coarser board."""
    board = 255 * (np.indices((64, 64)).sum(axis=0) % 2)
    clip = np.stack([board, 255 - board, board, 0 * board])[None, ..., None]
    clip = np.broadcast_to(clip, (1, 4, 64, 64, 3)).astype("float32")
    view = to_numpy(MotionView((32, 32))(clip))
    inside = view[:, :, 4:-4, 4:-4]
    assert np.abs(inside[:, 0] - inside[:, 1]).max() < 5
    assert inside[:, 0].std() < 2


@pytest.mark.parametrize("size", [(6, 5), (3, 4)])
def test_motion_view_contract(size, tmp_path):
    assert_layer_contract(
        lambda **kwargs: MotionView(size, **kwargs),
        input_shape=(2, 3, 6, 5, 3),
        output_shape=(2, 3, *size, 3),
        num_weights=0,
        open_axes=(0, 1, 2, 3),
        open_output_axes=(0, 1),
        tmp_path=tmp_path,
    )


def test_scores_that_underflow_count_for_nothing_and_make_no_nan():
    far = [np.array([[0.0, -500.0]], "float32"), np.array([[0.0, -500.0]], "float32")]
    logs = to_numpy(PathScores()(far))
    np.testing.assert_allclose(logs, [[0.0, -500.0]], atol=1e-3)
    mixed = to_numpy(PathScores(logits=False, from_logits=(True, False))([far[0], np.eye(2)[:1]]))
    np.testing.assert_allclose(mixed, [[1.0, 0.0]], atol=1e-6)


def test_config_round_trip():
    two = TwoPathMLP3D(
        *paths(dropout=0.1),
        motion_size=SIZE,
        activation="softmax",
        class_names=NAMES,
        converter=VideoConverter(16, SIZE),
        name="both",
    )
    config = json.loads(json.dumps(two.get_config()))
    again = TwoPathMLP3D.from_config(config)
    assert again.get_config() == two.get_config()
    assert again.class_names == NAMES
    assert again.converter == two.converter
    assert again.motion_size == SIZE
    assert again.appearance.dropout == 0.1


def test_saved_whole_model_is_the_same(two, tmp_path):
    two.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(again, TwoPathMLP3D)
    outputs = tiny.run(again, CLIP)
    np.testing.assert_allclose(outputs, tiny.run(two, CLIP), rtol=0, atol=1e-6)


def test_class_names_and_converter_come_from_the_appearance_path():
    converter = VideoConverter(16, SIZE)
    two = TwoPathMLP3D(*paths(class_names=NAMES, converter=converter), motion_size=SIZE)
    assert two.class_names == NAMES
    assert two.converter == converter
    assert two.num_classes == 5


def test_both_paths_are_trained_and_count(two):
    trained = {id(weight) for weight in two.trainable_weights}
    for path in (two.appearance, two.motion):
        assert {id(weight) for weight in path.trainable_weights} <= trained
    assert len(trained) == len(two.appearance.weights) + len(two.motion.weights)
    before = tiny.run(two, CLIP)
    for path in (two.appearance, two.motion):
        head = path.get_layer("head").bias
        held = to_numpy(head).copy()
        head.assign(held + np.arange(5))
        assert np.abs(tiny.run(two, CLIP) - before).max() > 0.1
        head.assign(held)


def test_errors(two):
    seen, moving = two.appearance, two.motion
    with pytest.raises(ValueError, match="a clip of 20 frames does not fit"):
        two(np.zeros((1, 20, 36, 50, 3), "uint8"))
    with pytest.raises(ValueError, match="height of at least 32 pixels, got 16"):
        TwoPathMLP3D(seen, moving, motion_size=(16, 32))
    with pytest.raises(ValueError, match="motion_size must be 2 positive integers, got 32"):
        TwoPathMLP3D(seen, moving, motion_size=32)
    with pytest.raises(ValueError, match="motion must be an MLP3D, got MLP3DBackbone"):
        TwoPathMLP3D(seen, moving.backbone)
    with pytest.raises(ValueError, match="activation must be None or 'softmax', got 'relu'"):
        TwoPathMLP3D(seen, moving, activation="relu")
    with pytest.raises(ValueError, match=r"Both paths are named 'seen'"):
        TwoPathMLP3D(seen, seen)
    three = tiny.tiny_model(num_classes=3, task={"name": "three"})
    with pytest.raises(ValueError, match=r"got 5 \(appearance\) and 3 \(motion\)"):
        TwoPathMLP3D(seen, three)
    odd = tiny.tiny_model(task={"name": "odd", "activation": "sigmoid"})
    with pytest.raises(ValueError, match=r"odd has activation 'sigmoid'"):
        TwoPathMLP3D(seen, odd)
    long = tiny.tiny_model("long_range:8", task={"name": "long"})
    both = TwoPathMLP3D(seen, long, motion_size=SIZE)
    with pytest.raises(ValueError, match=r"a clip of 16 frames .* multiples of 32"):
        both(np.zeros((1, 16, 36, 50, 3), "uint8"))
