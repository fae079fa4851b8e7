import json
import pathlib
import re

import keras
import numpy as np
import pytest
from layer_contract import forward, to_numpy
from models import tiny
from numpy_weights import fill, weights_of
from reference import network as twin

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.models.transfer import set_intervals

NAMES = ["up", "down", "left", "right", "still"]


@pytest.fixture(scope="module")
def logits(model):
    return tiny.run(model, tiny.pixels())


def test_matches_twin(model, logits):
    schedule = [(mixing.kind, mixing.group_size) for mixing in model.backbone.schedule]
    clip = tiny.pixels().astype("float64")
    expected = twin.logits(clip, weights_of(model), tiny.DEPTHS, schedule)
    assert expected.shape == (2, 5)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_softmax_activation_gives_the_softmax_of_the_logits(logits):
    model = tiny.tiny_model(task={"activation": "softmax"})
    scores = tiny.run(model, tiny.pixels())
    powers = np.exp(logits)
    np.testing.assert_allclose(scores, powers / powers.sum(1, keepdims=True), rtol=0, atol=1e-5)


def test_logits_are_float32_under_mixed_precision(logits):
    outputs = forward(tiny.tiny_model(dtype="mixed_float16"), tiny.pixels())
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(outputs), logits, rtol=0, atol=0.02)


def test_a_network_without_time_mixing_is_blind_to_the_order_of_its_tubelets():
    clip = tiny.pixels()
    backwards = clip.reshape(2, 4, 4, 36, 50, 3)[:, ::-1].reshape(clip.shape)
    for schedule, sees_order in (("short_range:1", False), (tiny.SCHEDULE, True)):
        model = tiny.tiny_model(schedule)
        difference = tiny.run(model, clip) - tiny.run(model, backwards)
        assert (np.abs(difference).max() > 1e-3) == sees_order


def test_schedules_agree_where_only_w_0_is_not_zero():
    clip = tiny.pixels()
    expected = None
    for schedule, options in (
        (tiny.SCHEDULE, {}),
        ("shift_token:4+long_range:4", {}),
        ("shift_window:4", {"share_weights": False}),
        ("short_range:2", {"max_group_size": 5}),
        ("full", {"input_shape": (16, None, None, 3)}),
    ):
        model = tiny.tiny_model(schedule, **options)
        for mixing in time_mixings(model):
            channels = mixing.path.startswith("stage1") and 4
            channels = channels or (12 if mixing.path.startswith("stage4") else 8)
            rng = np.random.default_rng(len(mixing.path))
            set_intervals(mixing, rng.standard_normal((1, channels, channels)) / channels)
            mixing.bias.assign(np.full(mixing.bias.shape, 0.25))
        outputs = tiny.run(model, clip)
        expected = outputs if expected is None else expected
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)


def time_mixings(model):
    return [layer for layer in model._flatten_layers(recursive=True) if layer.name == "mix_time"]


# --- training -----------------------------------------------------------------------------------


def test_fit_takes_a_step_that_moves_every_weight():
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2", drop_path_rate=0.01)
    model = fill(MLP3D(backbone, tiny.CLASSES))
    before = weights_of(model)
    model.compile(
        optimizer=keras.optimizers.SGD(0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    clips = tiny.pixels((8, 8, 32, 32, 3))
    history = model.fit(clips, np.arange(8) % tiny.CLASSES, batch_size=8, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    for name, value in weights_of(model).items():
        assert np.isfinite(value).all(), name
        assert (value != before[name]).any(), f"{name} did not learn"


@pytest.mark.parametrize("options", [{"task": {"dropout": 0.9}}, {"drop_path_rate": 0.9}])
def test_dropout_and_drop_path_act_in_training_alone(options, logits):
    """Through the whole model, that is: `training` reaches every block."""
    options.setdefault("task", {"dropout": 0.0})
    model = tiny.tiny_model(**options)
    in_training = to_numpy(model(tiny.pixels(), training=True))
    assert np.abs(in_training - logits).max() > 1e-3
    for kwargs in ({}, {"training": False}):
        outputs = to_numpy(model(tiny.pixels(), **kwargs))
        np.testing.assert_allclose(outputs, logits, rtol=0, atol=1e-6)


# --- configuration and saving ---------------------------------------------------------------


def test_config_round_trip():
    model = tiny.tiny_model(
        task={
            "dropout": 0.25,
            "activation": "softmax",
            "class_names": NAMES,
            "converter": VideoConverter(16, (36, 50)),
            "name": "verbs",
        },
        dtype="mixed_bfloat16",
    )
    config = json.loads(json.dumps(model.get_config()))
    again = MLP3D.from_config(config)
    assert again.get_config() == model.get_config()
    assert again.class_names == NAMES
    assert again.converter == model.converter
    assert again.backbone.dtype_policy.name == "mixed_bfloat16"
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


@pytest.mark.parametrize("converter", [None, VideoConverter(16, (36, 50), crop="none")])
def test_saved_whole_model_is_the_same(converter, logits, tmp_path):
    model = tiny.tiny_model(task={"class_names": NAMES, "converter": converter})
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(again, MLP3D)
    assert again.class_names == NAMES
    assert again.converter == converter
    np.testing.assert_allclose(tiny.run(again, tiny.pixels()), logits, rtol=0, atol=1e-6)


def test_saved_weights_go_into_a_new_model(model, logits, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    other = tiny.tiny_model(seed=5)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(tiny.run(other, tiny.pixels()), logits, rtol=0, atol=1e-6)


def test_weights_have_the_paths_of_backbone_and_head(model):
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)
    assert paths[:-2] == [weight.path for weight in model.backbone.weights]
    assert paths[-2:] == ["head/kernel", "head/bias"]
    assert all(
        re.match(r"(embedding|stage[1-4]_(block\d|transition)|norm|head)/", p) for p in paths
    )


# --- errors -----------------------------------------------------------------------------------


def test_clip_that_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="a clip of 6 frames does not fit the schedule"):
        model(np.zeros((1, 6, 32, 32, 3), "uint8"))
    with pytest.raises(ValueError, match="height of at least 32 pixels, got 16"):
        model.predict(np.zeros((1, 16, 16, 32, 3), "uint8"), verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be a positive integer, got 0"),
        ({"num_classes": True}, "num_classes must be a positive integer, got True"),
        ({"num_classes": 2.0}, "num_classes must be a positive integer, got 2.0"),
        ({"class_names": ["a", "b"]}, "class_names must be 5 different names, got 2"),
        ({"class_names": list("aabcd")}, "5 different names, got 5, some of them twice"),
        ({"class_names": [1, 2, 3, 4, 5]}, "class_names must be strings"),
        ({"class_names": "hello"}, "class_names must be a list of names, got 'hello'"),
        ({"class_names": {*"abcde"}}, "class_names must be a list of names, got {'"),
        ({"class_names": dict.fromkeys("abcde", 0)}, "class_names must be a list of names, got {'"),
        ({"activation": "softish"}, "softish"),
        ({"dropout": 1.5}, "1.5"),
    ],
)
def test_wrong_arguments(backbone, arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP3D(**{"backbone": backbone, "num_classes": 5, **arguments})


def test_backbone_must_be_one(model):
    with pytest.raises(ValueError, match="backbone must be an MLP3DBackbone, got MLP3D"):
        MLP3D(model, 5)


@pytest.mark.parametrize(
    "given",
    [
        "a.mp4",
        pathlib.Path("a.mp4"),
        ["a.mp4", "b.mp4"],
        Manifest([VideoRow("a.mp4", 0)], ["run"], "val"),
    ],
)
def test_files_are_not_clips(given):
    model = tiny.tiny_model()
    for use in (model, model.predict):
        with pytest.raises(ValueError, match=r"inference\.classify\(model, paths\)` reads videos"):
            use(given)


def test_a_model_of_the_layers_inside_has_the_same_input():
    """As features and class activation maps are taken in Keras."""
    model, clips = tiny.tiny_model(), tiny.pixels()
    inner = [model.backbone.get_layer("stage3_block1").output, model.backbone.output]
    features = keras.Model(model.input, [*inner, model.output])
    block, tokens, logits = map(to_numpy, features(clips))
    assert block.shape == (2, 4, 3, 3, 8)
    np.testing.assert_allclose(tokens, tiny.run(model.backbone, clips), rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits, tiny.run(model, clips), rtol=0, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda x: {"clip": x}, lambda x: [x], lambda x: (x,)])
def test_inputs_in_a_container_as_keras_takes_them(wrap):
    model, clips, labels = tiny.tiny_model(), tiny.pixels(), np.array([0, 1])
    expected = tiny.run(model, clips)
    np.testing.assert_array_equal(to_numpy(model(wrap(clips))), expected)
    tokens = to_numpy(model.backbone(wrap(clips)))
    np.testing.assert_array_equal(tokens, tiny.run(model.backbone, clips))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    if not isinstance(wrap(clips), tuple):  # a tuple would be (x, y) to Keras
        np.testing.assert_allclose(model.predict(wrap(clips), verbose=0), expected, atol=1e-5)
        model.fit(wrap(clips), labels, verbose=0)
        model.evaluate(wrap(clips), labels, verbose=0)
    with pytest.raises(ValueError, match="needs a height of at least 32 pixels, got 8"):
        model(wrap(clips[:, :, :8]))


def test_an_input_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"one input, 'clip', got a dictionary of \['video'\]"):
        tiny.tiny_model()({"video": tiny.pixels()})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others know the rank")
def test_pixels_whose_rank_is_unknown_are_refused_with_the_shape():
    """TensorFlow forgets it after batches of two ranks, such as a batch and then a clip."""
    import tensorflow as tf

    model = tiny.tiny_model()
    with pytest.raises(ValueError, match=r"pixels of shape \(batch, frames.*unknown number"):
        tf.function(model).get_concrete_function(tf.TensorSpec(None, "uint8"))


@pytest.mark.parametrize("way", ["predict", "predict_on_batch"])
def test_predict_says_which_clips_fit(way):
    """In the graph that TensorFlow makes for any length, nothing can say it."""
    model = tiny.tiny_model("short_range:2")
    outputs = getattr(model, way)
    if keras.backend.backend() == "tensorflow":
        for frames in (8, 16):
            outputs(np.zeros((1, frames, 32, 32, 3), "float32"))
    with pytest.raises(ValueError, match="a clip of 12 frames does not fit the schedule"):
        outputs(np.zeros((1, 12, 32, 32, 3), "float32"))
