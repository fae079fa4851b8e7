"""Layers made of other layers: how they call, check, freeze and describe their parts."""

from typing import Any

import keras
from keras.dtype_policies import DTypePolicyMap
from keras.src.backend.common.variables import AutocastScope, get_autocast_scope

from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.adaptable import storable_policy


class CompositeLayer(keras.layers.Layer):
    """Base of layers that are made of other layers.

    A subclass calls `settle_parts` where its `build` ends. Its configuration holds the dtype
    policies of parts that were quantized, so that a layer which Keras stores alone, as those of a
    functional model on the tensors of a network, comes back as it was.
    """

    def settle_parts(self) -> None:
        """Give the parts that `build` made their own policies, and freeze them if `self` is frozen.

        A layer that is loaded may be frozen, or have a `keras.DTypePolicyMap` for all its parts.
        """
        if isinstance(self._dtype_policy, DTypePolicyMap):
            policies = self._dtype_policy
            for part in self._flatten_layers():
                if part._dtype_policy is policies:
                    own = policies[part.path] if part.path else policies.default_policy
                    part._dtype_policy = own
        _freeze_parts(self)

    def get_config(self) -> dict[str, Any]:
        config, own = super().get_config(), self.dtype_policy
        others = {
            part.path: storable_policy(part)
            for part in self._flatten_layers(include_self=False)
            if part.built and part.path and part.dtype_policy.name != own.name
        }
        if others:
            config["dtype"] = keras.dtype_policies.serialize(DTypePolicyMap(own, others))
        return config


def _freeze_parts(layer: keras.layers.Layer) -> None:
    if not layer.trainable:
        layer.trainable = False  # reaches the parts that there are


def call_sublayer(layer: keras.layers.Layer, inputs: Tensor) -> Tensor:
    """Return `layer(inputs)` in the dtype of the inputs, whatever the policy of the layer.

    Eagerly on PyTorch, Keras's checks around one call take longer than many a small product. The
    calling layer has passed them, so its parts are entered behind them, unless Keras or PyTorch
    has more to do: another dtype policy, a quantized layer, a `training` argument, a hook.

    Args:
        layer: Built layer that has no losses.
        inputs: Tensor of the compute dtype of the calling layer.
    """
    if (
        _torch.is_eager()
        and layer.quantization_mode is None
        and not layer._call_has_training_arg
        and not _torch.has_hooks(layer)
        and layer.compute_dtype == str(inputs.dtype).removeprefix("torch.")
    ):
        # As Keras does: within a layer of a mixed policy, weights are cast where they are read,
        # except those of a layer that wants them as they are.
        cast = get_autocast_scope()
        if layer.compute_dtype == (layer.variable_dtype if cast is None else cast.dtype):
            if cast is None or layer.autocast:
                return layer.call(inputs)
            with AutocastScope(None):
                return layer.call(inputs)
    outputs, dtype = layer(inputs), keras.backend.standardize_dtype(inputs.dtype)
    return outputs if layer.compute_dtype == dtype else keras.ops.cast(outputs, dtype)


def check_tokens(
    layer: keras.layers.Layer, shape: Shape, what: str = "tokens (B, T, H, W, C)"
) -> None:
    """Raise ValueError unless the shape is of rank 5 with a known number of channels."""
    if len(shape) != 5 or shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} expects {what} with a known number of channels, "
            f"got shape {tuple(shape)}."
        )
