import keras
import numpy as np
import pytest
from reference import cycle_fc as twin

from keras_mlp3d.layers.cycle_fc import cycle_offsets, cycle_shift


@pytest.mark.parametrize(
    ("kernel_size", "expected"),
    [
        (1, [0, 0, 0, 0, 0, 0, 0]),
        (2, [0, -1, 0, -1, 0, -1, 0]),
        (3, [0, 1, -1, 0, 1, -1, 0]),
        (4, [0, 1, -2, -1, 0, 1, -2]),
        (5, [0, 1, 2, -2, -1, 0, 1]),
    ],
)
def test_offsets_by_hand(kernel_size, expected):
    assert cycle_offsets(7, kernel_size).tolist() == expected


@pytest.mark.parametrize("axis", ["height", "width"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 9])
def test_matches_twin(axis, kernel_size):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6, 11)).astype("float32")
    shifted = keras.ops.convert_to_numpy(cycle_shift(x, twin.AXES[axis], kernel_size))
    np.testing.assert_array_equal(shifted, twin.cycle_shift(x, axis, kernel_size))


def test_works_on_any_axis_of_positions():
    x = np.arange(12.0, dtype="float32").reshape(4, 3)
    shifted = keras.ops.convert_to_numpy(cycle_shift(x, axis=0, kernel_size=3))
    expected = [[0, 4, 0], [3, 7, 2], [6, 10, 5], [9, 0, 8]]
    np.testing.assert_array_equal(shifted, expected)


def test_keeps_half_precision():
    x = keras.ops.ones((1, 2, 3, 4, 5), "bfloat16")
    assert keras.backend.standardize_dtype(cycle_shift(x, 2, 3).dtype) == "bfloat16"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="it has a gradient of its own there")
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kernel_size", [2, 3, 9])
def test_gradients_of_every_kind_on_pytorch(kernel_size):
    import torch

    def shift(x):
        return cycle_shift(x, 2, kernel_size)

    x = torch.randn((2, 1, 4, 3, 5), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shift, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(shift, x)
    by_clip = torch.func.vmap(lambda clip: shift(clip[None])[0])(x)
    torch.testing.assert_close(by_clip, shift(x), rtol=0, atol=0)
    with torch.no_grad():  # another way there
        torch.testing.assert_close(shift(x), by_clip, rtol=0, atol=0)
        again = torch.func.vmap(lambda clip: shift(clip[None])[0])(x)
        _, tangent = torch.func.jvp(shift, (x,), (2 * x,))
    torch.testing.assert_close(again, by_clip, rtol=0, atol=0)
    torch.testing.assert_close(tangent, 2 * by_clip, rtol=0, atol=0)
    every = torch.func.jacrev(shift)(x.detach()).reshape(x.numel(), x.numel())
    back = twin.cycle_shift(np.eye(x.numel()).reshape(-1, *x.shape[1:]), "height", kernel_size)
    np.testing.assert_array_equal(every.numpy().T.reshape(back.shape), back)
