"""Colour and sharpness: each pixel towards a greyer or smoother one, or away from it.

Frame by frame, as what is in between then stays in the processor's cache. All in whole numbers, so
that every processor gives the same bits; factors count in 64ths and stay below 128, so that
nothing passes 16 bits.
"""

import numpy as np

from keras_mlp3d.data.augment._tables import GREY


def colored(clip, factor):
    """Towards grey (`factor` below 64) or away from it."""
    result = np.empty_like(clip)
    for frame, target in zip(clip, result, strict=True):
        planes = [frame[..., channel].astype("uint16") for channel in range(3)]
        grey = sum(
            (weight * plane for weight, plane in zip(map(np.uint16, GREY), planes, strict=True)),
            start=np.uint16(128),
        )
        grey = (grey >> 8).astype("int16")
        for channel, plane in enumerate(planes):
            target[..., channel] = _blended(plane.view("int16"), grey, factor)
    return result


def sharpened(clip, factor):
    """Towards a smoothed picture (`factor` below 64) or away from it; the rim stays as it is.

    Smooth is the mean of the 3 x 3 neighbourhood in which the middle counts five times.
    """
    result = np.array(clip)
    if min(clip.shape[1:3]) < 3:
        return result
    for frame, target in zip(clip, result, strict=True):
        values = frame.astype("uint16")
        rows = values[:-2] + values[1:-1] + values[2:]
        inner = values[1:-1, 1:-1]
        smooth = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * inner + 6) // 13
        target[1:-1, 1:-1] = _blended(inner.astype("int16"), smooth.astype("int16"), factor)
    return result


def _blended(values, base, factor):
    difference = values - base
    difference *= np.int16(factor)
    difference += np.int16(32)
    difference >>= 6
    difference += base
    return np.clip(difference, 0, 255, out=difference)
