"""Reading weights from a file that may be damaged, foreign or hostile, and writing them."""

import contextlib
import dataclasses
import hashlib
import math
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.atomic_write import reserve, written_beside
from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.named_weights import halved
from keras_mlp3d.hub.safetensors_file import (
    load_safetensors,
    read_safetensors_header,
    write_safetensors,
)

if TYPE_CHECKING:
    import keras

#: Loads a layer's own variables instead of the layer: gets {"0": array, "1": array, ...}.
LayerLoader = Callable[[Mapping[str, Any]], None]

#: The attribute of a compiled model, by which Keras names what it saves of it.
_OPTIMIZER = "optimizer"


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A weights file that `check_weights_file` has checked.

    Args:
        path: Path of the file.
        parameter_count: Number of parameters that it holds.
        array_count: Number of arrays that hold them.

    Example:

    >>> WeightsFile("model.weights.h5", 12, 2).parameter_count
    12
    """

    path: str
    parameter_count: int
    array_count: int

    def load(
        self,
        model: "keras.Model",
        instead: "Mapping[keras.layers.Layer, LayerLoader] | None" = None,
    ) -> None:
        """Load every weight of a model, or raise one clear error.

        Args:
            model: A built Keras model.
            instead: None, or layers that do not load their own variables as they are stored, each
                with the function that gets what the file holds for the layer.

        Raises:
            ValueError: If the file is of another network.
        """
        try:
            if is_safetensors(self.path):
                load_safetensors(self.path, model, instead or {})
                return
            with warnings.catch_warnings(), _replaced_methods(instead or {}, "load_own_variables"):
                # Keras warns before it raises an error for the same reason.
                warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
                model.load_weights(self.path)
        except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            reason = printable(" ".join(str(error).split()))
            raise ValueError(
                f"The weights in {self.path!r} are not of this network ({model.name}): {reason}"
            ) from error


@contextlib.contextmanager
def _replaced_methods(functions: Mapping[Any, Callable[[Any], Any]], name: str) -> Iterator[None]:
    """Replace a method of some objects by functions, such as the one that Keras loads them by.

    Metrics have no such method, and get one for this time: `keras_patches.replaced` would fail.
    """
    for owner, function in functions.items():
        vars(owner)[name] = function
    try:
        yield
    finally:
        for owner in functions:
            del vars(owner)[name]


def is_safetensors(path: StrPath) -> bool:
    """Return whether a weights file has the form of safetensors, by its name.

    Example:

    >>> is_safetensors("model.safetensors"), is_safetensors("model.weights.h5")
    (True, False)
    """
    return os.fspath(path).endswith(".safetensors")


def check_weights_file(
    path: StrPath, sha256: str | None = None, actual_sha256: str | None = None
) -> WeightsFile:
    """Refuse a weights file that is damaged, points outside itself, or declares too much.

    Only the hash reads the whole file; the arrays are counted from the headers. The state of an
    optimizer, which earlier versions saved in HDF5 after a training, does not count and is not
    loaded.

    Args:
        path: Path of the file: `.safetensors`, or HDF5 under any other name.
        sha256: None, or the SHA-256 that the file must have, in hexadecimal digits.
        actual_sha256: Its SHA-256 if it is known already, which saves reading the file.

    Returns:
        A `WeightsFile`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file must not be read; the message names it and says why.

    Example:

    >>> check_weights_file("absent.weights.h5")
    Traceback (most recent call last):
    ...
    FileNotFoundError: Weights file 'absent.weights.h5' does not exist.
    """

    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Weights file {path!r} does not exist.")
    if sha256 is not None and (actual_sha256 or file_sha256(path)) != sha256:
        raise ValueError(
            f"Weights file {path!r} is damaged: its SHA-256 is not the one in the preset's "
            f"metadata, {sha256}. Get the file again."
        )
    kind = "safetensors" if is_safetensors(path) else "HDF5"
    try:
        found = _count_safetensors(path) if kind == "safetensors" else _count_hdf5(path)
    except _Refused as error:
        raise ValueError(f"Weights file {path!r} is refused: {printable(str(error))}.") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ValueError(
            f"Weights file {path!r} is damaged or no {kind} file: {printable(str(error))}."
        ) from error
    return WeightsFile(path, *found)


def _count_safetensors(path: str) -> tuple[int, int]:
    sizes = [tensor.size for tensor in read_safetensors_header(path).values()]
    return sum(sizes), len(sizes)


def _count_hdf5(path: str) -> tuple[int, int]:
    """Return how many parameters a file holds, and in how many arrays."""
    import h5py

    count = arrays = declared = 0
    with h5py.File(path, "r") as file:
        for dataset in _datasets(file):
            size = 0 if dataset.shape is None else math.prod(dataset.shape)
            declared += size * dataset.dtype.itemsize
            if _OPTIMIZER not in dataset.name.split("/"):
                count, arrays = count + size, arrays + 1
    if declared > os.path.getsize(path):
        raise _Refused(
            f"it declares {declared:,} bytes of weights and has {os.path.getsize(path):,}; "
            "compressed weights are not read"
        )
    return count, arrays


class _Refused(Exception):
    """The reason why a weights file is not read."""


def _datasets(file: Any) -> Iterator[Any]:
    """Yield every array of a file, each once, without reading any."""
    import h5py

    groups, seen = [file], {_address(file)}
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _Refused(f"{group.name}/{name} is a link to another place")
            item = group[name]
            # An object with two names can make a small file look endless.
            if _address(item) in seen:
                raise _Refused(f"{group.name}/{name} is a second name of another part")
            seen.add(_address(item))
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise _Refused(f"{item.name} keeps its data in another file")
                if item.dtype.kind in "OV" and not _is_bfloat16(item):
                    raise _Refused(f"{item.name} holds {item.dtype} values, not numbers")
                # A chunk is allocated whole, however little of it the array needs.
                if item.chunks is not None:
                    raise _Refused(f"{item.name} is compressed or in chunks, which are not read")
                yield item


def _address(item: Any) -> int:
    import h5py

    return h5py.h5o.get_info(item.id).addr


def _is_bfloat16(dataset: Any) -> bool:
    """Return whether Keras wrote it from bfloat16, which HDF5 keeps as two plain bytes."""
    plain = dataset.dtype.names is None and dataset.dtype.itemsize == 2
    return plain and dataset.attrs.get("dtype") == "bfloat16"


def file_sha256(path: StrPath) -> str:
    """Return the SHA-256 of a file's content in hexadecimal digits.

    Args:
        path: Path of the file.

    Example:

    >>> file_sha256(os.devnull)[:16]
    'e3b0c44298fc1c14'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_weights(model: "keras.Model", path: StrPath, half_precision: bool = False) -> None:
    """Save a model's weights alone, not what training added: its optimizer and metrics.

    Args:
        model: A built Keras model.
        path: Path of the file, which ends in `.safetensors`, or in `.weights.h5` for Keras's HDF5
            form; an earlier file is replaced.
        half_precision: Whether float32 weights are stored in 16 bits. Loading rounds nothing more.

    Raises:
        ImportError: If safetensors is asked for, and the library safetensors is missing.
        OSError: If the file cannot be written; it is named, and an earlier one stays.

    Example:

    >>> import pathlib, tempfile
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.weights.h5")
    ...     save_weights(model, path)
    ...     check_weights_file(path).load(model)
    """
    # On a full disk, HDF5 keeps the file open and fails a second time when it closes it.
    reserve(path, sum(math.prod(v.shape) * _bits(v.dtype) // 8 for v in model.weights))
    if is_safetensors(path):
        write_safetensors(model, path, half_precision)
        return
    nothing = dict.fromkeys(_of_training(model), lambda store: None)
    with (
        written_beside(path, ending=".weights.h5") as beside,
        _replaced_methods(nothing, "save_own_variables"),
    ):
        try:
            model.save_weights(os.fspath(beside), overwrite=True)
        except RuntimeError as error:  # what HDF5 finds while it closes the file
            if "errno = " not in str(error):
                raise
            raise OSError(str(error)) from error
        quantized = any(layer.quantization_mode is not None for layer in model._flatten_layers())
        if half_precision or quantized:
            _pack(beside, half_precision)


def _pack(path: pathlib.Path, half_precision: bool) -> None:
    """Write an HDF5 file again with the short headers that HDF5 has had since version 1.8.

    The old ones take 200 kB in a network of 300,000 weights: too much beside small weights.
    """
    import h5py

    def copy(source: Any, target: Any) -> None:
        target.attrs.update(source.attrs)
        for name, item in source.items():
            if isinstance(item, h5py.Group):
                copy(item, target.create_group(name))
            else:
                array = halved(item[()], item.name) if half_precision else item[()]
                target.create_dataset(name, data=array).attrs.update(item.attrs)

    with (
        written_beside(path, ending=".h5") as packed,
        h5py.File(path, "r") as source,
        h5py.File(packed, "w", libver="latest") as target,
    ):
        copy(source, target)


def _of_training(model: "keras.Model") -> Iterator[Any]:
    """Yield the optimizers and metrics that a model and the models in it hold, each once."""
    import keras

    kinds = keras.optimizers.Optimizer, keras.metrics.Metric
    ahead, seen = [model, *model._flatten_layers(include_self=False)], set()
    while ahead:
        held = [*vars(ahead.pop()).values()]
        for value in held:
            if not isinstance(value, (list, tuple, dict, *kinds)) or id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, kinds):
                ahead.append(value)
                yield value
            else:
                held.extend(value.values() if isinstance(value, dict) else value)


def _bits(dtype: Any) -> int:
    import keras

    return int("".join(filter(str.isdecimal, keras.backend.standardize_dtype(dtype))) or 8)


def layer_model(layer: "keras.layers.Layer") -> "keras.Model":
    """Return a model of one layer alone, to keep its weights in a file of their own.

    Args:
        layer: A layer of a functional model.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(3, name="head")(inputs))
    >>> layer_model(model.get_layer("head")).count_params()
    9
    """
    import keras

    return keras.Model(layer.input, layer.output, name=f"{layer.name}_alone")
