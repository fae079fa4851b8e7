"""The weights of a model by stable names, as one checksum, and rounded to 16 bits.

A name is the path of attributes from the model to the variable, such as
"stage1_block1/token_mixing/mix_time/kernel". It does not depend on the names that Keras invents.
Each layer decides what is stored, by the same `save_own_variables` and `load_own_variables` by
which Keras keeps it in HDF5. So that form and safetensors hold the same arrays.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def named_weights(
    model: "keras.Model",
) -> "Iterator[tuple[keras.layers.Layer, dict[str, tuple[str, Any]]]]":
    """Yield each layer that stores anything, with what it stores.

    Args:
        model: A built model.

    Returns:
        Iterator over (layer, {key in the layer's own store: (name, variable or array)}). Names
        are unique. What a layer computes for its store, such as a kernel with its adapters
        merged, is named like the first variable of its shape that is not stored itself.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, name="head")(inputs))
    >>> [name for _, stored in named_weights(model) for name, _ in stored.values()]
    ['head/kernel', 'head/bias']
    """
    ahead: list[tuple[str, Any]] = [("", model)]
    seen, used = {id(model)}, set()
    while ahead:
        path, layer = ahead.pop()
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        stored = {}
        for key, own in _own_names(layer, store).items():
            name = f"{path}{own}" if f"{path}{own}" not in used else f"{path}{own}.{key}"
            used.add(name)
            stored[key] = (name, store[key])
        if stored:
            yield layer, stored
        inner = [(f"{path}{name}/", child) for name, child in _children(layer)]
        inner = [(name, child) for name, child in inner if id(child) not in seen]
        seen.update(id(child) for _, child in inner)
        ahead.extend(reversed(inner))


def _own_names(layer: "keras.layers.Layer", store: Mapping[str, Any]) -> dict[str, str]:
    import keras

    variables = {id(value): value for value in store.values() if isinstance(value, keras.Variable)}
    others = [variable for variable in layer.variables if id(variable) not in variables]
    names = {}
    for key, value in store.items():
        variable = value if isinstance(value, keras.Variable) else None
        if variable is None:
            same = [v for v in others if tuple(v.shape) == tuple(np.shape(value))]
            variable = next(iter(same), None)
            others = [other for other in others if other is not variable]
        names[key] = key if variable is None else variable.name.replace("/", ".")
    return names


def _children(layer: "keras.layers.Layer") -> "Iterator[tuple[str, keras.layers.Layer]]":
    """Yield (name, layer) of the layers directly in a layer; no name comes twice."""
    import keras

    # On PyTorch, a layer is a module, which keeps the layers in it in a dict of their own.
    held = {**vars(layer), **vars(layer).get("_modules", {})}
    attributes = {
        id(value): name
        for name, value in sorted(held.items(), reverse=True)
        if isinstance(value, keras.layers.Layer) and not name.startswith("_")
    }
    used: dict[str, int] = {}
    for child in layer._layers:
        name = attributes.get(id(child), child.name).replace("/", ".")
        used[name] = used.get(name, 0) + 1
        yield name if used[name] == 1 else f"{name}.{used[name]}", child


def stored_array(value: Any) -> np.ndarray:
    """Return a variable or an array as an array of its own dtype, in one piece.

    Args:
        value: What `named_weights` yields.

    Example:

    >>> stored_array(np.array([1.0], "float16")).dtype.name
    'float16'
    """
    import keras

    dtype = numpy_dtype(keras.backend.standardize_dtype(value.dtype))
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return np.asarray(array if array.dtype == dtype else array.astype(dtype), order="C")


def numpy_dtype(name: str) -> np.dtype:
    """Return NumPy's dtype of a name of Keras.

    Args:
        name: Name such as "bfloat16".

    Example:

    >>> numpy_dtype("bfloat16").itemsize
    2
    """
    import ml_dtypes  # a requirement of Keras

    return np.dtype(getattr(ml_dtypes, name, name))


def halved(array: np.ndarray, name: str) -> np.ndarray:
    """Return float32 numbers in 16 bits, and anything else as it is.

    Args:
        array: Any array.
        name: Its name in errors.

    Raises:
        ValueError: If a number is too large for 16 bits.

    Example:

    >>> halved(np.array([1 / 3], "float32"), "bias")
    array([0.3333], dtype=float16)
    """
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if np.isinf(half).any() and np.isfinite(array).all():
        raise ValueError(
            f"{name} has numbers above {np.finfo(np.float16).max:.0f}, which 16 bits do not hold: "
            "save with half_precision=False."
        )
    return half


def weights_sha256(parts: "Mapping[str, keras.Model]", half_precision: bool = False) -> str:
    """Return one SHA-256 of weights: of each name, dtype, shape and content.

    It is the same on every backend and in every file format.

    Args:
        parts: {name of the part: built model}.
        half_precision: Whether it is that of the weights as `halved` rounds them.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, name="a")(inputs))
    >>> before = weights_sha256({"part": model})
    >>> _ = model.get_layer("a").bias.assign([3.0])
    >>> before == weights_sha256({"part": model})
    False
    """
    total = hashlib.sha256()
    for part, model in sorted(parts.items()):
        values = [item for _, stored in named_weights(model) for item in stored.values()]
        for name, value in sorted(values, key=lambda item: item[0]):
            array = stored_array(value)
            if half_precision:
                array = halved(array, name).astype(array.dtype)
            head = json.dumps([part, name, array.dtype.name, array.shape])
            total.update(head.encode() + b"\n")
            total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
