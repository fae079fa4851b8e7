"""Layers with a kernel of their own that Keras can quantize to int8 and adapt by LoRA.

`keras.layers.Dense` can do both by itself. `AdaptableLayer` gives the same two abilities, with
Keras's names, to a kernel of any rank.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import Tensor

#: Modes of `keras.Model.quantize` that a layer can be stored in.
MODES = ("int8", "int4", "float8")


class AdaptableLayer(keras.layers.Layer):
    """Base of layers with one kernel (..., C, filters) and perhaps a bias.

    A subclass calls `add_kernel` in `build`, sets `bias`, and reads `kernel` in `call`.

    Attributes:
        kernel: The variable; after `quantize` or `enable_lora`, the tensor that it stands for.
        bias: Variable, or None.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias = None
        self.lora_enabled = False
        self.lora_rank: int | None = None
        self.lora_alpha: float | None = None

    def add_kernel(self, shape: tuple[int, ...], initializer: Any) -> None:
        """Create the kernel: as int8 and a scale per filter under a dtype policy of int8."""
        if self.quantization_mode == "int8":
            self._add_int8_kernel(shape)
        else:
            self._kernel = self.add_weight(name="kernel", shape=shape, initializer=initializer)

    def _add_int8_kernel(self, shape: tuple[int, ...]) -> None:
        self._kernel = self.add_weight(
            name="kernel", shape=shape, initializer="zeros", dtype="int8", trainable=False
        )
        self.kernel_scale = self.add_weight(
            name="kernel_scale", shape=shape[-1:], initializer="ones", trainable=False
        )
        self._is_quantized = True

    @property
    def kernel(self) -> Any:
        """The kernel: a variable, or the tensor that int8 values or LoRA adapters stand for."""
        kernel = self._kernel
        if self.quantization_mode == "int8":
            kernel = ops.cast(kernel, self.compute_dtype)
            kernel = kernel / ops.cast(self.kernel_scale, self.compute_dtype)
        if self.lora_enabled:
            change = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
            kernel = kernel + self.lora_alpha / self.lora_rank * change
            kernel = ops.cast(kernel, self.compute_dtype)
        return kernel

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Replace the kernel by int8 values and one scale per filter.

        Products are still computed in the compute dtype, from `kernel`.

        Args:
            mode: "int8"; other modes of Keras leave the layer as it is.
            type_check: Not used.
            config: Not used: a kernel has one way to be int8.

        Raises:
            NotImplementedError: For another mode; `Model.quantize` turns it into a warning.
        """
        if mode != "int8":
            raise NotImplementedError(
                f"{type(self).__name__} {self.name!r} has no quantization to {mode}; its kernel "
                "stays as it is."
            )
        axes = tuple(range(len(self._kernel.shape) - 1))
        values, scale = keras.quantizers.abs_max_quantize(self._kernel, axis=axes, to_numpy=True)
        shape = tuple(self._kernel.shape)
        self._tracker.unlock()
        del self._kernel
        self._add_int8_kernel(shape)
        self._tracker.lock()
        self._kernel.assign(values)
        self.kernel_scale.assign(ops.reshape(scale, (-1,)))
        source = keras.dtype_policies.get(self._dtype_policy)
        self.dtype_policy = keras.dtype_policies.get(f"int8_from_{source.name}")

    def _int8_call(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.call(*args, **kwargs)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the kernel and add a trainable product of two small matrices to it.

        Args:
            rank: Columns of the first matrix and rows of the second.
            lora_alpha: The product is multiplied by `lora_alpha / rank`; None for `rank`.
            a_initializer: Initializer of the first matrix, (..., C, rank).
            b_initializer: Initializer of the second matrix, (rank, filters).

        Raises:
            ValueError: If `rank` is no positive integer, or the layer is not built, is quantized
                or has LoRA already.
        """
        check_integer("rank", rank)
        if not self.built:
            raise ValueError(f"LoRA needs a built layer; {self.name!r} is not built yet.")
        if self.lora_enabled:
            raise ValueError(f"{self.name!r} has LoRA already, of rank {self.lora_rank}.")
        if self.quantization_mode is not None:
            raise ValueError(f"{self.name!r} is quantized; LoRA needs a float kernel.")
        *inner, filters = self._kernel.shape
        self._tracker.unlock()
        # float32 under every policy, as in Keras: training steps are small.
        self.lora_kernel_a = self.add_weight(
            name="lora_kernel_a",
            shape=(*inner, rank),
            initializer=keras.initializers.get(a_initializer),
            dtype="float32",
        )
        self.lora_kernel_b = self.add_weight(
            name="lora_kernel_b",
            shape=(rank, filters),
            initializer=keras.initializers.get(b_initializer),
            dtype="float32",
        )
        self._tracker.lock()
        self._kernel.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Store the weights; LoRA adapters are merged into the kernel, as Keras does."""
        if not self.built:
            return
        kernel = merged_kernel(self) if self.lora_enabled else self._kernel
        for index, value in enumerate([kernel, *self._stored_beside_kernel()]):
            store[str(index)] = value

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load the weights; LoRA adapters begin again, as they are merged into the kernel."""
        if not self.built:
            return
        variables = [self._kernel, *self._stored_beside_kernel()]
        if len(store.keys()) != len(variables):
            raise ValueError(
                f"Layer {self.name!r} has {len(variables)} variables, the file holds "
                f"{len(store.keys())} for it."
            )
        for index, variable in enumerate(variables):
            variable.assign(store[str(index)])
        if self.lora_enabled:
            restart_adapter(self)

    def _stored_beside_kernel(self) -> list[keras.Variable]:
        """Return the layer's other variables without LoRA adapters: the bias first."""
        apart = {id(self._kernel)}
        if self.lora_enabled:
            apart |= {id(self.lora_kernel_a), id(self.lora_kernel_b)}
        own = [*self._trainable_variables, *self._non_trainable_variables]
        return [variable for variable in own if id(variable) not in apart]


def merged_kernel(layer: Any) -> Tensor:
    """Return the kernel of a layer with its LoRA adapter added, in the kernel's own precision.

    `kernel` has that of the computation, which may be 16 bits.

    Args:
        layer: An `AdaptableLayer` or `keras.layers.Dense` with an adapter.
    """
    kernel, change = layer._kernel, ops.matmul(layer.lora_kernel_a, layer.lora_kernel_b)
    merged = ops.cast(kernel, "float32") + layer.lora_alpha / layer.lora_rank * change
    return ops.cast(merged, kernel.dtype)


def restart_adapter(layer: Any) -> None:
    """Make the LoRA adapter of a layer what it was at first, when it added nothing.

    The second matrix alone is zero: with two, neither would ever have a gradient.

    Args:
        layer: An `AdaptableLayer` or `keras.layers.Dense` with an adapter.
    """
    first = layer.lora_kernel_a
    first.assign(keras.initializers.HeUniform()(first.shape, dtype=first.dtype))
    layer.lora_kernel_b.assign(ops.zeros(layer.lora_kernel_b.shape))


def merge_adapter(layer: Any) -> None:
    """Add the LoRA adapter of a layer to its kernel and remove it.

    Args:
        layer: An `AdaptableLayer` or `keras.layers.Dense` with an adapter.
    """
    merged = ops.convert_to_numpy(ops.cast(merged_kernel(layer), "float32"))
    for name in ("lora_kernel_a", "lora_kernel_b"):
        layer._untrack_variable(getattr(layer, name))
        vars(layer).pop(name, None)
    layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None
    layer._kernel.assign(merged)


def storable_policy(layer: keras.layers.Layer) -> keras.DTypePolicy:
    """Return the policy of a layer.

    Raises:
        ValueError: If the layer is quantized in a form that cannot be stored.
    """
    mode = layer.quantization_mode
    if mode is not None and mode not in MODES:
        raise ValueError(
            f"{layer.path} is quantized to {mode}, which cannot be stored; modes that can: "
            f"{', '.join(MODES)}."
        )
    config = getattr(layer, "quantization_config", None)
    if config is not None and not _is_default(config):
        raise ValueError(
            f"{layer.path} is quantized with quantizers of its own, which cannot be stored: call "
            f"quantize({mode!r}) without them."
        )
    return layer.dtype_policy


def _is_default(config: Any) -> bool:
    block_size = getattr(config, "block_size", None)
    default = type(config)() if block_size is None else type(config)(block_size=block_size)
    # Field by field: while Keras saves a file, `get_config` numbers the objects that it meets.
    return config.weight_quantizer is None and _fields(config) == _fields(default)


def _fields(config: Any) -> tuple[Any, ...] | None:
    quantizer = config.activation_quantizer
    names = ("axis", "value_range", "epsilon", "output_dtype")
    return quantizer and (type(quantizer), *(getattr(quantizer, name, None) for name in names))
