"""Rectangles in a picture."""

import math

_ATTEMPTS = 10


def random_box(size, scale, ratio, rng):
    """A rectangle of random area, shape and place, or `None` where ten draws do not fit.

    Args:
        size: `(height, width)` of the picture.
        scale: Least and greatest area, as a share of the picture's.
        ratio: Least and greatest width over height.
        rng: A `numpy.random.Generator`.

    Returns:
        `(top, left, height, width)` or `None`.
    """
    rows, columns = size
    for _ in range(_ATTEMPTS):
        area = rows * columns * rng.uniform(*scale)
        shape = math.exp(rng.uniform(*map(math.log, ratio)))
        height, width = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 0 < height <= rows and 0 < width <= columns:
            top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
            return int(top), int(left), height, width
    return None
