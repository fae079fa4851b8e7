"""The networks of section 3.4's comparison, and the paper's names for them.

Source: section 3.4, Figure 4.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_mlp3d.models import parse_schedule

SHORT_NAMES = {
    "short_range": "SR",
    "long_range": "LR",
    "shift_window": "SW",
    "shift_token": "ST",
    "full": "full",
}
#: Family -> kinds that alternate.
FAMILIES = {
    "SR": ("short_range",),
    "LR": ("long_range",),
    "ST": ("shift_token",),
    "SR-LR": ("short_range", "long_range"),
    "SR-SW": ("short_range", "shift_window"),
}
FRAME_BY_FRAME, NO_MIXING, SEARCHED = "2-D", "S = 1", "searched"


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of a comparison.

    Args:
        family: "2-D", "S = 1", "SR", "LR", "ST", "SR-LR", "SR-SW", "searched", or another name.
        schedule: As `parse_schedule` takes it; None for the 2-D network.
        group_size: Group size S, if all blocks have the same.

    Example:

    >>> Network("ST", "shift_token:4", 4).name
    'ST 4'
    """

    family: str
    schedule: Any
    group_size: int | None = None

    @property
    def name(self) -> str:
        """Family and group size, such as "ST 4"."""
        alone = self.group_size is None or self.family == NO_MIXING
        return self.family if alone else f"{self.family} {self.group_size}"


def paper_networks(
    group_sizes: Sequence[int] = (1, 2, 4, 8),
    searched: Any = None,
    families: Sequence[str] = tuple(FAMILIES),
) -> tuple[Network, ...]:
    """Return the networks of section 3.4's comparison.

    Args:
        group_sizes: Group sizes S. S = 1, for which all families are the same, counts once.
        searched: None, or the schedule found by a search.
        families: Some of "SR", "LR", "ST", "SR-LR", "SR-SW".

    Returns:
        Tuple of `Network`: the 2-D network, S = 1, the families with the other sizes, and the
        searched network.

    Raises:
        ValueError: If a family is unknown.

    Source:
        Section 3.4, Figure 4.

    Example:

    >>> [network.name for network in paper_networks((1, 4))]
    ['2-D', 'S = 1', 'SR 4', 'LR 4', 'ST 4', 'SR-LR 4', 'SR-SW 4']
    """
    if unknown := [family for family in families if family not in FAMILIES]:
        raise ValueError(f"families must be among {', '.join(FAMILIES)}, got {unknown[0]!r}.")
    networks = [Network(FRAME_BY_FRAME, None)]
    if 1 in group_sizes:
        networks.append(Network(NO_MIXING, "short_range:1", 1))
    for family in dict.fromkeys(families):
        for size in sorted(set(group_sizes) - {1}):
            schedule = "+".join(f"{kind}:{size}" for kind in FAMILIES[family])
            networks.append(Network(family, schedule, size))
    if searched is not None:
        networks.append(Network(SEARCHED, searched))
    return tuple(networks)


def short_name(schedule: Any, depth: int) -> str:
    """Return the paper's short name of a schedule; "2-D" for None.

    Args:
        schedule: As `parse_schedule` takes it, or None.
        depth: Number of blocks.

    Raises:
        ValueError: If it cannot be read.

    Example:

    >>> short_name("short_range:4+shift_window:4", 10), short_name(["shift_token:2"] * 4, 4)
    ('SR-SW 4', 'ST 2')
    >>> short_name(["shift_token:2", "long_range:4"], 2)
    'ST2-LR4'
    """
    if schedule is None:
        return FRAME_BY_FRAME
    mixings = parse_schedule(schedule, depth)
    sizes = {mixing.group_size for mixing in mixings}
    if sizes == {1}:
        return NO_MIXING
    for family, kinds in FAMILIES.items():
        turns = tuple(kinds[block % len(kinds)] for block in range(depth))
        if len(sizes) == 1 and tuple(mixing.kind for mixing in mixings) == turns:
            return f"{family} {sizes.pop()}"
    return "-".join(f"{SHORT_NAMES[mixing.kind]}{mixing.group_size or ''}" for mixing in mixings)


def folder_name(schedule: Any, depth: int) -> str:
    """Return the short name of a schedule as a part of a folder's name.

    Args:
        schedule: As `parse_schedule` takes it, or None.
        depth: Number of blocks.

    Example:

    >>> folder_name("short_range:1", 10), folder_name("shift_token:4", 4)
    ('S1', 'ST4')
    """
    return short_name(schedule, depth).replace(" = ", "").replace(" ", "")
