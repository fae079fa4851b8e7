"""Low-rank adapters (LoRA): fine-tuning a few small matrices beside frozen weights.

Keras's layers hold the adapters; here they are put into a network, written to a file and read.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.layers.adaptable import AdaptableLayer, merge_adapter
from keras_mlp3d.models.dtype_policies import quantized_layers
from keras_mlp3d.models.transfer import walk_layers

#: Layers that take adapters if nothing else is asked for, by the ends of their paths.
DEFAULT_TARGETS = ("mix_time", "mix_width", "mix_height", "token_mixing/projection", "channel_mlp")


def enable_lora(
    model: keras.Model, rank: int, targets: str | Sequence[str] | None, heads: Sequence[Any]
) -> None:
    """Freeze all weights of a network except its heads, and add trainable adapters.

    Args:
        model: A built network.
        rank: Rank of each adapter.
        targets: None, or parts of paths of the layers that take one.
        heads: Layers that are trained whole.

    Raises:
        ValueError: If an argument is wrong, or the network has adapters or is quantized.
    """
    check_integer("rank", rank)
    if targets is None:
        targets = DEFAULT_TARGETS
    elif isinstance(targets, str):
        targets = (targets,)
    if adapted_layers(model):
        raise ValueError(
            f"{model.name} has LoRA adapters already. Call merge_lora() first, or load the "
            "network again."
        )
    if quantized_layers(model):
        raise ValueError(
            f"{model.name} is quantized; LoRA needs float weights. Adapt the network first, then "
            "call merge_lora() and quantize()."
        )
    _enable(model, rank, _find(model, targets, heads), heads)


def _find(
    model: keras.Model, targets: Sequence[str], heads: Sequence[Any]
) -> list[keras.layers.Layer]:
    """Return the layers that match one of the targets."""
    able = {path: layer for path, layer in _adaptable(model) if layer not in heads}
    found: dict[str, keras.layers.Layer] = {}
    for target in targets:
        if not isinstance(target, str) or not target.strip("/"):
            raise ValueError(f"targets must be parts of paths of layers, got {target!r}.")
        matches = {
            path: layer for path, layer in able.items() if f"/{target.strip('/')}/" in f"/{path}/"
        }
        if not matches:
            names = sorted({part for path in able for part in path.split("/")[1:]})
            raise ValueError(
                f"targets: no layer of {model.name} that takes an adapter has {target!r} in its "
                f"path; names in the paths: {', '.join(names)}."
            )
        found |= matches
    return list(found.values())


def _enable(model: keras.Model, rank: int, chosen: Sequence[Any], heads: Sequence[Any]) -> None:
    kept = {id(layer) for layer in (*chosen, *heads)}
    for layer in walk_layers(model):
        # A frozen layer would hide the adapters of the layers inside it.
        layer._trainable = bool(layer._layers) or id(layer) in kept
        for weight in layer._trainable_variables:
            weight.trainable = id(layer) in kept
    for layer in chosen:
        for weight in layer._trainable_variables:
            weight.trainable = False
        layer.enable_lora(rank)
    model.train_function = None


def adapted_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return {path: layer} of the layers of a network that have an adapter."""
    return {path: layer for path, layer in _adaptable(model) if layer.lora_enabled}


def _adaptable(
    layer: keras.layers.Layer, path: str = "network"
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yield (path, layer) of every layer that can have an adapter.

    Networks inside a network are numbered: their names may differ from one session to the next.
    """
    if isinstance(layer, keras.layers.Dense | AdaptableLayer):
        yield path, layer
    networks = [part for part in layer._layers if isinstance(part, keras.Model)]
    for part in layer._layers:
        name = str(networks.index(part)) if part in networks else part.name
        yield from _adaptable(part, f"{path}/{name}")


def merge_lora(model: keras.Model) -> None:
    """Add each adapter to the weight that it adapts, and remove it."""
    for layer in adapted_layers(model).values():
        merge_adapter(layer)
    # Not `model.trainable = True`: on TensorFlow that does nothing if the model says True already.
    for layer in walk_layers(model):
        layer._trainable = True
        for weight in layer._trainable_variables:
            weight.trainable = True
    model.train_function = model.test_function = model.predict_function = None


def adapter_state(model: keras.Model) -> dict[str, Any] | None:
    """Return {path: rank} of the layers with an adapter, or None if there are none."""
    return {path: layer.lora_rank for path, layer in adapted_layers(model).items()} or None


def restore_adapters(model: keras.Model, ranks: Mapping[str, int]) -> None:
    """Add adapters to the layers that `adapter_state` found; they change nothing yet."""
    known = dict(_adaptable(model))
    for path, rank in ranks.items():
        known[path].enable_lora(rank)


def save_adapters(model: keras.Model, path: StrPath, heads: Sequence[Any]) -> None:
    """Write the adapters of a network, and its heads, to a file.

    Args:
        model: Network with adapters.
        path: Path of the file, which ends in ".lora.h5".
        heads: Layers that are trained whole.

    Raises:
        ValueError: If the network has no adapters, or the path another ending.
        OSError: If the file cannot be written; an earlier one stays.
    """
    layers = adapted_layers(model)
    if not layers:
        raise ValueError(f"{model.name} has no LoRA adapters to save: call enable_lora first.")
    arrays = {
        name: ops.convert_to_numpy(ops.cast(variable, "float32"))
        for name, variable in _arrays(layers, heads).items()
    }
    hub.write_adapters(path, arrays, {"network": type(model).__name__, "rank": _rank(layers)})


def load_adapters(model: keras.Model, path: StrPath, heads: Sequence[Any]) -> None:
    """Load what `save_adapters` wrote; a network without adapters gets them.

    Args:
        model: Network of the same sizes and number of classes.
        path: Path of the file.
        heads: Layers that are trained whole.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or of another network or rank. The network is then as
            it was.
    """
    stored, header = hub.read_adapters(path)
    rank = header.get("rank")
    try:
        check_integer("rank", rank)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} holds no LoRA adapters: {error}") from error
    known = dict(_adaptable(model))
    asked = {name.rpartition("/")[0] for name in stored if name.endswith("/lora_kernel_a")}
    unknown = sorted(asked - known.keys())
    if unknown or not asked:
        raise _of_another(path, model, f"it holds an adapter of {unknown[:1] or 'no layer'}")
    layers = adapted_layers(model)
    if layers and _rank(layers) != rank:
        raise ValueError(
            f"{os.fspath(path)!r} holds adapters of rank {rank}, {model.name} has some of rank "
            f"{_rank(layers)}."
        )
    if layers and layers.keys() != asked:
        raise _of_another(path, model, "its adapters are of other layers")
    chosen = [known[name] for name in sorted(asked)]
    wanted = _shapes({name: known[name] for name in asked}, rank, heads)
    if {name: array.shape for name, array in stored.items()} != wanted:
        differing = sorted(
            name
            for name in stored.keys() | wanted.keys()
            if name not in stored or stored[name].shape != wanted.get(name)
        )
        raise _of_another(path, model, f"{differing[0]} has another shape or is missing")
    if not layers:
        if quantized_layers(model):
            raise ValueError(f"{model.name} is quantized; LoRA needs float weights.")
        _enable(model, rank, chosen, heads)
    for name, variable in _arrays(adapted_layers(model), heads).items():
        variable.assign(stored[name])


def _rank(layers: Mapping[str, Any]) -> int:
    return next(iter(layers.values())).lora_rank


def _arrays(layers: Mapping[str, Any], heads: Sequence[Any]) -> dict[str, keras.Variable]:
    """Return {name in the file: variable}."""
    arrays = {
        f"{path}/{name}": getattr(layer, name)
        for path, layer in layers.items()
        for name in ("lora_kernel_a", "lora_kernel_b")
    }
    for number, head in enumerate(heads):
        arrays[f"heads/{number}/kernel"] = head.kernel
        if head.bias is not None:
            arrays[f"heads/{number}/bias"] = head.bias
    return arrays


def _shapes(
    layers: Mapping[str, Any], rank: int, heads: Sequence[Any]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes that `_arrays` has for adapters of this rank."""
    shapes = {name: tuple(variable.shape) for name, variable in _arrays({}, heads).items()}
    for path, layer in layers.items():
        *inner, filters = layer.kernel.shape
        shapes[f"{path}/lora_kernel_a"] = (*inner, rank)
        shapes[f"{path}/lora_kernel_b"] = (rank, filters)
    return shapes


def _of_another(path: StrPath, model: keras.Model, reason: str) -> ValueError:
    return ValueError(
        f"The adapters in {os.fspath(path)!r} are not of this network ({model.name}): "
        f"{printable(reason)}."
    )
