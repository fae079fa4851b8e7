"""Erases whole frames of a clip, as a sensor loses them."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng
from keras_mlp3d.data.augment._config import Configured, checked_range


@dataclasses.dataclass(frozen=True)
class FrameErasing(Configured):
    """Makes a random share of a clip's frames black, each frame by a draw of its own.

    For recordings of a sensor that often sees nothing, such as a radar: where some persons are in
    every frame and others in every third, a network should have met both.

    Source: ours.

    Args:
        probability: Probability that a clip loses frames.
        share: Smallest and largest probability of a frame to be erased; each clip draws its own.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> erase = FrameErasing(1.0, share=(0.5, 0.5))
    >>> erased = erase(np.ones((6, 32, 32, 3), "uint8"), np.random.default_rng(0))
    >>> [int(frame.max()) for frame in erased]
    [0, 0, 0, 1, 1, 1]
    """

    probability: float = 0.5
    share: tuple[float, float] = (0.0, 0.75)

    def __post_init__(self):
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            share=checked_range("share", self.share, minimum=0, maximum=1),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the clip, with or without frames erased, as the generator `rng` decides."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        erased = rng.random(len(clip)) < rng.uniform(*self.share)
        if not erased.any():
            return clip
        return np.where(erased[:, None, None, None], np.uint8(0), clip)
