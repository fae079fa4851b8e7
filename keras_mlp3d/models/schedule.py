"""A schedule: the kind and group size of time mixing in every block of a network.

Source: section 3.4.
"""

import dataclasses
from typing import Any

from keras_mlp3d.layers.time_mixing import GROUPED_KINDS, KINDS, check_group_size


@dataclasses.dataclass(frozen=True)
class Mixing:
    """Time mixing of one block.

    Args:
        kind: "short_range", "long_range", "shift_window", "shift_token" or "full".
        group_size: Group size S >= 1; None for "full" alone.

    Raises:
        ValueError: If the kind is unknown or the group size does not fit it.

    Source:
        Section 3.3.

    Example:

    >>> str(Mixing("long_range", 4))
    'long_range:4'
    """

    kind: str
    group_size: int | None = None

    def __post_init__(self) -> None:
        check_group_size(self.kind, self.group_size)

    def __str__(self) -> str:
        return self.kind if self.group_size is None else f"{self.kind}:{self.group_size}"

    def divides(self, time: int) -> bool:
        """Return whether the mixing takes `time` tokens; "full" takes any, fixed once built."""
        return self.kind not in GROUPED_KINDS or time % self.group_size == 0


def _parse_mixing(text: str) -> Mixing:
    kind, colon, size = (part.strip() for part in text.partition(":"))
    if not colon:
        return Mixing(kind)
    if not size.isdecimal():
        raise ValueError(
            f"Cannot read {text!r} in a schedule; expected 'kind:group_size' with a kind of "
            f"{list(KINDS)}, for example 'short_range:4', or 'full'."
        )
    return Mixing(kind, int(size))


def _as_mixing(item: Any) -> Mixing:
    if isinstance(item, Mixing):
        return item
    if isinstance(item, str):
        return _parse_mixing(item)
    if isinstance(item, list | tuple) and len(item) == 2:
        return Mixing(*item)
    raise ValueError(
        "A schedule holds Mixing objects, (kind, group_size) pairs or 'kind:group_size' strings, "
        f"got {item!r}."
    )


def parse_schedule(schedule: Any, depth: int) -> tuple[Mixing, ...]:
    """Read a schedule in any of its forms.

    The networks of section 3.4 are "short_range:S" (SR), "long_range:S" (LR), "shift_token:S"
    (ST), "short_range:S+long_range:S" (SR-LR) and "short_range:S+shift_window:S" (SR-SW).

    Args:
        schedule: A string such as "shift_token:4", or several joined by "+", which alternate
            from the first block on; a `Mixing` for all blocks; or one entry per block: `Mixing`,
            (kind, group_size) or "kind:group_size".
        depth: Number of blocks of the network.

    Returns:
        Tuple of `depth` `Mixing` objects.

    Raises:
        ValueError: If it cannot be read, or a list has not `depth` entries.

    Source:
        Section 3.4.

    Example:

    >>> [str(mixing) for mixing in parse_schedule("short_range:4+long_range:2", depth=3)]
    ['short_range:4', 'long_range:2', 'short_range:4']
    """
    if isinstance(schedule, Mixing):
        schedule = str(schedule)
    if isinstance(schedule, str):
        turns = [_parse_mixing(part) for part in schedule.split("+")]
        if len(turns) > depth:
            raise ValueError(
                f"The schedule {schedule!r} alternates {len(turns)} kinds, the network has "
                f"{depth} blocks."
            )
        return tuple(turns[block % len(turns)] for block in range(depth))
    if not isinstance(schedule, list | tuple):
        raise ValueError(
            "schedule must be a string such as 'short_range:4+shift_window:4', or a list with one "
            f"(kind, group_size) per block, got {schedule!r}."
        )
    if len(schedule) != depth:
        raise ValueError(
            f"The schedule must have one entry for each of the {depth} blocks, got {len(schedule)}."
        )
    return tuple(_as_mixing(item) for item in schedule)
