"""Cycle FC (section 3.2): position p of channel c reads p + ((c + k // 2) mod k) - k // 2."""

import numpy as np

AXES = {"height": 2, "width": 3}


def cycle_shift(x, axis, kernel_size):
    """(B, T, H, W, C) -> the same shape; positions outside are zero."""
    half = kernel_size // 2
    axis = AXES[axis]
    y = np.zeros_like(x)
    for channel in range(x.shape[-1]):
        step = (channel + half) % kernel_size - half
        for position in range(x.shape[axis]):
            if 0 <= position + step < x.shape[axis]:
                here, there = [slice(None)] * 5, [slice(None)] * 5
                here[axis], there[axis] = position, position + step
                here[-1] = there[-1] = channel
                y[tuple(here)] = x[tuple(there)]
    return y


def cycle_fc(x, weights, axis, kernel_size=3):
    """(B, T, H, W, C) -> (B, T, H, W, filters)."""
    y = cycle_shift(x, axis, kernel_size) @ weights["kernel"]
    return y + weights["bias"] if "bias" in weights else y
