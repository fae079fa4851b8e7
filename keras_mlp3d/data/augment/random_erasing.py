"""Erases a rectangle in all frames of a clip."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, random_box
from keras_mlp3d.data.augment._config import Configured, checked_range, checked_ratio
from keras_mlp3d.data.augment._warp import FILL

FILLS = ("noise", "mean")


@dataclasses.dataclass(frozen=True)
class RandomErasing(Configured):
    """Erases a rectangle of random area, shape and place, the same in all frames.

    If ten random rectangles in a row do not fit in the picture, nothing is erased.

    Source: section 3.4 (random erasing); the probability after its references. Zhong et al.,
    "Random Erasing Data Augmentation", AAAI 2020.

    Args:
        probability: Probability that a clip loses a rectangle.
        scale: Smallest and largest area of the rectangle, as a fraction of the picture's.
        ratio: Smallest and largest ratio of width to height.
        fill: `"noise"`: a random color per pixel, the same in all frames. `"mean"`: the mean color
            of ImageNet.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

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
        check_choice("fill", self.fill, FILLS)
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            scale=checked_range("scale", self.scale, above=0, maximum=1),
            ratio=checked_ratio("ratio", self.ratio),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the clip, with or without a rectangle erased, as the generator `rng` decides."""
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
