"""RandAugment: a random series of operations per clip."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng
from keras_mlp3d.data.augment._blends import colored, sharpened
from keras_mlp3d.data.augment._config import Configured
from keras_mlp3d.data.augment._tables import (
    apply_tables,
    auto_contrast_table,
    brightness_table,
    contrast_table,
    equalize_table,
    invert_table,
    posterize_table,
    solarize_add_table,
    solarize_table,
)
from keras_mlp3d.data.augment._warp import rotation, shear_x, shear_y, translated, warped

MAX_MAGNITUDE = 10
_TRANSLATE = 0.45

#: Name -> (clip, argument) -> clip.
_APPLY = {
    "auto_contrast": lambda clip, _: apply_tables(clip, auto_contrast_table(clip)),
    "equalize": lambda clip, _: apply_tables(clip, equalize_table(clip)),
    "invert": lambda clip, _: apply_tables(clip, invert_table()),
    "rotate": lambda clip, degrees: warped(clip, rotation(degrees)),
    "posterize": lambda clip, bits: apply_tables(clip, posterize_table(bits)),
    "solarize": lambda clip, threshold: apply_tables(clip, solarize_table(threshold)),
    "solarize_add": lambda clip, added: apply_tables(clip, solarize_add_table(added)),
    "color": colored,
    "contrast": lambda clip, factor: apply_tables(clip, contrast_table(clip, factor)),
    "brightness": lambda clip, factor: apply_tables(clip, brightness_table(factor)),
    "sharpness": sharpened,
    "shear_x": lambda clip, factor: warped(clip, shear_x(factor)),
    "shear_y": lambda clip, factor: warped(clip, shear_y(factor)),
    "translate_x": lambda clip, part: translated(clip, right=_pixels(part, clip.shape[2])),
    "translate_y": lambda clip, part: translated(clip, down=_pixels(part, clip.shape[1])),
}

OPERATIONS = tuple(_APPLY)


@dataclasses.dataclass(frozen=True)
class RandAugment(Configured):
    """Applies random operations, the same to all frames of a clip. They may repeat.

    It follows the common recipe for video, `rand-m7-n4-mstd0.5-inc1` of pytorch-image-models. In
    the table, s is a tenth of the magnitude, and +- is a random sign.

    | operation | what it does |
    | --- | --- |
    | `auto_contrast` | stretches each channel over 0 to 255 |
    | `equalize` | evens out each channel's histogram |
    | `invert` | 255 minus the value |
    | `rotate` | by +- 30 s degrees |
    | `posterize` | keeps 4 - floor(4 s) bits, at least one |
    | `solarize` | inverts values of at least 256 - floor(256 s) |
    | `solarize_add` | adds floor(110 s) to values below 128 |
    | `color`, `contrast`, `brightness`, `sharpness` | by the factor 1 +- 0.9 s |
    | `shear_x`, `shear_y` | by +- 0.3 s around the middle |
    | `translate_x`, `translate_y` | by +- 0.45 s of the side, in whole pixels |

    Extremes, histograms and mean grays are those of the whole clip, so that it does not flicker.
    Interpolation is bilinear; pixels outside the picture have the mean color of ImageNet. All
    arithmetic is on integers: factors are rounded to 1/64, and positions to 1/16 of a pixel.

    Source: section 3.4 (random augment); four operations of magnitude 7 after its references.
    Cubuk et al., "RandAugment", NeurIPS 2020.

    Args:
        num_ops: Number of operations sampled per clip.
        magnitude: Strength, from 0 to 10.
        magnitude_std: Standard deviation of the magnitude, which is sampled per operation.
        probability: Probability that a sampled operation is applied.
        operations: Names of the operations to sample from. Defaults to all in the table.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> augment = RandAugment(num_ops=1, probability=1.0, operations=["invert"])
    >>> augment(np.full((2, 1, 1, 3), 55, "uint8"), np.random.default_rng(0)).ravel().tolist()
    [200, 200, 200, 200, 200, 200]
    """

    num_ops: int = 4
    magnitude: float = 7.0
    magnitude_std: float = 0.5
    probability: float = 0.5
    operations: tuple[str, ...] = OPERATIONS

    def __post_init__(self):
        operations = self.operations
        if not isinstance(operations, tuple | list) or not operations:
            raise ValueError(f"operations must be some of {OPERATIONS}, got {self.operations!r}.")
        unknown = [name for name in operations if name not in OPERATIONS]
        if unknown or len(set(operations)) != len(operations):
            raise ValueError(
                f"operations must be some of {OPERATIONS}, each once; unknown: {unknown}, "
                f"got {operations}."
            )
        self._set(
            num_ops=check_integer("num_ops", self.num_ops, 1, 10_000),
            magnitude=float(check_number("magnitude", self.magnitude, 0, MAX_MAGNITUDE)),
            magnitude_std=float(check_number("magnitude_std", self.magnitude_std, 0, 100)),
            probability=float(check_number("probability", self.probability, 0, 1)),
            operations=tuple(operations),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip after operations that are sampled from the generator `rng`."""
        checked_clip(clip)
        for name, argument in self._draw(checked_rng(rng)):
            clip = _APPLY[name](clip, argument)
        return clip

    def _draw(self, rng):
        """Return [(name, argument)] of the operations to apply, in this order."""
        chosen = []
        for _ in range(self.num_ops):
            name = self.operations[rng.integers(len(self.operations))]
            applied = rng.random() < self.probability
            sign = 1 if rng.random() < 0.5 else -1
            magnitude = self.magnitude + self.magnitude_std * rng.standard_normal()
            if applied:
                level = min(max(magnitude, 0.0), MAX_MAGNITUDE) / MAX_MAGNITUDE
                chosen.append((name, argument_of(name, level, sign)))
        return chosen


def argument_of(name: str, level: float, sign: int) -> float | None:
    """Return the argument of an operation, such as degrees, at a level from 0 to 1, or None."""
    if name == "rotate":
        return sign * 30 * level
    if name == "posterize":
        return max(4 - int(4 * level), 1)
    if name == "solarize":
        return 256 - int(256 * level)
    if name == "solarize_add":
        return int(110 * level)
    if name in ("color", "contrast", "brightness", "sharpness"):
        return round(64 * (1 + sign * 0.9 * level))
    if name in ("shear_x", "shear_y"):
        return sign * 0.3 * level
    if name in ("translate_x", "translate_y"):
        return sign * _TRANSLATE * level
    return None


def _pixels(part, side):
    return int(np.floor(part * side + 0.5))
