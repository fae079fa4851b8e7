"""Where crops lie: sizes and corners in whole pixels."""

import functools

from keras_mlp3d.data._video_file import MAX_PIXELS


@functools.lru_cache
def covering_size(size, crop, short_side=None):
    """The size a picture is resized to, aspect ratio kept, so that a crop can be cut from it.

    Args:
        size: `(height, width)` of the picture.
        crop: `(height, width)` of the crop.
        short_side: The new short side; by default, and where it would not cover the crop, the
            least that covers it.

    Returns:
        `(height, width)`, neither less than the crop's.
    """
    scales = [(crop[0], size[0]), (crop[1], size[1])]
    if short_side is not None:
        scales.append((short_side, min(size)))
    new, old = max(scales, key=lambda scale: scale[0] / scale[1])
    height, width = (
        max((2 * side * new + old) // (2 * old), least)
        for side, least in zip(size, crop, strict=True)
    )
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"pictures of {size[0]} x {size[1]} would be resized to {height} x {width} to cover "
            f"`image_size` {crop}, and more than {MAX_PIXELS} pixels are refused"
        )
    return height, width


def spread_corners(free, crops):
    """`(top, left)` of crops along the side with more free pixels, from its start to its end.

    Args:
        free: `(height, width)` of the picture less those of the crop.
        crops: How many; one alone lies in the middle.
    """
    top, left = free
    if crops == 1:
        return [(top // 2, left // 2)]
    if top > left:
        return [(i * top // (crops - 1), left // 2) for i in range(crops)]
    return [(top // 2, i * left // (crops - 1)) for i in range(crops)]


def random_corner(free, rng):
    """One `(top, left)`, drawn from all that fit."""
    return tuple(int(rng.integers(side + 1)) for side in free)
