import itertools
import json
import re

import keras
import numpy as np
import pytest
from layer_contract import forward, to_numpy
from models import tiny
from numpy_weights import fill, weights_of
from reference import network as twin

from keras_mlp3d import MLP3DBackbone
from keras_mlp3d.layers import GroupedTimeMixing, MLP3DBlock


def pairs(backbone):
    return [(mixing.kind, mixing.group_size) for mixing in backbone.schedule]


def assert_close(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def outputs(backbone):
    return tiny.run(backbone, tiny.pixels())


@pytest.fixture(scope="module")
def twin_outputs(backbone):
    clip = tiny.pixels().astype("float64")
    return twin.backbone(clip, weights_of(backbone), tiny.DEPTHS, pairs(backbone))


# --- what it computes --------------------------------------------------------------------------


def test_matches_twin(outputs, twin_outputs):
    assert outputs.shape == (2, 4, 2, 2, 12)
    assert_close(outputs, twin_outputs[0])


def test_pyramid_matches_twin(backbone, twin_outputs):
    assert list(backbone.pyramid_outputs) == ["P2", "P3", "P4", "P5"]
    model = keras.Model(backbone.input, backbone.pyramid_outputs)
    levels = model(tiny.pixels())
    expected = dict(zip(("P2", "P3", "P4", "P5"), twin_outputs[1], strict=True))
    shapes = [(2, 4, 9, 12, 4), (2, 4, 5, 6, 8), (2, 4, 3, 3, 8), (2, 4, 2, 2, 12)]
    for (key, level), shape in zip(levels.items(), shapes, strict=True):
        assert tuple(level.shape) == shape
        assert_close(to_numpy(level), expected[key])


@pytest.mark.parametrize("options", [{"share_weights": False}, {"max_group_size": 6}])
def test_matches_twin_with_other_weights(options):
    backbone = tiny.tiny_backbone(**options)
    clip = tiny.pixels()
    expected, _ = twin.backbone(
        clip.astype("float64"), weights_of(backbone), tiny.DEPTHS, pairs(backbone), **options
    )
    assert_close(tiny.run(backbone, clip), expected)


def test_pixels_of_every_dtype_give_the_same(backbone, outputs):
    for dtype in ("int32", "float32", "float16"):
        np.testing.assert_array_equal(tiny.run(backbone, tiny.pixels().astype(dtype)), outputs)


def test_without_rescaling_the_input_is_normalised_pixels(outputs):
    backbone = tiny.tiny_backbone(include_rescaling=False)
    normalised = (tiny.pixels() / 255 - twin.MEAN) / twin.STD
    assert_close(tiny.run(backbone, normalised.astype("float32")), outputs)


def test_fixed_and_open_input_shape_share_weights(backbone, outputs):
    fixed = tiny.tiny_backbone(seed=1, input_shape=tiny.CLIP[1:])
    assert fixed.output_shape == (None, 4, 2, 2, 12)
    assert backbone.output_shape == (None, None, None, None, 12)
    fixed.set_weights(backbone.get_weights())
    assert_close(tiny.run(fixed, tiny.pixels()), outputs)
    with pytest.raises(ValueError, match=r"\(None, 16, 36, 50, 3\)"):
        fixed(tiny.pixels((1, 32, 36, 50, 3)))


@pytest.mark.parametrize("shape", [(1, 32, 40, 33, 3)])
def test_one_network_takes_clips_of_different_sizes(backbone, shape):
    tokens = forward(backbone, tiny.pixels(shape))
    assert tuple(tokens.shape) == tuple(backbone.compute_output_shape(shape))
    assert np.isfinite(to_numpy(tokens)).all()


def test_mixed_precision(outputs):
    half = tiny.tiny_backbone(dtype="mixed_bfloat16")
    assert {weight.dtype for weight in half.weights} == {"float32"}
    tokens = forward(half, tiny.pixels())
    assert keras.backend.standardize_dtype(tokens.dtype) == "bfloat16"
    error = np.abs(to_numpy(tokens) - outputs).max() / np.abs(outputs).max()
    assert error < 0.15


# --- its parts ---------------------------------------------------------------------------------


def blocks_of(backbone):
    return [layer for layer in backbone.layers if isinstance(layer, MLP3DBlock)]


def test_blocks_follow_the_arguments():
    backbone = tiny.tiny_backbone(drop_path_rate=0.4)
    blocks = blocks_of(backbone)
    mixings = [block.token_mixing.mix_time for block in blocks]
    assert [(mixing.kind, mixing.group_size) for mixing in mixings] == pairs(backbone)
    assert [block.mlp_ratio for block in blocks] == [2, 3, 2, 2, 2]
    rates = [block.drop_path_rate for block in blocks]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3, 0.4], atol=1e-12)
    assert [block.name for block in blocks] == [
        "stage1_block1",
        "stage2_block1",
        "stage3_block1",
        "stage3_block2",
        "stage4_block1",
    ]


def test_one_ratio_stands_for_all_stages():
    assert tiny.tiny_backbone(mlp_ratios=2.5).mlp_ratios == (2.5,) * 4


def test_max_group_size_gives_every_block_the_same_kernel_form(backbone):
    wide = tiny.tiny_backbone(max_group_size=4)
    for block in blocks_of(wide):
        channels = block.token_norm.gamma.shape[0]
        assert tuple(block.token_mixing.mix_time.kernel.shape) == (7, channels, channels)
    own = [block.token_mixing.mix_time.kernel.shape[0] for block in blocks_of(backbone)]
    assert own == [3, 3, 7, 3, 1]


def test_full_time_mixing_needs_a_fixed_clip_length():
    with pytest.raises(ValueError, match="input_shape with a fixed clip length"):
        tiny.tiny_backbone("full")
    backbone = tiny.tiny_backbone("full", input_shape=(12, None, None, 3))
    mixings = [
        layer
        for layer in backbone._flatten_layers(recursive=True)
        if isinstance(layer, GroupedTimeMixing)
    ]
    assert {layer.kernel.shape[0] for layer in mixings} == {5}
    assert backbone.valid_num_frames(100) == [12]
    assert backbone.valid_num_frames(11) == []


# --- configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "share_weights": False,
            "drop_path_rate": 0.25,
            "include_rescaling": False,
            "pixel_mean": (0.1, 0.2, 0.3),
            "pixel_std": (0.4, 0.5, 0.6),
            "input_shape": (16, 36, None, 3),
            "dtype": "mixed_bfloat16",
            "name": "spine",
            "mlp_ratios": 1.5,
        },
        {"max_group_size": 8},
    ],
)
def test_config_round_trip(options):
    backbone = tiny.tiny_backbone(**options)
    config = json.loads(json.dumps(backbone.get_config()))
    for key, value in options.items():
        expected = [value] * 4 if key == "mlp_ratios" else value
        assert config[key] == (list(expected) if isinstance(expected, tuple) else expected)
    again = MLP3DBackbone.from_config(config)
    assert again.get_config() == backbone.get_config()
    shapes = [tuple(weight.shape) for weight in backbone.weights]
    assert [tuple(weight.shape) for weight in again.weights] == shapes
    assert again.dtype_policy.name == options.get("dtype", "float32")


def test_frozen_backbone_stays_frozen():
    backbone = tiny.tiny_backbone()
    backbone.trainable = False
    again = MLP3DBackbone.from_config(backbone.get_config())
    assert again.trainable_weights == []


def test_global_dtype_policy_is_the_default():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = tiny.tiny_backbone()
    finally:
        keras.config.set_dtype_policy("float32")
    assert backbone.get_config()["dtype"] == "mixed_bfloat16"
    assert blocks_of(backbone)[0].compute_dtype == "bfloat16"


# --- clip lengths ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("short_range:1", [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48]),
        ("short_range:2+long_range:3", [24, 48]),
        ("shift_window:4+short_range:2", [16, 32, 48]),
        ("shift_token:4", [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48]),
        ("short_range:16", []),
    ],
)
def test_valid_num_frames(schedule, expected):
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, schedule)
    assert backbone.valid_num_frames(49) == expected
    for frames in range(1, 50):
        clip = keras.KerasTensor((None, frames, 32, 32, 3))
        if frames in expected:
            backbone.check_input(clip)
        else:
            with pytest.raises(ValueError, match=rf"a clip of {frames} frames does not fit"):
                backbone.check_input(clip)


@pytest.mark.parametrize("frames", [0, 1, 6, 8, 18, 30_001])
def test_refused_clip_length_names_lengths_that_do(backbone, frames):
    with pytest.raises(ValueError) as error:
        backbone.check_input(keras.KerasTensor((None, frames, 32, 32, 3)))
    message = str(error.value)
    assert f"a clip of {frames} frames" in message
    assert "group sizes [1, 2, 4]" in message
    listed = re.search(r"multiples of 16: ([\d, ]+) and so on", message).group(1)
    lengths = [int(length) for length in listed.split(", ")]
    assert lengths == backbone.valid_num_frames(lengths[-1])
    assert len(message) < 400


@pytest.mark.parametrize(
    "way_in",
    [
        lambda backbone, clip: backbone(clip),
        lambda backbone, clip: backbone(clip.tolist()),
        lambda backbone, clip: backbone.predict(clip, verbose=0),
        lambda backbone, clip: tiny.tiny_backbone(input_shape=clip.shape[1:]),
    ],
    ids=["call", "call with a list", "predict", "input_shape"],
)
def test_every_way_in_refuses_a_wrong_clip_length(backbone, way_in):
    with pytest.raises(ValueError, match="a clip of 20 frames does not fit the schedule"):
        way_in(backbone, np.zeros((1, 20, 32, 32, 3), "uint8"))


# --- what it refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 16, 31, 50, 3), "height of at least 32 pixels, got 31"),
        ((1, 16, 36, 8, 3), "width of at least 32 pixels, got 8"),
        ((1, 16, 36, 50, 1), "three color channels, RGB, in the last axis"),
        ((1, 3, 16, 36, 50), "three color channels"),
        ((16, 36, 50, 3), r"pixels of shape \(batch, frames, height, width, 3\)"),
        ((1, 1, 16, 36, 50, 3), r"pixels of shape \(batch, frames, height, width, 3\)"),
    ],
)
def test_pixels_that_do_not_fit(backbone, shape, message):
    with pytest.raises(ValueError, match=message) as error:
        backbone(np.zeros(shape, "uint8"))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        ((None, 16, None, 3), "height of at least 32 pixels, got 16"),
        ((None, None, None, 1), "three color channels"),
        ((None, None, 3), r"input_shape must be \(frames, height, width, 3\)"),
        (16, "input_shape must be .* got 16"),
    ],
)
def test_wrong_input_shape(input_shape, message):
    with pytest.raises(ValueError, match=message):
        tiny.tiny_backbone(input_shape=input_shape)


ARGUMENTS = {
    "channels": (4, 4, 4, 4),
    "depths": (1, 1, 1, 1),
    "mlp_ratios": 1,
    "schedule": "shift_token:2",
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": (4, 4, 4)}, r"channels .* must be 4 positive integers, got \(4, 4, 4\)"),
        ({"channels": 4}, "channels .* must be 4 positive integers, got 4"),
        ({"channels": (4, 4, 0, 4)}, r"channels .* got \(4, 4, 0, 4\)"),
        (
            {"depths": (1, 1, 1.0, 1)},
            r"depths .* 4 positive integers, got \(1, 1, 1.0, 1\)",
        ),
        (
            {"depths": (1, True, 1, 1)},
            r"depths .* 4 positive integers, got \(1, True, 1, 1\)",
        ),
        (
            {"mlp_ratios": (4, 4)},
            r"mlp_ratios must be .* or one per stage, got \(4, 4\)",
        ),
        ({"mlp_ratios": 0}, "mlp_ratios .* must be a number above 0, got 0"),
        ({"mlp_ratios": "4"}, "mlp_ratios .* must be a number above 0, got '4'"),
        ({"schedule": ["full"]}, "one entry for each of the 4 blocks, got 1"),
        ({"drop_path_rate": 1.0}, r"must be a number of at least 0 and below 1, got 1.0"),
        ({"max_group_size": 1}, "group_size=2 is larger than max_group_size=1"),
        *(
            ({name: value}, f"{name} must be True or False, got {value!r}")
            for name in ("share_weights", "include_rescaling", "subtract_mean", "remat")
            for value in (1, float("nan"))
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP3DBackbone(**{**ARGUMENTS, **arguments})


def test_samples_of_a_batch_do_not_see_each_other(backbone, outputs):
    clip = tiny.pixels()
    clip[1] = 255 - clip[1]
    changed = tiny.run(backbone, clip)
    np.testing.assert_allclose(changed[0], outputs[0], rtol=0, atol=1e-5)
    assert np.abs(changed[1] - outputs[1]).max() > 0.1


def test_weights_depend_on_names_alone_not_on_what_was_built_before():
    first, second = (fill(tiny.tiny_backbone(), 3) for _ in range(2))
    for one, other in itertools.zip_longest(first.weights, second.weights):
        assert one.path == other.path
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


# --- motion alone ---------------------------------------------------------------------------------


def test_without_its_mean_a_clip_of_one_image_is_all_the_same():
    backbone = tiny.tiny_backbone(subtract_mean=True)
    clip = tiny.pixels()
    for still in (np.repeat(clip[:, :1], 16, axis=1), np.full_like(clip, 90)):
        outputs = tiny.run(backbone, still)
        np.testing.assert_allclose(outputs, tiny.run(backbone, np.zeros_like(clip)), atol=1e-4)
    assert np.abs(tiny.run(backbone, clip) - outputs).max() > 0.1


def test_without_its_mean_matches_a_clip_whose_mean_was_subtracted():
    clip = tiny.pixels()
    pixels = clip.astype("float64")
    scale = 255 * np.array([0.229, 0.224, 0.225])
    normalised = (pixels - pixels.mean(axis=1, keepdims=True)) / scale
    expected = tiny.run(tiny.tiny_backbone(include_rescaling=False), normalised.astype("float32"))
    assert_close(tiny.run(tiny.tiny_backbone(subtract_mean=True), clip), expected)
