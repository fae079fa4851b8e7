"""The search space: the kinds and group sizes that a block may have.

Source: section 3.4.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from keras_mlp3d._utils.checks import check_choice, check_integer
from keras_mlp3d.layers.time_mixing import KINDS
from keras_mlp3d.models import Mixing

_TUBELET = 4  # frames of a token in time


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Every kind with every group size; S = 1, for which all kinds are the same, counts once.

    Args:
        kinds: Kinds of grouped time mixing, except "full".
        group_sizes: Group sizes S.

    Raises:
        ValueError: If one of the two is empty, holds an entry twice, or one that is unknown.

    Source:
        Section 3.4.

    Example:

    >>> space = SearchSpace(("short_range", "shift_token"), (1, 2))
    >>> [str(mixing) for mixing in space.mixings]
    ['short_range:1', 'short_range:2', 'shift_token:2']
    >>> SearchSpace.parse(str(space)) == space
    True
    """

    kinds: tuple[str, ...] = ("short_range", "long_range", "shift_window", "shift_token")
    group_sizes: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        for name in ("kinds", "group_sizes"):
            values = getattr(self, name)
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"{name} must be a list of at least one entry, got {values!r}.")
            object.__setattr__(self, name, tuple(values))
        known = [kind for kind in KINDS if kind != "full"]
        for kind in self.kinds:
            check_choice("Every entry of kinds", kind, known)
        for size in self.group_sizes:
            check_integer("Every entry of group_sizes", size)
        for name in ("kinds", "group_sizes"):
            values = getattr(self, name)
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{name} must hold every entry once, got {twice[0]!r} twice.")

    @property
    def mixings(self) -> tuple[Mixing, ...]:
        """All candidates of a block, a tuple of `Mixing`: by kind, then by group size."""
        pairs = itertools.product(self.kinds, self.group_sizes)
        first = self.kinds[0]
        return tuple(Mixing(kind, size) for kind, size in pairs if size > 1 or kind == first)

    @property
    def max_group_size(self) -> int:
        """The largest group size."""
        return max(self.group_sizes)

    def check(self, num_frames: int) -> None:
        """Raise ValueError if a candidate does not fit clips of that length.

        Args:
            num_frames: Frames of a clip.

        Raises:
            ValueError: If `num_frames` is no multiple of 4, or one of the group sizes does not
                divide its tokens in time; the message lists the sizes that do.
        """
        check_mixings(self.mixings, num_frames)

    def first_equal(self, mixing: Mixing, num_frames: int) -> Mixing:
        """Return the first candidate that is the same layer as another one at a clip length.

        A group of all tokens is the same whether it is a short-range or a long-range one.

        Args:
            mixing: A candidate.
            num_frames: Frames of a clip.

        Example:

        >>> str(SearchSpace().first_equal(Mixing("long_range", 8), num_frames=32))
        'short_range:8'
        """
        whole = mixing.group_size * _TUBELET == num_frames
        kinds = ("short_range", "long_range")
        if not whole or mixing.kind not in kinds:
            return mixing
        return Mixing(next(kind for kind in self.kinds if kind in kinds), mixing.group_size)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the space as a dictionary for JSON; `from_dict` is the inverse."""
        return {"kinds": list(self.kinds), "group_sizes": list(self.group_sizes)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "SearchSpace":
        """Make a space from the result of `to_dict`.

        Args:
            content: {"kinds": [...], "group_sizes": [...]}.

        Raises:
            ValueError: If there is another key, or a value is wrong.
        """
        if not isinstance(content, dict) or set(content) != {"kinds", "group_sizes"}:
            raise ValueError(
                f"A search space is {{'kinds': [...], 'group_sizes': [...]}}, got {content!r}."
            )
        return cls(**content)

    @classmethod
    def parse(cls, text: str) -> "SearchSpace":
        """Read a space from text.

        Args:
            text: "kind,kind/size,size", such as "short_range,shift_token/1,2,4"; either side may
                be left out: all kinds, or the sizes 1, 2, 4, 8.

        Raises:
            ValueError: If it cannot be read, or a value is wrong.
        """
        kinds, _, sizes = str(text).partition("/")
        values: dict[str, Any] = {}
        if kinds.strip():
            values["kinds"] = tuple(kind.strip() for kind in kinds.split(","))
        if sizes.strip():
            parts = [size.strip() for size in sizes.split(",")]
            if not all(part.isdecimal() for part in parts):
                raise ValueError(
                    "A search space is written kind,kind/size,size, such as "
                    f"short_range,shift_token/1,2,4; got {text!r}."
                )
            values["group_sizes"] = tuple(map(int, parts))
        return cls(**values)

    def __str__(self) -> str:
        return f"{','.join(self.kinds)}/{','.join(map(str, self.group_sizes))}"


def check_mixings(mixings: Iterable[Mixing], num_frames: int) -> None:
    """Raise ValueError if a kind and size of time mixing does not fit clips of a length.

    Args:
        mixings: Kinds and sizes.
        num_frames: Frames of a clip.
    """
    if check_integer("num_frames", num_frames) % _TUBELET:
        raise ValueError(f"num_frames must be a multiple of {_TUBELET}, got {num_frames!r}.")
    time = num_frames // _TUBELET
    wrong = [mixing for mixing in mixings if not mixing.divides(time)]
    if wrong:
        sizes = [str(size) for size in range(1, time + 1) if time % size == 0]
        raise ValueError(
            f"Clips of {num_frames} frames, {time} tokens in time, do not fit the candidates "
            f"{', '.join(map(str, dict.fromkeys(wrong)))}; group sizes that do: {', '.join(sizes)}."
        )
