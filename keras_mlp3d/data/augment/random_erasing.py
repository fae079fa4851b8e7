"""Hides a part of the picture in all frames of a clip."""

import dataclasses

import numpy as np

from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, random_box
from keras_mlp3d.data.augment._config import (
    Configured,
    checked_number,
    checked_range,
    checked_ratio,
)
from keras_mlp3d.data.augment._warp import FILL

FILLS = ("noise", "mean")


@dataclasses.dataclass(frozen=True)
class RandomErasing(Configured):
    """Erases one rectangle of random area, shape and place: a tube through all frames.

    Where ten draws of area and shape do not fit the picture, nothing is erased.

    Source: section 3.4 (random erasing); the probability after its references. Zhong et al.,
    "Random Erasing Data Augmentation", AAAI 2020.

    Args:
        probability: With which a clip loses a rectangle.
        scale: Least and greatest area of the rectangle, as a share of the picture's.
        ratio: Least and greatest width over height.
        fill: `"noise"`: each pixel a colour drawn from all, the same in all frames; `"mean"`: the
            mean colour of ImageNet.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: An argument is not as above.

    Example:

    >>> import numpy as np
    >>> erase = RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0), fill="mean")
    >>> erased = erase(np.zeros((4, 32, 32, 3), "uint8"), np.random.default_rng(0))
    >>> [int((frame[..., 0] == 124).sum()) for frame in erased]
    [256, 256, 256, 256]
    """

    probability: float = 0.25
    scale: tuple[float, float] = (0.02, 1 / 3)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: str = "noise"

    def __post_init__(self):
        if self.fill not in FILLS:
            raise ValueError(f"fill must be one of {FILLS}, got {self.fill!r}.")
        self._set(
            probability=checked_number("probability", self.probability, 0, 1),
            scale=checked_range("scale", self.scale, most=1),
            ratio=checked_ratio("ratio", self.ratio),
        )

    def __call__(self, clip, rng):
        """The clip, with a rectangle erased or not by a draw from the generator `rng`."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        box = random_box(clip.shape[1:3], self.scale, self.ratio, rng)
        if box is None:
            return clip
        top, left, height, width = box
        color = np.array(FILL, "uint8")
        if self.fill == "noise":
            color = rng.integers(0, 256, (height, width, 3), dtype="uint8")
        erased = np.array(clip)
        erased[:, top : top + height, left : left + width] = color
        return erased
