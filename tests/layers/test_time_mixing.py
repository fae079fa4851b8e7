import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill, weights_of
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers import GroupedTimeMixing
from keras_mlp3d.layers.time_mixing import GROUPED_KINDS

KINDS = (*GROUPED_KINDS, "shift_token")


@pytest.fixture
def values(golden):
    with golden("gtm") as file:
        return dict(file)


def built(kind, size, shape, **options):
    layer = GroupedTimeMixing(kind, size, **options)
    layer.build(shape)
    return layer


# --- golden values ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("one_kernel_for_all_kinds", [False, True])
def test_golden_values_of_shared_weights(kind, size, one_kernel_for_all_kinds, values):
    x = values["x"].astype("float32")
    kernel = values[f"shared_kernel_S{size}"]
    if one_kernel_for_all_kinds:
        layer = built(kind, size, x.shape, max_group_size=size)
    else:
        layer = built(kind, size, x.shape)
        kernel = kernel[size - 1 :] if kind == "shift_token" else kernel
    layer.kernel.assign(kernel)
    layer.bias.assign(values[f"shared_bias_S{size}"])
    expected = values[f"shared_{kind}_S{size}"]
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_golden_values_of_unshared_weights(kind, size, values):
    x = values["x"].astype("float32")
    layer = built(kind, size, x.shape, share_weights=False)
    layer.kernel.assign(values[f"unshared_kernel_{kind}_S{size}"])
    layer.bias.assign(values[f"unshared_bias_{kind}_S{size}"])
    expected = values[f"unshared_{kind}_S{size}"]
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4])
def test_twin_gives_the_golden_values(kind, size, values):
    for form in ("shared", "unshared"):
        tag = f"_{kind}_S{size}" if form == "unshared" else f"_S{size}"
        weights = {name: values[f"{form}_{name}{tag}"] for name in ("kernel", "bias")}
        outputs = twin.grouped_time_mixing(
            values["x"],
            weights,
            kind,
            size,
            share_weights=form == "shared",
            max_group_size=size if form == "shared" else None,
        )
        np.testing.assert_allclose(outputs, values[f"{form}_{kind}_S{size}"], rtol=0, atol=1e-12)


# --- against the twin, where there are no golden values: odd sizes, full, M > S ------------------


@pytest.mark.parametrize(
    ("kind", "size", "time", "options"),
    [
        *((kind, 3, 6, {}) for kind in KINDS),
        *((kind, 3, 9, {"share_weights": False}) for kind in KINDS),
        *((kind, 5, 5, {}) for kind in KINDS),
        *((kind, 2, 6, {"max_group_size": 5}) for kind in KINDS),
        *((kind, 1, 6, {"max_group_size": 4}) for kind in KINDS),
        ("shift_token", 2, 5, {}),
        ("shift_token", 5, 3, {}),
        ("shift_token", 4, 6, {"share_weights": False, "use_bias": False}),
        ("short_range", 2, 6, {"use_bias": False}),
        ("full", None, 5, {}),
        ("full", None, 6, {"share_weights": False}),
        ("full", None, 6, {"max_group_size": 7}),
        ("full", None, 1, {}),
    ],
)
def test_matches_twin(kind, size, time, options, rng):
    x = rng.standard_normal((2, time, 3, 5, 4)).astype("float32")
    layer = fill(built(kind, size, x.shape, **options))
    expected = twin.grouped_time_mixing(
        x.astype("float64"),
        weights_of(layer),
        kind,
        size,
        share_weights=options.get("share_weights", True),
        max_group_size=options.get("max_group_size"),
    )
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("share_weights", [True, False])
def test_short_range_over_all_tokens_is_full_time_mixing(share_weights, rng):
    x = rng.standard_normal((2, 6, 3, 5, 4)).astype("float32")
    layers = [
        fill(built(kind, size, x.shape, share_weights=share_weights, name="mixing"))
        for kind, size in (("short_range", 6), ("full", None))
    ]
    short, full = (to_numpy(layer(x)) for layer in layers)
    np.testing.assert_allclose(short, full, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_group_size_1_mixes_no_time(kind, rng):
    x = rng.standard_normal((1, 4, 2, 3, 5)).astype("float32")
    layer = fill(built(kind, 1, x.shape))
    changed = x.copy()
    changed[:, 2] += 1
    difference = np.abs(to_numpy(layer(changed)) - to_numpy(layer(x))).max(axis=(0, 2, 3, 4))
    assert difference[2] > 0.1
    assert not difference[[0, 1, 3]].any()


# --- shapes of the weights --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size", "options", "kernel", "bias"),
    [
        ("short_range", 4, {}, (7, 3, 3), (3,)),
        ("long_range", 2, {}, (3, 3, 3), (3,)),
        ("shift_window", 1, {}, (1, 3, 3), (3,)),
        ("shift_token", 4, {}, (4, 3, 3), (3,)),
        ("shift_token", 4, {"max_group_size": 8}, (15, 3, 3), (3,)),
        ("short_range", 1, {"max_group_size": 4}, (7, 3, 3), (3,)),
        ("full", None, {}, (15, 3, 3), (3,)),
        ("full", None, {"max_group_size": 16}, (31, 3, 3), (3,)),
        ("short_range", 4, {"share_weights": False}, (12, 12), (12,)),
        ("shift_token", 4, {"share_weights": False}, (12, 3), (3,)),
        ("full", None, {"share_weights": False}, (24, 24), (24,)),
    ],
)
def test_weight_shapes(kind, size, options, kernel, bias):
    layer = built(kind, size, (None, 8, None, None, 3), **options)
    assert tuple(layer.kernel.shape) == kernel
    assert tuple(layer.bias.shape) == bias
    assert not to_numpy(layer.bias).any(), "the bias starts at zero"


def test_without_bias():
    layer = built("short_range", 2, (None, 8, None, None, 3), use_bias=False)
    assert layer.bias is None
    assert len(layer.weights) == 1


# --- contract and errors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size", "options", "num_params"),
    [
        ("short_range", 3, {}, 5 * 16 + 4),
        ("long_range", 2, {"share_weights": False}, 64 + 8),
        ("shift_window", 3, {"max_group_size": 4}, 7 * 16 + 4),
        ("shift_token", 4, {}, 4 * 16 + 4),
        ("full", None, {"use_bias": False}, 11 * 16),
    ],
)
def test_contract(kind, size, options, num_params, tmp_path):
    assert_layer_contract(
        lambda **kwargs: GroupedTimeMixing(kind, size, **options, **kwargs),
        input_shape=(2, 6, 3, 5, 4),
        output_shape=(2, 6, 3, 5, 4),
        num_weights=1 if options.get("use_bias") is False else 2,
        num_params=num_params,
        open_axes=(0, 2, 3) if kind == "full" else (0, 1, 2, 3),
        tmp_path=tmp_path,
    )


def test_clip_length_that_does_not_fit_is_refused_wherever_it_shows():
    message = r"group_size=4 of kind 'short_range' does not divide (the )?6 tokens .*: 1, 2, 3, 6\."
    with pytest.raises(ValueError, match=message):
        GroupedTimeMixing("short_range", 4).build((None, 6, 2, 2, 3))
    layer = built("short_range", 4, (None, None, 2, 2, 3))
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((1, 6, 2, 2, 3), "float32"))
    with pytest.raises(ValueError, match=message):
        layer.compute_output_shape((1, 6, 2, 2, 3))


def test_full_is_bound_to_its_clip_length():
    layer = built("full", None, (None, 4, 2, 2, 3))
    with pytest.raises(ValueError, match="built for 4 tokens in time, got 8"):
        layer(np.zeros((1, 8, 2, 2, 3), "float32"))
    with pytest.raises(ValueError, match="needs a fixed number of tokens in time, got None"):
        GroupedTimeMixing("full").build((None, None, 2, 2, 3))
    with pytest.raises(ValueError, match="max_group_size of at least 4, got 3"):
        GroupedTimeMixing("full", max_group_size=3).build((None, 4, 2, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mid_range", "group_size": 2}, "Unknown kind of time mixing 'mid_range'"),
        ({"kind": "short_range"}, "group_size of kind .* must be a positive integer, got None"),
        ({"kind": "full", "group_size": 4}, "group_size must be None, got 4"),
        (
            {"kind": "shift_token", "group_size": 4, "max_group_size": 2},
            "group_size=4 is larger than max_group_size=2",
        ),
        (
            {"kind": "shift_token", "group_size": 2, "max_group_size": 0},
            "max_group_size must be a positive integer, got 0",
        ),
        (
            {"kind": "short_range", "group_size": 2, "max_group_size": 4, "share_weights": False},
            "max_group_size needs share_weights=True.*max_group_size=4, share_weights=False",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupedTimeMixing(**arguments)


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (2, 4, 5, 6, None)])
def test_wrong_input_shape(shape):
    with pytest.raises(ValueError, match=r"GroupedTimeMixing expects tokens") as error:
        GroupedTimeMixing("short_range", 2).build(shape)
    assert str(shape) in str(error.value)
