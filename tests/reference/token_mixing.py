"""Token mixing (section 3.2, Eq. (2)): FC of the weighted sum of width, height and time mixing."""

import numpy as np

from reference.basics import gelu, linear, part, softmax
from reference.cycle_fc import cycle_fc
from reference.grouped_time_mixing import grouped_time_mixing


def branch_weights(total, weights):
    """Split attention, clip by clip: (B, T, H, W, C) -> (B, C, 3), each row of 3 sums to 1.

    The 3 C values of the MLP are read as (C, 3): those of channel c lie at 3 c, 3 c + 1, 3 c + 2.
    """
    batch, *_, channels = total.shape
    scales = np.empty((batch, channels, 3))
    for sample in range(batch):
        mean = total[sample].reshape(-1, channels).mean(axis=0)
        values = linear(gelu(linear(mean, part(weights, "squeeze"))), part(weights, "excite"))
        for channel in range(channels):
            scales[sample, channel] = softmax(values[3 * channel : 3 * channel + 3])
    return scales


def token_mixing(
    x, weights, kind, size, share_weights=True, max_group_size=None, cycle_kernel_size=3
):
    """(B, T, H, W, C) -> the same shape. Branches: width step, height step, time."""
    branches = [
        cycle_fc(x, part(weights, "mix_width/dense"), "width", cycle_kernel_size),
        cycle_fc(x, part(weights, "mix_height/dense"), "height", cycle_kernel_size),
        grouped_time_mixing(
            x, part(weights, "mix_time"), kind, size, share_weights, max_group_size
        ),
    ]
    scales = branch_weights(sum(branches), weights)
    mixed = np.zeros_like(x)
    for sample in range(x.shape[0]):
        for number, branch in enumerate(branches):
            mixed[sample] += branch[sample] * scales[sample, :, number]
    return linear(mixed, part(weights, "projection"))
