import keras
import numpy as np
import pytest

from keras_mlp3d.layers.linear import linear


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 4, 5, 3)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_is_the_product_plus_the_bias(shape, with_bias):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal(shape), rng.standard_normal((3, 4))
    bias = rng.standard_normal(4) if with_bias else None
    expected = x @ kernel + (bias if with_bias else 0)
    arrays = [None if a is None else a.astype("float32") for a in (x, kernel, bias)]
    outputs = keras.ops.convert_to_numpy(linear(*arrays))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)


def test_takes_variables():
    kernel, bias = (keras.Variable(a, dtype="float32") for a in (np.eye(2), np.ones(2)))
    outputs = keras.ops.convert_to_numpy(linear(keras.ops.ones((1, 2)), kernel, bias))
    np.testing.assert_array_equal(outputs, [[2, 2]])
