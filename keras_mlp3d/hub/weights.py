"""Reading weights from a file that may be damaged, foreign or hostile."""

import os
import warnings

import keras

from keras_mlp3d._utils.atomic_write import reserve, written_beside
from keras_mlp3d.hub.files import file_sha256

MAX_HDF5_OBJECTS = 200_000


def check_weights_file(path, max_bytes, sha256=None):
    """Refuses an HDF5 file that is damaged, points outside itself, or declares too much data.

    Args:
        path: Path of the file.
        max_bytes: Most bytes that its arrays may hold together.
        sha256: None, or the SHA-256 that the file must have, in hexadecimal digits.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file must not be read; the message names it and says why.
    """
    import h5py

    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Weights file {path!r} does not exist.")
    if sha256 is not None and file_sha256(path) != sha256:
        raise ValueError(
            f"Weights file {path!r} is damaged: its SHA-256 is not the one in the preset's "
            f"metadata, {sha256}. Get the file again."
        )
    total = count = 0

    def inspect(group):
        nonlocal total, count
        for name in group:
            count += 1
            if count > MAX_HDF5_OBJECTS:
                raise ValueError(f"Weights file {path!r} holds more than {MAX_HDF5_OBJECTS} parts.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(
                    f"Weights file {path!r} is refused: {group.name}/{name} is a link to another "
                    "place."
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                inspect(item)
                continue
            if not isinstance(item, h5py.Dataset):
                continue
            if item.external or item.is_virtual:
                raise ValueError(
                    f"Weights file {path!r} is refused: {item.name} keeps its data in another file."
                )
            if item.dtype.kind in "OV":
                raise ValueError(
                    f"Weights file {path!r} is refused: {item.name} holds {item.dtype} values, "
                    "not numbers."
                )
            total += (item.size or 0) * item.dtype.itemsize
            if total > max_bytes:
                raise ValueError(
                    f"Weights file {path!r} is refused: it declares over {total:,} bytes of "
                    f"weights, the network has room for {max_bytes:,}."
                )

    try:
        with h5py.File(path, "r") as file:
            inspect(file)
    except (OSError, RuntimeError, KeyError, RecursionError) as error:
        raise ValueError(f"Weights file {path!r} is damaged or no HDF5 file: {error}.") from error


def load_weights(model, path, sha256=None):
    """Loads weights into a model, every one of them, or raises one clear error.

    Args:
        model: A built Keras model.
        path: Path of a `.weights.h5` file.
        sha256: None, or the SHA-256 that the file must have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, hostile, or of another network.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    >>> load_weights(model, "absent.weights.h5")
    Traceback (most recent call last):
    ...
    FileNotFoundError: Weights file 'absent.weights.h5' does not exist.
    """
    size = sum(8 * _size(variable.shape) for variable in model.variables)
    check_weights_file(path, size + 2**20, sha256)
    try:
        with warnings.catch_warnings():
            # Keras warns of what it then raises an error for.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"The weights in {os.fspath(path)!r} are not of this network ({model.name}): {reason}"
        ) from error


def _size(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def _bits(dtype):
    return int("".join(filter(str.isdecimal, keras.backend.standardize_dtype(dtype))) or 8)


def save_weights(model, path):
    """Saves a model's weights in Keras's HDF5 form.

    Args:
        model: A built Keras model.
        path: Path of the file, which ends in `.weights.h5`; an earlier one is replaced.

    Raises:
        OSError: If the file cannot be written; it is named, and an earlier one stays.

    Example:

    >>> import pathlib, tempfile
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.weights.h5")
    ...     save_weights(model, path)
    ...     load_weights(model, path)
    """
    # HDF5 does not end well on a full disk: it holds the file open, and complains once more later.
    reserve(path, sum(_size(v.shape) * _bits(v.dtype) // 8 for v in model.weights))
    with written_beside(path, ending=".weights.h5") as beside:
        try:
            model.save_weights(os.fspath(beside), overwrite=True)
        except RuntimeError as error:  # what HDF5 finds while it closes the file
            if "errno = " not in str(error):
                raise
            raise OSError(str(error)) from error


def layer_model(layer):
    """Returns a model of one layer alone, to keep its weights in a file of their own.

    Args:
        layer: A layer of a functional model.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(3, name="head")(inputs))
    >>> layer_model(model.get_layer("head")).count_params()
    9
    """
    return keras.Model(layer.input, layer.output, name=f"{layer.name}_alone")
