import keras
import numpy as np
import pytest
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers.time_mixing import shift_mix


@pytest.mark.parametrize(("time", "size"), [(6, 1), (6, 2), (6, 6), (8, 4), (5, 2), (3, 5), (1, 4)])
def test_matches_twin(time, size):
    """Also where the group is longer than the clip, and goes round it more than once."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, time, 2, 3, 4)).astype("float32")
    kernel = rng.standard_normal((size, 4, 4)).astype("float32")
    bias = rng.standard_normal(4).astype("float32")
    expected = twin.shared(x.astype("float64"), "shift_token", size, lambda i: kernel[i], bias)
    for given, difference in ((bias, 0), (None, bias)):
        mixed = keras.ops.convert_to_numpy(shift_mix(x, kernel, given))
        np.testing.assert_allclose(mixed, expected - difference, rtol=0, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="it has a gradient of its own there")
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("time", "size"), [(4, 1), (4, 3), (4, 4), (2, 5), (1, 3)])
def test_gradients_of_every_kind_on_pytorch(time, size):
    import torch

    from keras_mlp3d.layers._torch import concatenate_earlier

    def earlier(x):
        return concatenate_earlier(x, size)

    x = torch.randn((2, time, 1, 2, 3), dtype=torch.float64, requires_grad=True)
    expected = torch.cat([x.roll(i, 1) for i in range(size)], dim=-1)
    torch.testing.assert_close(earlier(x), expected, rtol=0, atol=0)
    assert torch.autograd.gradcheck(earlier, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(earlier, x)
    by_clip = torch.func.vmap(lambda clip: earlier(clip[None])[0])(x)
    torch.testing.assert_close(by_clip, expected, rtol=0, atol=0)
    with torch.no_grad():  # another way there
        torch.testing.assert_close(earlier(x), expected, rtol=0, atol=0)
        _, tangent = torch.func.jvp(earlier, (x,), (2 * x,))
    torch.testing.assert_close(tangent, 2 * expected, rtol=0, atol=0)
