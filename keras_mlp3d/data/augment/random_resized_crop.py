"""Crops a random window from a clip and resizes it."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_integers
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, random_box
from keras_mlp3d.data.augment._config import Configured, checked_range, checked_ratio
from keras_mlp3d.data.video.container import MAX_PIXELS
from keras_mlp3d.data.video.pictures import FILTERS, Scaler


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(Configured):
    """Crops a window of random area, shape and place, the same in all frames, and resizes it.

    If ten random windows in a row do not fit in the picture, the largest centered window whose
    shape is within `ratio` is taken. FFmpeg's scaler resizes, as in `VideoConverter`.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6. The paper
    of MLP-3D crops without resizing (`VideoConverter(crop="random")`).

    Args:
        size: `(height, width)` of the result in pixels. Defaults to that of the clip.
        scale: Smallest and largest area of the window, as a fraction of the picture's.
        ratio: Smallest and largest ratio of the window's width to its height.
        interpolation: `"bilinear"`, `"bicubic"`, `"area"`, `"lanczos"` or `"nearest"`.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: uint8 `(T, *size, 3)`.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> crop = RandomResizedCrop((32, 32), scale=(0.5, 1.0))
    >>> crop(np.zeros((4, 48, 64, 3), "uint8"), np.random.default_rng(0)).shape
    (4, 32, 32, 3)
    """

    size: tuple[int, int] | None = None
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self):
        size = self.size
        if size is not None:
            size = check_integers("size", size, 2)
            if size[0] * size[1] > MAX_PIXELS:
                raise ValueError(f"size must be at most {MAX_PIXELS} pixels, got {size}.")
        check_choice("interpolation", self.interpolation, FILTERS)
        self._set(
            size=size,
            scale=checked_range("scale", self.scale, above=0, maximum=1),
            ratio=checked_ratio("ratio", self.ratio),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip cropped to a window sampled from the generator `rng`."""
        checked_clip(clip)
        top, left, height, width = self._draw(clip.shape[1:3], checked_rng(rng))
        size = self.size or clip.shape[1:3]
        window = clip[:, top : top + height, left : left + width]
        if size == (height, width):
            return np.array(window)
        scaler = Scaler()
        result = np.empty((len(clip), *size, 3), "uint8")
        for number, picture in enumerate(window):
            # A clip of more frames than its video repeats frames, which are not resized again.
            if number and np.array_equal(picture, window[number - 1]):
                result[number] = result[number - 1]
                continue
            picture = np.ascontiguousarray(picture)
            result[number] = scaler.resize(picture, *size, self.interpolation)
        return result

    def _draw(self, size, rng):
        """Return `(top, left, height, width)` of the window."""
        box = random_box(size, self.scale, self.ratio, rng)
        if box is not None:
            return box
        rows, columns = size
        ratio = min(max(columns / rows, self.ratio[0]), self.ratio[1])
        height = min(rows, max(round(columns / ratio), 1))
        width = min(columns, max(round(rows * ratio), 1))
        return (rows - height) // 2, (columns - width) // 2, height, width
