"""Names of splits, and the rows of a table that belong to one."""

import collections
import logging
from collections.abc import Collection, Sequence
from typing import Any

from keras_mlp3d.data.datasets.tables import is_null

_logger = logging.getLogger("keras_mlp3d")

#: The splits by each of their usual names.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "eval": "eval",
}


def split_name(text: Any) -> str:
    """Return the name of a split in one spelling.

    Example:

    >>> split_name("Validation"), split_name("fold 1")
    ('val', 'fold 1')
    """
    name = str(text).strip()
    return SPLITS.get(name.casefold(), name)


def places_of_split(source: str, split: str, column: Sequence[Any]) -> Collection[int]:
    """Return the places of the rows of a split, from 0.

    They are all rows if the column names one split alone, or something that is no split. A warning
    then says so, and another one if a row is of no split.

    Args:
        source: Name of the table in messages.
        split: Name of the split, in any usual spelling.
        column: What the column `split` says of each row.

    Raises:
        ValueError: If the column names several splits, and not this one.

    Example:

    >>> places_of_split("all.csv", "val", ["train", "validation", "train"])
    {1}
    """
    names = ["" if is_null(cell) else split_name(cell) for cell in column]
    counts = collections.Counter(names)
    wanted = split_name(split)
    if wanted in counts:
        if counts[""]:
            _logger.warning(
                "%s: %d rows are left out, as their column 'split' is empty", source, counts[""]
            )
        return {place for place, name in enumerate(names) if name == wanted}
    shown = ", ".join(map(repr, sorted(counts)[:8])) + (", ..." if len(counts) > 8 else "")
    if len(counts) > 1 and counts.keys() & {*SPLITS.values()}:
        raise ValueError(
            f"{source} has no row of the split {split!r}: its column 'split' has {shown}."
        )
    if counts:
        _logger.warning(
            "%s: all rows are read as the split %r, whatever their column 'split' has: %s",
            source, split, shown,
        )  # fmt: skip
    return range(len(names))
