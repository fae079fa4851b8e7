"""The entries of a preset's `metadata.json`: read, and checked when they are given."""

import json
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from keras_mlp3d._utils.printable import plain_value, shortened
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.files import read_json

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORM = '[{"name": "top-1 accuracy", "value": 0.85, "dataset": "my videos", "split": "test"}]'


def read_metadata(path: pathlib.Path) -> dict[str, Any]:
    """Read a `metadata.json`, which may come from anywhere.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        Its content. A number that is not finite, such as NaN, becomes None: it says nothing, and
        the file that is written when the preset is saved again could not hold it.

    Raises:
        ValueError: If the file is damaged, or `check_metadata` refuses an entry.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "metadata.json")
    ...     _ = path.write_text('{"score": NaN, "macs": 12}')
    ...     read_metadata(path)
    {'score': None, 'macs': 12}
    """
    metadata = read_json(path, not_finite=lambda _: None)
    check_metadata(path, metadata)
    return metadata


def check_metadata(path: StrPath, metadata: Mapping[str, Any]) -> None:
    """Refuse metadata whose entries that the package itself reads have another form.

    Args:
        path: Where they are from, for the message.
        metadata: Content of a `metadata.json`.

    Raises:
        ValueError: If an entry has another form.

    Example:

    >>> check_metadata("metadata.json", {"macs": -1})
    Traceback (most recent call last):
    ...
    ValueError: metadata.json is damaged: 'macs' cannot be -1.
    """

    def is_count(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0

    def is_size(value: Any) -> bool:
        return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_count, value))

    sums, clip = metadata.get("sha256", {}), metadata.get("clip")
    total = metadata.get("weights_sha256", "0" * 64)
    good = {
        "weights": isinstance(metadata.get("weights", ""), str),
        "description": isinstance(metadata.get("description", ""), str),
        "parameter_count": is_count(metadata.get("parameter_count", 1)),
        "macs": metadata.get("macs") is None or is_count(metadata["macs"]),
        "weights_sha256": isinstance(total, str) and _SHA256.fullmatch(total),
        "sha256": isinstance(sums, dict)
        and all(isinstance(value, str) and _SHA256.fullmatch(value) for value in sums.values()),
        "clip": clip is None
        or (
            isinstance(clip, dict)
            and is_size(clip.get("size"))
            and is_count(clip.get("frames"))
            and isinstance(clip.get("sampling"), str)
        ),
        "image_size": metadata.get("image_size") is None or is_size(metadata["image_size"]),
    }
    for key, fine in good.items():
        if not fine:
            raise ValueError(f"{path} is damaged: {key!r} cannot be {metadata[key]!r}.")


def plain_metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata that a user gives as plain values; refuse what the model card cannot tell.

    Args:
        given: Entries for `metadata.json`. NumPy numbers and arrays become plain ones.

    Raises:
        ValueError: If a number is not finite, or an entry that the package reads has another form.
        TypeError: If an entry holds anything that JSON does not know.

    Example:

    >>> plain_metadata({"metrics": [{"name": "top-1", "value": np.float32(0.5)}]})
    {'metrics': [{'name': 'top-1', 'value': 0.5}]}
    """
    plain: dict[str, Any] = {}
    for key, value in given.items():
        try:
            plain[key] = json.loads(json.dumps(value, default=plain_value))
        except (TypeError, ValueError, RecursionError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The metadata entry {key!r} must hold only strings, numbers, lists and dicts: "
                f"{error}."
            ) from error
        found = _not_finite(plain[key], key)
        if found is not None:
            raise ValueError(
                f"The metadata entry {found[0]} must be a finite number, got {found[1]}. Leave it "
                "out, or pass None if it was not measured."
            )
    check_metadata("metadata", plain)
    for key in ("metrics", "reported"):
        rows = plain.get(key)
        if rows is not None and not (isinstance(rows, list) and all(map(_is_result, rows))):
            raise ValueError(
                f"The metadata entry {key!r} must be a list of dicts, each with a 'name' and a "
                f"'value', which is a number, or None if it was not measured, such as {_FORM}; got "
                f"{shortened(repr(rows))}."
            )
    names = plain.get("datasets")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise ValueError(
            "The metadata entry 'datasets' must be a list of names, such as "
            f'["user/my-videos"]; got {shortened(repr(names))}.'
        )
    return plain


def plain_number(value: Any) -> int | float | None:
    """Return a number, also one of NumPy, as a plain one; None for anything else.

    Args:
        value: Any value.

    Example:

    >>> plain_number(np.float32(0.5)), plain_number("0.5"), plain_number(float("nan"))
    (0.5, None, None)
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and abs(value) < 1e18 else None


def _is_result(row: Any) -> bool:
    """Return whether the model card can tell a row, or leaves it out for its value None."""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or "value" not in row:
        return False
    return row["value"] is None or plain_number(row["value"]) is not None


def _not_finite(value: Any, path: str) -> tuple[str, float] | None:
    """Return (path, value) of the first number that is not finite in plain values, or None."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (path, value)
    if not isinstance(value, dict | list):
        return None
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = (_not_finite(child, f"{path}[{key!r}]") for key, child in inner)
    return next((entry for entry in found if entry is not None), None)
