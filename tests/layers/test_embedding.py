import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill, weights_of
from reference import tubelet_embedding as twin

from keras_mlp3d.layers import TubeletEmbedding


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 8, 9, 14, 3), {}),
        ((1, 11, 8, 13, 3), {}),
        ((1, 1, 12, 9, 3), {"window": (1, 7, 7), "strides": (1, 4, 4)}),
        ((1, 7, 9, 8, 2), {"window": (3, 3, 2), "strides": (2, 1, 3), "padding": (1, 0, 1)}),
        ((1, 6, 5, 5, 1), {"window": (2, 3, 3), "strides": (3, 2, 2), "padding": (0, 0, 0)}),
        ((1, 3, 9, 8, 2), {"window": (1, 3, 3), "strides": (2, 2, 2), "padding": (0, 1, 1)}),
    ],
)
def test_matches_twin(shape, options, rng):
    clip = rng.standard_normal(shape).astype("float32")
    layer = TubeletEmbedding(5, **options)
    layer.build(shape)
    fill(layer)
    expected = twin.tubelet_embedding(clip.astype("float64"), weights_of(layer), **options)
    outputs = to_numpy(layer(clip))
    assert tuple(layer.compute_output_shape(shape)) == expected.shape
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "output_shape"),
    [
        ({}, (2, 2, 2, 3, 5)),
        (
            {"window": (3, 3, 2), "strides": (2, 1, 3), "padding": (1, 0, 1)},
            (2, 4, 7, 5, 5),
        ),
    ],
)
def test_contract(options, output_shape, tmp_path):
    assert_layer_contract(
        lambda **kwargs: TubeletEmbedding(5, **options, **kwargs),
        input_shape=(2, 8, 9, 13, 3),
        output_shape=output_shape,
        num_weights=2,
        num_params=5 + 5 * 3 * int(np.prod(options.get("window", (4, 7, 7)))),
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be a positive integer, got 0"),
        ({"window": (4, 7)}, r"window must be 3 positive integers, got \(4, 7\)"),
        ({"window": 7}, "window must be 3 positive integers, got 7"),
        ({"strides": (4, 0, 4)}, r"strides must be 3 positive integers, got \(4, 0, 4\)"),
        ({"padding": (0, -1, 2)}, r"padding must be 3 integers of at least 0, got \(0, -1, 2\)"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TubeletEmbedding(**{"filters": 4, **arguments})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 16, 16, 3), "The clip has 3 frames; a window of 4 with padding 0 needs at least 4"),
        ((1, 4, 2, 16, 3), "The clip has 2 rows; a window of 7 with padding 2 needs at least 3"),
        ((1, 4, 16, 1, 3), "The clip has 1 columns; a window of 7 with padding 2 needs at least 3"),
    ],
)
def test_clip_smaller_than_the_window(shape, message):
    layer = TubeletEmbedding(4)
    with pytest.raises(ValueError, match=message) as error:
        layer.compute_output_shape(shape)
    assert str(shape) in str(error.value)
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, "float32"))


def test_the_smallest_clip_that_the_message_names_works():
    layer = TubeletEmbedding(4)
    assert tuple(layer(np.zeros((1, 4, 3, 3, 3), "float32")).shape) == (1, 1, 1, 1, 4)


def test_wrong_rank():
    with pytest.raises(ValueError, match=r"expects a clip \(B, T, H, W, C\).* \(8, 9, 14, 3\)"):
        TubeletEmbedding(4).build((8, 9, 14, 3))
