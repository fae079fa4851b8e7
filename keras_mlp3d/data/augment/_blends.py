"""Color and sharpness: blends of each pixel with a grayer or smoother one, or away from it.

Frames are handled one by one, so that intermediate values stay in the processor's cache. All
arithmetic is on integers, so that every processor gives the same bits. The unit of factors is 1/64,
and they stay below 128, so that everything fits in 16 bits.
"""

import numpy as np

from keras_mlp3d.data.augment._tables import GRAY


def colored(clip: np.ndarray, factor: int) -> np.ndarray:
    """Blend the clip with gray (`factor` below 64) or away from it."""
    result = np.empty_like(clip)
    for frame, target in zip(clip, result, strict=True):
        planes = [frame[..., channel].astype("uint16") for channel in range(3)]
        gray = np.full_like(planes[0], 128)
        for weight, plane in zip(map(np.uint16, GRAY), planes, strict=True):
            gray += weight * plane
        gray = (gray >> 8).astype("int16")
        for channel, plane in enumerate(planes):
            target[..., channel] = _blended(plane.view("int16"), gray, factor)
    return result


def sharpened(clip: np.ndarray, factor: int) -> np.ndarray:
    """Blend the clip with a smoothed one (`factor` below 64) or away from it, except at its edges.

    The smoothed value is the mean of the 3 x 3 neighborhood, in which the middle counts five times.
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
