"""The dtype policies of a network's layers: what a constructor takes, and what is stored.

A network has one policy. Layers that were quantized have others: a `keras.DTypePolicyMap` stores
them by the layers' paths, and builds the layers as they were.
"""

import re
from collections.abc import Mapping
from typing import Any

import keras

from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import DType
from keras_mlp3d.layers.adaptable import storable_policy
from keras_mlp3d.models.transfer import walk_layers

# A key of a map is used as a regular expression: any other character could make it a slow one.
_PATH = re.compile(r"[A-Za-z0-9_/]+")


def network_policy(dtype: DType) -> keras.DTypePolicy:
    """Return the policy, or map of policies, that a network's constructor was given.

    Args:
        dtype: None for Keras's global policy, a name, a policy, a `keras.DTypePolicyMap`, or what
            `stored_policies` returned, which may come from a hostile file.

    Raises:
        ValueError: If it is no policy, or quantizes every layer.

    Example:

    >>> network_policy("mixed_bfloat16").compute_dtype
    'bfloat16'
    """
    if isinstance(dtype, keras.dtype_policies.DTypePolicyMap):  # which is a mapping itself
        entries = {path: layer_policy(dtype[path]) for path in dtype}
        policy = keras.dtype_policies.DTypePolicyMap(dtype.default_policy, entries)
    elif isinstance(dtype, Mapping):
        policy = _stored_map(dtype)
    else:
        policy = keras.dtype_policies.get(dtype)
    if policy.quantization_mode is not None:
        raise ValueError(
            f"dtype {printable(str(policy.name))!r} would quantize every layer. Make the network "
            f"in a float dtype and call quantize({policy.quantization_mode!r})."
        )
    return policy


def layer_policy(name: Any) -> keras.DTypePolicy | None:
    """Return the policy of one layer, which may be quantized, or None for None.

    Args:
        name: None, a policy, or the name of one, which may come from a hostile file.

    Raises:
        ValueError: If it is no policy.

    Example:

    >>> layer_policy("int8_from_float32").quantization_mode
    'int8'
    """
    if name is None or isinstance(name, keras.DTypePolicy):
        return name
    if not isinstance(name, str):
        raise ValueError(f"A dtype policy must be named, got {printable(repr(name))[:200]}.")
    return keras.dtype_policies.get(name)


def settle_policies(model: keras.Model, policy: keras.DTypePolicy) -> None:
    """Give each layer of a new network its own entry of the map that they all were made with."""
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        for layer in walk_layers(model):
            if layer._dtype_policy is policy:
                layer._dtype_policy = policy[layer.path] if layer.path else policy.default_policy
        policy = policy.default_policy
    model.dtype_policy = policy


def stored_policies(model: keras.Model) -> Any:
    """Return the policy of a network as its constructor takes it and JSON can hold it.

    Args:
        model: Network that `settle_policies` was called with.

    Returns:
        The name of the policy; if layers have others, {"default_policy": name, "policy_map":
        {path of a layer: name}}, the arguments of a `DTypePolicyMap`.

    Raises:
        ValueError: If a layer is quantized in a form that cannot be stored.

    Example:

    >>> backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "shift_token:2", dtype="bfloat16")
    >>> stored_policies(backbone)
    'bfloat16'
    """
    others = {
        layer.path: storable_policy(layer).name
        for layer in walk_layers(model)
        if layer is not model and _differs(layer, model.dtype_policy)
    }
    default = model.dtype_policy.name
    return {"default_policy": default, "policy_map": others} if others else default


def without_policy(dtype: Any, path: str) -> Any:
    """Return what `stored_policies` returned without the entry of one layer."""
    if not isinstance(dtype, Mapping):
        return dtype
    entries = {key: name for key, name in dtype["policy_map"].items() if key != path}
    return {**dtype, "policy_map": entries}


def quantized_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the quantized layers of a network."""
    return [layer for layer in walk_layers(model) if layer.quantization_mode is not None]


def stored_modes(dtype: Any) -> list[str]:
    """Return the quantization modes in what `stored_policies` returned, sorted.

    Raises:
        ValueError: If it is no policy.
    """
    policy = network_policy(dtype) if isinstance(dtype, Mapping) else None
    if not isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return []
    modes = {policy[path].quantization_mode for path in policy}
    return sorted(mode for mode in modes if mode is not None)


def _differs(layer: keras.layers.Layer, default: keras.DTypePolicy) -> bool:
    """Return whether a layer's policy is not its network's; that of a head is float32 always.

    Layers without weights count too: a layer casts its inputs. Those without a path have none.
    """
    if layer.quantization_mode is not None:
        return True
    return bool(layer.path) and layer.name != "head" and layer.dtype_policy.name != default.name


def _stored_map(stored: Mapping[str, Any]) -> keras.DTypePolicy:
    entries = stored.get("policy_map")
    if not isinstance(entries, Mapping):
        raise ValueError("dtype must be a name, or hold a default_policy and a policy_map.")
    for path in entries:
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise ValueError(f"dtype has {printable(repr(path))[:200]} for a layer's path.")
    for name in (*entries.values(), stored.get("default_policy")):
        if not isinstance(name, str | None):
            layer_policy(name)  # says what is wrong
    known = {name: layer_policy(name) for name in {*entries.values()}}
    return _LiteralMap(
        layer_policy(stored.get("default_policy")),
        {path: known[name] for path, name in entries.items()},
    )


class _LiteralMap(keras.dtype_policies.DTypePolicyMap):
    """A map whose keys are paths alone: Keras matches each layer with all as expressions."""

    def __getitem__(self, key: str) -> keras.DTypePolicy:
        return self._policy_map.get(key, self.default_policy)
