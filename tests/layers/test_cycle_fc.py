import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill, weights_of
from reference import cycle_fc as twin

from keras_mlp3d.layers import CycleFC


@pytest.mark.parametrize("axis", ["height", "width"])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_golden_values(axis, kernel_size, golden):
    values = golden("cycle_fc")
    layer = CycleFC(9, axis=axis, kernel_size=kernel_size)
    layer.build(values["x"].shape)
    layer.kernel.assign(values[f"kernel_{axis}_{kernel_size}"])
    layer.bias.assign(values[f"bias_{axis}_{kernel_size}"])
    outputs = to_numpy(layer(values["x"].astype("float32")))
    np.testing.assert_allclose(outputs, values[f"out_{axis}_{kernel_size}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("axis", "kernel_size"), [("height", 3), ("width", 5)])
def test_twin_gives_the_golden_values(axis, kernel_size, golden):
    values = golden("cycle_fc")
    names = {name: values[f"{name}_{axis}_{kernel_size}"] for name in ("kernel", "bias")}
    outputs = twin.cycle_fc(values["x"], names, axis, kernel_size)
    np.testing.assert_allclose(outputs, values[f"out_{axis}_{kernel_size}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel_size", [1, 2, 4, 7])
def test_matches_twin_for_kernel_sizes_without_golden_values(kernel_size, rng):
    x = rng.standard_normal((2, 3, 5, 6, 7)).astype("float32")
    layer = CycleFC(9, axis="height", kernel_size=kernel_size, use_bias=False)
    layer.build(x.shape)
    fill(layer)
    expected = twin.cycle_fc(
        x.astype("float64"), {"kernel": weights_of(layer)["dense/kernel"]}, "height", kernel_size
    )
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)
    assert layer.bias is None


def test_axis_shorter_than_the_kernel(rng):
    x = rng.standard_normal((1, 1, 1, 2, 7)).astype("float32")
    layer = CycleFC(7, axis="height", kernel_size=5)
    layer.build(x.shape)
    layer.kernel.assign(np.eye(7))
    outputs = to_numpy(layer(x))
    # With one row, only channels whose offset is 0 read anything: c = 0 and 5 of k = 5.
    np.testing.assert_array_equal(outputs[..., [0, 5]], x[..., [0, 5]])
    assert not outputs[..., [1, 2, 3, 4, 6]].any()


@pytest.mark.parametrize("axis", ["height", "width"])
def test_contract(axis, tmp_path):
    assert_layer_contract(
        lambda **kwargs: CycleFC(9, axis=axis, **kwargs),
        input_shape=(2, 3, 5, 6, 7),
        output_shape=(2, 3, 5, 6, 9),
        num_weights=2,
        num_params=7 * 9 + 9,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be a positive integer, got 0"),
        ({"filters": 2.0}, "filters must be a positive integer, got 2.0"),
        ({"filters": 4, "axis": "time"}, "axis must be one of 'height', 'width', got 'time'"),
        ({"filters": 4, "kernel_size": 0}, "kernel_size must be a positive integer, got 0"),
        ({"filters": 4, "kernel_size": True}, "kernel_size must be a positive integer, got True"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CycleFC(**arguments)


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (2, 3, 5, 6, None)])
def test_wrong_input_shape(shape):
    with pytest.raises(ValueError, match=r"CycleFC expects tokens \(B, T, H, W, C\)") as error:
        CycleFC(4).build(shape)
    assert str(shape) in str(error.value)
