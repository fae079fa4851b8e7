"""A file of LoRA adapters: arrays by name, and what they belong to."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_mlp3d._utils.atomic_write import written_beside
from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.weights import check_weights_file

ENDING = ".lora.h5"
_HEADER = "keras_mlp3d"


def write_adapters(
    path: StrPath, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> None:
    """Write arrays of float32 and a header to an HDF5 file, whole or not at all.

    Args:
        path: Path of the file, which ends in ".lora.h5"; an earlier one is replaced.
        arrays: {name, which may have slashes: array}.
        header: JSON values.

    Raises:
        ValueError: If the path has another ending.
        OSError: If the file cannot be written; an earlier one stays.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_adapters(f"{folder}/mine.lora.h5", {"a/b": np.zeros(2, "float32")}, {"rank": 8})
    ...     arrays, header = read_adapters(f"{folder}/mine.lora.h5")
    >>> list(arrays), header
    (['a/b'], {'rank': 8})
    """
    import h5py

    _check_ending(path)
    with written_beside(path, ending=ENDING) as beside, h5py.File(beside, "w") as file:
        file.attrs[_HEADER] = json.dumps(header)
        for name, array in arrays.items():
            file[name] = array


def read_adapters(path: StrPath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_adapters` wrote from a file that may be damaged or hostile.

    Args:
        path: Path of the file.

    Returns:
        The arrays and the header.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, hostile, or holds anything else.

    Example:

    >>> read_adapters("absent.lora.h5")
    Traceback (most recent call last):
    ...
    FileNotFoundError: Weights file 'absent.lora.h5' does not exist.
    """
    import h5py

    _check_ending(path)
    check_weights_file(path)
    with h5py.File(os.fspath(path), "r") as file:
        try:
            header = json.loads(file.attrs[_HEADER])
            if not isinstance(header, dict):
                raise ValueError("no object")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{os.fspath(path)!r} holds no LoRA adapters of this package."
            ) from error
        arrays = {name: np.asarray(item) for name, item in _datasets(file)}
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(
                f"{os.fspath(path)!r} is damaged: {printable(name)} has values that are no finite "
                "numbers."
            )
    return arrays, header


def _check_ending(path: StrPath) -> None:
    if not os.fspath(path).endswith(ENDING):
        raise ValueError(f"The path of adapters must end in {ENDING!r}, got {os.fspath(path)!r}.")


def _datasets(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in group.items():
        if hasattr(item, "items"):
            yield from _datasets(item, f"{path}{name}/")
        else:
            yield f"{path}{name}", item
