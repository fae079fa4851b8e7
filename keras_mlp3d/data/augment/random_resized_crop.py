"""A random window of a clip, resized."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, random_box
from keras_mlp3d.data.augment._config import Configured, checked_range, checked_ratio
from keras_mlp3d.data.video.container import MAX_PIXELS
from keras_mlp3d.data.video.pictures import FILTERS, Scaler


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(Configured):
    """Cuts a window of random area, shape and place, one for all frames, and resizes it.

    Where ten draws of area and shape do not fit the picture, the largest window in its middle that
    keeps to `ratio` is taken. FFmpeg's scaler resizes, as in `VideoConverter`.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6. The paper
    of MLP-3D crops without resizing (`VideoConverter(crop="random")`).

    Args:
        size: `(height, width)` of what comes out, in pixels; `None`: that of the clip.
        scale: Least and greatest area of the window, as a share of the picture's.
        ratio: Least and greatest width over height of the window.
        interpolation: `"bilinear"`, `"bicubic"`, `"area"`, `"lanczos"` or `"nearest"`.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: uint8 `(T, *size, 3)`.

    Raises:
        ValueError: An argument is not as above.

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
            if not isinstance(size, (tuple, list)) or len(size) != 2:
                raise ValueError(f"size must be (height, width) or None, got {size!r}.")
            size = tuple(checked_whole("size", side, 1) for side in size)
            if size[0] * size[1] > MAX_PIXELS:
                raise ValueError(f"size must be at most {MAX_PIXELS} pixels, got {size}.")
        if self.interpolation not in FILTERS:
            raise ValueError(
                f"interpolation must be one of {tuple(FILTERS)}, got {self.interpolation!r}."
            )
        self._set(
            size=size,
            scale=checked_range("scale", self.scale, most=1),
            ratio=checked_ratio("ratio", self.ratio),
        )

    def __call__(self, clip, rng):
        """The clip's window, one draw from the generator `rng`."""
        checked_clip(clip)
        top, left, height, width = self._draw(clip.shape[1:3], checked_rng(rng))
        size = self.size or clip.shape[1:3]
        window = clip[:, top : top + height, left : left + width]
        if size == (height, width):
            return np.array(window)
        scaler = Scaler()
        result = np.empty((len(clip), *size, 3), "uint8")
        for picture, target in zip(window, result, strict=True):
            target[:] = scaler.resize(np.ascontiguousarray(picture), *size, self.interpolation)
        return result

    def _draw(self, size, rng):
        """`(top, left, height, width)` of the window."""
        box = random_box(size, self.scale, self.ratio, rng)
        if box is not None:
            return box
        rows, columns = size
        ratio = min(max(columns / rows, self.ratio[0]), self.ratio[1])
        height = min(rows, max(round(columns / ratio), 1))
        width = min(columns, max(round(rows * ratio), 1))
        return (rows - height) // 2, (columns - width) // 2, height, width
