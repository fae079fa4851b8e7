"""Plays a clip faster or slower, and begins it earlier or later."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng
from keras_mlp3d.data.augment._config import Configured, checked_range


@dataclasses.dataclass(frozen=True)
class SpeedChange(Configured):
    """Plays a clip at a random speed, from a random moment on; the number of frames stays.

    Above a speed of 1 the clip is over before its last frame: what is left before and after it is
    filled with its first and its last frame. Below a speed of 1 only a part of the clip is shown,
    in which frames are repeated. For clips that show an action once, from its beginning to its
    end, at the speed of the person who does it.

    Source: ours.

    Args:
        probability: Probability that the speed of a clip is changed.
        speed: Smallest and largest speed, between 0.1 and 10; the logarithm is drawn uniformly.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> clip = np.arange(6, dtype="uint8")[:, None, None, None].repeat(3, axis=-1)
    >>> faster, slower = (SpeedChange(1.0, speed=(speed, speed)) for speed in (2, 0.5))
    >>> faster(clip, np.random.default_rng(0))[:, 0, 0, 0].tolist()
    [0, 2, 4, 5, 5, 5]
    >>> slower(clip, np.random.default_rng(0))[:, 0, 0, 0].tolist()
    [0, 0, 1, 1, 2, 2]
    """

    probability: float = 0.5
    speed: tuple[float, float] = (0.75, 1.33)

    def __post_init__(self):
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            speed=checked_range("speed", self.speed, minimum=0.1, maximum=10),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip as it is, or at another speed, as the generator `rng` decides."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        speed = np.exp(rng.uniform(*np.log(self.speed)))
        frames = len(clip)
        begin = rng.random() * frames * (1 - speed)
        moments = begin + (np.arange(frames) + 0.5) * speed
        return clip[np.clip(np.floor(moments), 0, frames - 1).astype(int)]
