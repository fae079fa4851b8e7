"""Mirrors a clip, and its label if classes differ by left and right."""

import dataclasses
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_label, checked_rng
from keras_mlp3d.data.augment._config import Configured

_SIDES = {"left": "right", "right": "left"}
_SIDE_WORD = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class HorizontalFlip(Configured):
    """Mirrors a clip at random, all its frames or none, and swaps its label as `label_map` says.

    Args:
        probability: Probability that a clip is mirrored.
        label_map: Pairs of classes that a mirror swaps, all as indices such as `[[93, 94]]` or all
            as class names; or `"left_right"`: the pairs of classes whose names differ only in that
            the words left and right are swapped, as in Something-Something. Names need
            `bind(class_names)` before the first call.

    Input shape: uint8 `(T, H, W, 3)` and a class index, or floats `(num_classes,)` with a 1 for
        each class of the clip, which the mirror swaps by pairs.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above, or `label_map` holds a class twice.

    Example:

    >>> import numpy as np
    >>> flip = HorizontalFlip(1.0, "left_right").bind(["roll", "push to the left",
    ...                                                "push to the right"])
    >>> flip.label_map
    ((1, 2),)
    >>> clip = np.arange(12, dtype="uint8").reshape(1, 1, 4, 3)
    >>> mirrored, label = flip(clip, 1, np.random.default_rng(0))
    >>> mirrored[0, 0, :, 0].tolist(), label
    ([9, 6, 3, 0], 2)
    """

    probability: float = 0.5
    label_map: tuple[tuple[int, int] | tuple[str, str], ...] | str = ()

    def __post_init__(self):
        probability = float(check_number("probability", self.probability, 0, 1))
        label_map = self.label_map
        if label_map != "left_right":
            label_map = _checked_pairs(label_map)
        self._set(probability=probability, label_map=label_map)

    @property
    def is_bound(self) -> bool:
        """Whether `label_map` holds class indices, so that the flip can be called."""
        return self.label_map != "left_right" and all(
            isinstance(label, int) for pair in self.label_map for label in pair
        )

    def bind(self, class_names: Sequence[str]) -> "HorizontalFlip":
        """Return the same flip with class indices in `label_map`.

        Args:
            class_names: Names of the classes in the order of their labels.

        Raises:
            ValueError: If `label_map` names an unknown class, or if it is `"left_right"` and a
                class whose name has the word left or right has no partner.
        """
        names = [unicodedata.normalize("NFC", name) for name in class_names]
        if self.label_map == "left_right":
            return dataclasses.replace(self, label_map=_left_right_pairs(names))
        pairs: Any = self.label_map
        if not self.is_bound:
            pairs = [[unicodedata.normalize("NFC", name) for name in pair] for pair in pairs]
            missing = sorted({name for pair in pairs for name in pair} - set(names))
            if missing:
                raise ValueError(f"label_map names classes that are not in class_names: {missing}.")
            pairs = tuple(tuple(map(names.index, pair)) for pair in pairs)
        beyond = sorted(label for pair in pairs for label in pair if label >= len(names))
        if beyond:
            raise ValueError(
                f"label_map must hold classes from 0 to {len(names) - 1}, got {beyond}."
            )
        return dataclasses.replace(self, label_map=pairs)

    def __call__(
        self, clip: np.ndarray, label: Any, rng: np.random.Generator
    ) -> tuple[np.ndarray, Any]:
        """Return `(clip, label)`, mirrored or not, as the generator `rng` decides."""
        checked_clip(clip)
        if not self.is_bound:
            raise ValueError("label_map holds names: call the flip that bind(class_names) returns.")
        label = checked_label(label)
        if checked_rng(rng).random() >= self.probability:
            return clip, label
        mirrored = np.empty_like(clip)
        for channel in range(3):  # NumPy copies pixels of three bytes seven times slower
            mirrored[..., channel] = clip[:, :, ::-1, channel]
        return mirrored, self._mirrored(label)

    def _mirrored(self, label):
        if isinstance(label, np.ndarray):
            order = np.arange(len(label))
            for first, second in self.label_map:
                order[[first, second]] = second, first
            return label[order]
        for first, second in self.label_map:
            if label in (first, second):
                return second if label == first else first
        return label


def _checked_pairs(label_map):
    expected = "label_map must be 'left_right' or pairs of class indices, or pairs of class names"
    if not isinstance(label_map, (tuple, list)):
        raise ValueError(f"{expected}; got {label_map!r}.")
    for pair in label_map:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{expected}; got the pair {pair!r}.")
    labels = [label for pair in label_map for label in pair]
    indices = all(type(label) is int and label >= 0 for label in labels)
    if not indices and not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{expected}; got {label_map!r}.")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"label_map must hold a class once, got more of {twice}.")
    return tuple(tuple(pair) for pair in label_map)


def _left_right_pairs(names):
    pairs, alone = [], []
    for index, name in enumerate(names):
        mirrored = _SIDE_WORD.sub(_other_side, name)
        if mirrored == name:
            continue
        if mirrored not in names:
            alone.append(name)
        elif names.index(mirrored) > index:
            pairs.append((index, names.index(mirrored)))
    if alone:
        raise ValueError(
            "label_map='left_right' finds no partner for these classes, whose names have left or "
            f"right: {alone}. Give the pairs instead."
        )
    return tuple(pairs)


def _other_side(match):
    word = match.group()
    other = _SIDES[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
