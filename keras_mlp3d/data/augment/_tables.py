"""Operations on single pixel values: a table of 256 entries, the same for all frames.

All arithmetic is on integers, so that every processor gives the same bits. The unit of factors is
1/64.
"""

import numpy as np

_LEVELS = np.arange(256)
#: Weights of red, green and blue in gray, in units of 1/256.
GRAY = (77, 150, 29)


def apply_tables(clip: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Map every value of a clip by a table `(256,)`, or by its channel's in a table `(3, 256)`.

    Pairs of values are looked up together, frame by frame: the table of 65,536 pairs and a frame
    stay in the processor's cache.
    """
    shared, tables = np.ndim(tables) == 1, np.broadcast_to(tables, (3, 256)).astype("<u2")
    # Two pixels are the pairs red and green, blue and red, green and blue.
    pairs = ((0, 0),) if shared else ((0, 1), (2, 0), (1, 2))
    paired_tables = [((tables[b] << 8)[:, None] | tables[a]).reshape(-1) for a, b in pairs]
    result = np.empty(clip.shape, "uint8")
    for frame, target in zip(clip, result, strict=True):
        values, found = np.ascontiguousarray(frame).reshape(-1), target.reshape(-1)
        even = len(values) // 6 * 6
        value_pairs, found_pairs = (flat[:even].view("<u2") for flat in (values, found))
        for column, table in enumerate(paired_tables):
            step = len(paired_tables)
            found_pairs[column::step] = np.take(table, value_pairs[column::step])
        for place in range(even, len(values)):
            found[place] = tables[place % 3, values[place]]
    return result


def brightness_table(factor: int) -> np.ndarray:
    """Return a table that blends with black (`factor` below 64) or away from it."""
    return _blended(0, factor)


def contrast_table(clip: np.ndarray, factor: int) -> np.ndarray:
    """Return a table that blends with the clip's mean gray (`factor` below 64) or away from it."""
    num_pixels = clip.size // 3
    rows = clip.reshape(-1, clip.shape[2] * 3)
    sums = rows.sum(axis=0, dtype="int64").reshape(-1, 3).sum(axis=0)
    mean = (int(sums @ np.array(GRAY)) + 128 * num_pixels) // (256 * num_pixels)
    return _blended(mean, factor)


def auto_contrast_table(clip: np.ndarray) -> np.ndarray:
    """Return a table that stretches each channel to values from 0 to 255 in the clip."""
    rows = clip.reshape(-1, clip.shape[2] * 3)
    lows = rows.min(axis=0).reshape(-1, 3).min(axis=0).astype("int64")
    highs = rows.max(axis=0).reshape(-1, 3).max(axis=0).astype("int64")
    tables = [_stretched(*ends) for ends in zip(lows.tolist(), highs.tolist(), strict=True)]
    return np.stack(tables)


def equalize_table(clip: np.ndarray) -> np.ndarray:
    """Return the table that evens out the histogram of each channel over the whole clip."""
    return np.stack([_equalized(clip[..., channel]) for channel in range(3)])


def invert_table() -> np.ndarray:
    """Return the table of 255 minus the value."""
    return (255 - _LEVELS).astype("uint8")


def posterize_table(bits: int) -> np.ndarray:
    """Return the table that keeps the `bits` highest bits of a value."""
    return (_LEVELS & (256 - (1 << (8 - bits)))).astype("uint8")


def solarize_table(threshold: int) -> np.ndarray:
    """Return the table that inverts values of at least `threshold`."""
    return np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS).astype("uint8")


def solarize_add_table(added: int) -> np.ndarray:
    """Return the table that adds `added` to values below 128."""
    return np.where(_LEVELS < 128, np.minimum(_LEVELS + added, 255), _LEVELS).astype("uint8")


def _blended(base, factor):
    return np.clip(base + (((_LEVELS - base) * factor + 32) >> 6), 0, 255).astype("uint8")


def _stretched(low, high):
    if high == low:
        return _LEVELS.astype("uint8")
    width = high - low
    return np.clip(((_LEVELS - low) * 255 + width // 2) // width, 0, 255).astype("uint8")


def _equalized(channel):
    counts = np.bincount(channel.reshape(-1), minlength=256)
    # As in PIL: a step is 1/255 of all pixels except those of the largest value.
    step = (channel.size - counts[np.flatnonzero(counts)[-1]]) // 255
    if not step:
        return _LEVELS.astype("uint8")
    below = np.cumsum(counts) - counts
    return np.minimum((below + step // 2) // step, 255).astype("uint8")
