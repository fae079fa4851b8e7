"""The augmenter: all steps of augmentation in one object."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from keras_mlp3d._utils.checks import check_integer, is_no_list
from keras_mlp3d.data.augment._arrays import (
    checked_batch,
    checked_clip,
    checked_label,
    checked_rng,
)
from keras_mlp3d.data.augment._config import Configured
from keras_mlp3d.data.augment.batch_augmentation import BatchAugmentation
from keras_mlp3d.data.augment.erasing import CellErasing, FrameErasing, RandomErasing
from keras_mlp3d.data.augment.horizontal_flip import HorizontalFlip
from keras_mlp3d.data.augment.mixing import CutMix, MixUp
from keras_mlp3d.data.augment.rand_augment import RandAugment
from keras_mlp3d.data.augment.random_resized_crop import RandomResizedCrop
from keras_mlp3d.data.augment.smooth_labels import checked_smoothing, smooth_labels
from keras_mlp3d.data.augment.speed_change import SpeedChange

#: Field -> class of the steps, those of one clip in the order in which they are applied; the speed
#: is changed before them.
_CLIP_STEPS = {
    "crop": RandomResizedCrop,
    "flip": HorizontalFlip,
    "rand_augment": RandAugment,
    "erasing": RandomErasing,
    "frame_erasing": FrameErasing,
    "cell_erasing": CellErasing,
    "speed": SpeedChange,
}
_STEPS = {
    **_CLIP_STEPS,
    "batch_augmentation": BatchAugmentation,
    "mix_up": MixUp,
    "cut_mix": CutMix,
}


@dataclasses.dataclass(frozen=True)
class Augmenter(Configured):
    """Augments clips and batches of clips: differently between clips, alike for a clip's frames.

    A call augments one clip, for example in a decoding thread; `augment_copies` returns the copies
    of batch augmentation; `batch` mixes the clips of a batch and smooths their labels. An augmenter
    is immutable, and all random numbers come from the generator given to each call: see
    `clip_generator` and `batch_generator`. NumPy and FFmpeg's scaler change the pixels in integer
    arithmetic, so that every backend, loader and thread gives the same clips.

    Args:
        crop: `RandomResizedCrop` or None, like all steps.
        flip: `HorizontalFlip`.
        rand_augment: `RandAugment`.
        erasing: `RandomErasing`.
        frame_erasing: `FrameErasing`. This step and the next treat frames differently.
        cell_erasing: `CellErasing`.
        speed: `SpeedChange`. It is applied first.
        batch_augmentation: `BatchAugmentation`. It needs one of the steps above.
        mix_up: `MixUp`.
        cut_mix: `CutMix`. Together with `mix_up`, each batch is mixed by one of the two, chosen at
            random.
        label_smoothing: See `smooth_labels`.
        num_classes: Number of classes, needed if `batch` is given integer labels. `bind` sets it.

    Input shape: uint8 `(T, H, W, 3)` and a class index, or floats `(num_classes,)` with a 1 for
        each class of a video that may have several.

    Output shape: The same, of the crop's size.

    Raises:
        ValueError: If an argument is not as above, or two contradict each other.

    Example:

    >>> import numpy as np
    >>> augmenter = Augmenter(flip=HorizontalFlip(label_map="left_right"), erasing=RandomErasing(),
    ...                       mix_up=MixUp(0.8), label_smoothing=0.1)
    >>> augmenter = augmenter.bind(["turn left", "turn right", "wave"])
    >>> augmenter.num_classes, augmenter.flip.label_map
    (3, ((0, 1),))
    >>> rng = np.random.default_rng(0)
    >>> clip, label = augmenter(np.zeros((4, 32, 32, 3), "uint8"), 2, rng)
    >>> clips, labels = augmenter.batch(clip[None], [label], rng)
    >>> clips.shape, [round(float(value), 3) for value in labels[0]]
    ((1, 4, 32, 32, 3), [0.033, 0.033, 0.933])
    """

    crop: RandomResizedCrop | None = None
    flip: HorizontalFlip | None = None
    rand_augment: RandAugment | None = None
    erasing: RandomErasing | None = None
    frame_erasing: FrameErasing | None = None
    cell_erasing: CellErasing | None = None
    speed: SpeedChange | None = None
    batch_augmentation: BatchAugmentation | None = None
    mix_up: MixUp | None = None
    cut_mix: CutMix | None = None
    label_smoothing: float = 0.0
    num_classes: int | None = None

    def __post_init__(self):
        for name, kind in _STEPS.items():
            step = getattr(self, name)
            if step is not None and not isinstance(step, kind):
                raise ValueError(f"{name} must be a {kind.__name__} or None, got {step!r}.")
        self._set(label_smoothing=checked_smoothing("label_smoothing", self.label_smoothing))
        if self.num_classes is not None:
            self._set(num_classes=check_integer("num_classes", self.num_classes))
            self._check_flip(self.num_classes)
        if self.copies > 1 and all(getattr(self, name) is None for name in _CLIP_STEPS):
            raise ValueError(
                f"batch_augmentation would make {self.copies} equal copies of each clip: "
                f"give one of {tuple(_CLIP_STEPS)} too."
            )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return an augmenter from the result of `get_config`. Unknown keys are an error.

        A step may be given by its first argument alone: `{"flip": 0.5, "mix_up": 0.8}`.
        """
        if isinstance(config, dict):
            config = {name: _step(name, value) for name, value in config.items()}
        return super().from_config(config)

    @property
    def copies(self) -> int:
        """Number of augmented copies per clip in a batch."""
        return self.batch_augmentation.copies if self.batch_augmentation else 1

    @property
    def mixes(self) -> bool:
        """Whether `batch` changes anything: its labels are then distributions."""
        return bool(self.mix_up or self.cut_mix or self.label_smoothing)

    def bind(self, class_names: Sequence[str]) -> "Augmenter":
        """Return the augmenter for these classes: with `num_classes`, and a flip of class indices.

        Args:
            class_names: Names of the classes in the order of their labels.

        Raises:
            ValueError: If the flip's `label_map` does not fit them, or `num_classes` is not their
                number.
        """
        if is_no_list(class_names):
            raise ValueError(f"class_names must be a list of names, got {class_names!r}.")
        names = list(class_names)
        if self.num_classes not in (None, len(names)):
            raise ValueError(
                f"class_names must be {self.num_classes} names, as num_classes says, "
                f"got {len(names)}."
            )
        flip = self.flip and self.flip.bind(names)
        return dataclasses.replace(self, flip=flip, num_classes=len(names))

    def __call__(
        self, clip: np.ndarray, label: Any, rng: np.random.Generator
    ) -> tuple[np.ndarray, Any]:
        """Augment one clip.

        Args:
            clip: uint8 `(T, H, W, 3)`. It is not changed in place.
            label: Class index of the clip, or floats `(num_classes,)`.
            rng: `numpy.random.Generator`.

        Returns:
            `(clip, label)`: uint8 `(T, H, W, 3)` and an int, or floats `(num_classes,)`.
        """
        checked_clip(clip)
        checked_rng(rng)
        label = checked_label(label)
        if self.speed is not None:
            clip = self.speed(clip, rng)
        if self.crop is not None:
            clip = self.crop(clip, rng)
        if self.flip is not None:
            clip, label = self.flip(clip, label, rng)
        if self.rand_augment is not None:
            clip = self.rand_augment(clip, rng)
        if self.erasing is not None:
            clip = self.erasing(clip, rng)
        if self.frame_erasing is not None:
            clip = self.frame_erasing(clip, rng)
        if self.cell_erasing is not None:
            clip = self.cell_erasing(clip, rng)
        return clip, label

    def augment_copies(
        self, clip: np.ndarray, label: Any, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the augmented copies of one clip for one batch.

        Args:
            clip: uint8 `(T, H, W, 3)`.
            label: Class index of the clip, or floats `(num_classes,)`.
            rng: `numpy.random.Generator`. The first copy is what a call would return.

        Returns:
            `(clips, labels)`: uint8 `(copies, T, H, W, 3)`, and int32 `(copies,)` or, of floats,
            float32 `(copies, num_classes)`. There is one copy without `batch_augmentation`.
        """
        repeated = self.batch_augmentation or BatchAugmentation(1)
        return repeated(clip, label, rng, self)

    def batch(
        self,
        clips: np.ndarray,
        labels: np.ndarray,
        rng: np.random.Generator,
        multi_label: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix the clips of a batch by `mix_up` or `cut_mix` and smooth their labels.

        Nothing changes without these steps and `label_smoothing` (see `mixes`).

        Args:
            clips: uint8 `(B, T, H, W, 3)`, augmented clips.
            labels: Integers `(B,)` or floats `(B, num_classes)`.
            rng: `numpy.random.Generator`.
            multi_label: Whether a clip may have several classes; see `smooth_labels`.

        Returns:
            `(clips, labels)`: uint8 as above and float32 `(B, num_classes)`.
        """
        checked_rng(rng)
        if not self.mixes:
            return clips, labels
        labels = smooth_labels(labels, self.label_smoothing, self.num_classes, multi_label)
        clips, labels = checked_batch(clips, labels)
        steps = [step for step in (self.mix_up, self.cut_mix) if step is not None]
        if not steps:
            return clips, labels
        step = steps[0] if len(steps) == 1 else steps[int(rng.integers(2))]
        return step(clips, labels, rng)

    def _check_flip(self, num_classes):
        if self.flip is None or not self.flip.is_bound:
            return
        beyond = sorted({k for pair in self.flip.label_map for k in pair if k >= num_classes})
        if beyond:
            raise ValueError(
                f"flip has a label_map with the classes {beyond}, and num_classes is {num_classes}."
            )


def _step(name, value):
    if name not in _STEPS or value is None:
        return value
    kind = _STEPS[name]
    if not isinstance(value, dict):
        value = {dataclasses.fields(kind)[0].name: value}
    try:
        return kind.from_config(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
