"""A safetensors file of weights: written by its library, read without it.

The names are those of `named_weights`.
"""

import dataclasses
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from keras_mlp3d._utils.atomic_write import written_beside
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.files import MAX_JSON_BYTES
from keras_mlp3d.hub.named_weights import halved, named_weights, numpy_dtype, stored_array

if TYPE_CHECKING:
    import keras

#: What `safetensors` calls each dtype that a Keras variable can have.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_MAX_RANK = 32


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """One array of a safetensors file.

    Args:
        dtype: Name of its dtype in Keras.
        shape: Its shape.
        start: Its first byte in the file.

    Example:

    >>> StoredTensor("float32", (2, 3), 64).size
    6
    """

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """Number of its values."""
        return math.prod(self.shape)


def write_safetensors(model: "keras.Model", path: StrPath, half_precision: bool = False) -> None:
    """Write the weights of a model to a safetensors file.

    Args:
        model: A built model.
        path: Path of the file; an earlier one is replaced.
        half_precision: Whether float32 weights are stored in 16 bits.

    Raises:
        ImportError: If the library safetensors is missing.
        OSError: If the file cannot be written; it is named, and an earlier one stays.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(
            "Writing safetensors needs the library safetensors: "
            "pip install 'keras-mlp3d[safetensors]'."
        ) from error
    values = [item for _, stored in named_weights(model) for item in stored.values()]
    arrays = {name: stored_array(value) for name, value in values}
    if half_precision:
        arrays = {name: halved(array, name) for name, array in arrays.items()}
    with written_beside(path, ending=".safetensors") as beside:
        try:
            save_file(arrays, os.fspath(beside), metadata={"format": "keras_mlp3d"})
        except SafetensorError as error:
            if (code := re.search(r"\bcode: (\d+)", str(error))) is None:
                raise
            raise OSError(f"errno = {code[1]}: {error}") from error


def read_safetensors_header(path: StrPath) -> dict[str, StoredTensor]:
    """Read which arrays a safetensors file holds, and refuse one that states what is not there.

    Each byte behind the header must belong to exactly one array. Only the header is read.

    Args:
        path: Path of the file.

    Returns:
        {name: `StoredTensor`}.

    Raises:
        ValueError: If the file is damaged or hostile; the message says why.
    """
    total = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if total < _LENGTH_BYTES or length > total - _LENGTH_BYTES:
            raise ValueError(f"it has {total:,} bytes, too few for the header that it states")
        if length > MAX_JSON_BYTES:
            raise ValueError(f"its header has {length:,} bytes, more than {MAX_JSON_BYTES:,}")
        text = file.read(length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop(_METADATA, None)
    first = _LENGTH_BYTES + length
    spans, tensors = [], {}
    for name, entry in header.items():
        begin, end, tensor = _tensor(name, entry, first)
        spans.append((begin, end, name))
        tensors[name] = tensor
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            how = "overlaps another array" if begin < place else "leaves a gap before it"
            raise ValueError(f"{name} {how}")
        place = end
    if first + place != total:
        raise ValueError(f"it declares {place:,} bytes of weights and has {total - first:,}")
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name comes twice in its header")
    return content


def _tensor(name: str, entry: Any, first: int) -> tuple[int, int, StoredTensor]:
    """Return (first byte behind the header, byte after the last, the array) of one entry."""

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"{name[:200]} has {what}")

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse("other entries than dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        refuse(f"an unknown dtype, {str(dtype)[:40]!r}")
    for numbers in (shape, offsets):
        fine = isinstance(numbers, list) and len(numbers) <= _MAX_RANK
        if not fine or not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
            refuse("a shape or offsets that are no list of numbers")
    if len(offsets) != 2:
        refuse(f"{len(offsets)} offsets, not two")
    tensor = StoredTensor(_DTYPES[dtype], tuple(shape), first + offsets[0])
    if offsets[1] - offsets[0] != tensor.size * numpy_dtype(tensor.dtype).itemsize:
        refuse(f"{offsets[1] - offsets[0]:,} bytes for {tensor.size:,} values of {dtype}")
    return offsets[0], offsets[1], tensor


def load_safetensors(
    path: StrPath,
    model: "keras.Model",
    instead: "Mapping[keras.layers.Layer, Callable[[Mapping[str, Any]], None]]",
) -> None:
    """Load every weight of a model from a safetensors file.

    Nothing is changed if a name or a shape differs.

    Args:
        path: Path of the file.
        model: A built model.
        instead: Layers that do not load their own weights, each with a function that gets
            {"0": array, "1": array, ...}. They may have other names and shapes than the file.

    Raises:
        ValueError: If the file is damaged or of another network.
    """
    tensors = read_safetensors_header(path)
    layers = list(named_weights(model))
    expected = set()
    for layer, stored in layers:
        expected.update(name for name, _ in stored.values())
        if layer in instead:  # it may have lost or gained a weight
            prefix = next(iter(stored.values()))[0].rpartition("/")[0]
            expected.update(name for name in tensors if name.rpartition("/")[0] == prefix)
            continue
        for name, value in stored.values():
            if name not in tensors:
                raise ValueError(f"it lacks {name}")
            if tensors[name].shape != tuple(value.shape):
                raise ValueError(
                    f"{name} has shape {tensors[name].shape}, expected {tuple(value.shape)}"
                )
    if unknown := sorted(tensors.keys() - expected):
        raise ValueError(f"it holds {unknown[0][:200]!r}, which the network lacks")
    with open(path, "rb") as file:
        for layer, stored in layers:
            arrays = {
                key: _read(file, tensors[name])
                for key, (name, _) in stored.items()
                if name in tensors
            }
            instead.get(layer, layer.load_own_variables)(arrays)


def _read(file: Any, tensor: StoredTensor) -> np.ndarray:
    dtype = numpy_dtype(tensor.dtype)
    file.seek(tensor.start)
    content = np.fromfile(file, np.uint8, tensor.size * dtype.itemsize)
    return content.view(dtype).reshape(tensor.shape)
