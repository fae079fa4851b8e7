"""What every network can do as a Keras model: check inputs, be quantized, adapted and cloned."""

import functools
import inspect
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
from keras.src.backend.common import global_state

from keras_mlp3d._utils.keras_patches import TracedOnce, WholeWeights, garbage_collected_once
from keras_mlp3d._utils.types import StrPath, Tensor
from keras_mlp3d.layers import SwitchableTimeMixing
from keras_mlp3d.layers.adaptable import MODES, AdaptableLayer
from keras_mlp3d.models import lora
from keras_mlp3d.models.dtype_policies import quantized_layers
from keras_mlp3d.models.freezing import freeze_as, frozen_state
from keras_mlp3d.models.network_checks import only_input, refuse_files
from keras_mlp3d.models.transfer import walk_layers

logger = logging.getLogger("keras_mlp3d")

#: What `get_config` holds besides the arguments of a network, and a preset does not.
SESSION = ("name", "trainable", "frozen", "lora")

#: Arguments of constructors that Keras or a layer keeps.
_KERAS_ARGUMENTS = {"self", "name", "dtype", "input_shape", "head_dtype"}

#: In the messages by which Keras says that a layer cannot be quantized.
_NOT_QUANTIZED = ("has no quantization to", "quantize")


class Network(WholeWeights, TracedOnce):
    """Base of the networks, whose constructors make functional models of layers."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            init = _outside_name_scopes(_able_to_clone(vars(cls)["__init__"]))
            setattr(cls, "__init__", init)  # noqa: B010

    # Every backend calls a model here, except JAX's trainer, which only uses `call`.
    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        refuse_files(inputs)
        inputs = only_input(self, inputs)
        self.check_input(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        inputs = only_input(self, inputs)
        self.check_input(inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs for clips, as `keras.Model.predict` does.

        Raises:
            ValueError: If `x` is the path of a video, or a manifest, or an array of clips that do
                not fit the network.
        """
        self._check_array(x)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for a batch of clips, as `keras.Model.predict_on_batch` does.

        Raises:
            ValueError: As for `predict`.
        """
        self._check_array(x)
        return super().predict_on_batch(x)

    def _check_array(self, x: Any) -> None:
        refuse_files(x)  # and TensorFlow's graphs forget lengths, so that they can check none
        if len(getattr(x, "shape", ())) == len(self.input_shape):
            self.check_input(x)

    def check_input(self, inputs: Tensor) -> None:
        """Raise ValueError if inputs of this shape do not fit the network."""
        raise NotImplementedError(f"{type(self).__name__} must say which inputs it takes.")

    def head_layers(self) -> list[keras.layers.Layer]:
        """Return the layers that a new number of classes replaces."""
        return []

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Quantize the weights, as `keras.Model.quantize` does.

        "int8" reaches every matrix: those of `Dense` multiply int8 inputs, those of time mixing,
        embedding and stage transitions are stored as int8 and multiply in the compute dtype.
        "int4" and "float8" reach the `Dense` layers alone; the log says what stays as it is.

        Args:
            mode: "int8", "int4" or "float8".
            config: None, or a `keras.quantizers.QuantizationConfig`. A network with quantizers of
                its own computes, but cannot be saved.
            **kwargs: `filters`, which layers to quantize, as in Keras.

        Raises:
            ValueError: If the mode is another one, or the network is quantized already, has LoRA
                adapters, or has candidates to switch between.

        Example:

        >>> model = MLP3DBackbone.from_preset("mlp3d_nano", load_weights=False)
        >>> model.quantize("int8")
        >>> model.get_layer("stage1_block1").channel_mlp.expand.quantization_mode
        'int8'
        """
        asked = getattr(config, "mode", None) if mode is None else mode
        if asked not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {asked!r}.")
        if quantized_layers(self):
            raise ValueError(f"{self.name} is quantized already; load it again for another mode.")
        if lora.adapted_layers(self):
            raise ValueError(f"{self.name} has LoRA adapters: call merge_lora() before quantize().")
        if any(isinstance(layer, SwitchableTimeMixing) for layer in walk_layers(self)):
            raise ValueError(
                f"{self.name} has candidates to switch between: quantize what models.extract "
                "makes of it."
            )
        with garbage_collected_once(), warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always")
            super().quantize(mode, config=config, **kwargs)
        _report_unquantized(self, asked, left)

    def enable_lora(self, rank: int, targets: str | Sequence[str] | None = None) -> None:
        """Freeze the weights, except the classifier's, and add low-rank adapters to train.

        An adapter is a product of two small matrices that is added to a weight; it starts at zero.
        Compile the model afterwards. Saving adds the adapters to the weights.

        Args:
            rank: Rank of the adapters, such as 8.
            targets: Layers to adapt: names of layers, or of layers around them, or parts of their
                paths, such as `["mix_time", "stage4_block1/channel_mlp"]`. None for time mixing,
                Cycle FCs, the projection behind them, and channel MLPs.

        Raises:
            ValueError: If an argument is wrong, no layer matches a target, or the network is
                quantized or has adapters already.

        Source:
            Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1.

        Example:

        >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
        >>> before = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        >>> model.enable_lora(4)
        >>> after = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        >>> after < 0.3 * before
        True
        """
        lora.enable_lora(self, rank, targets, self.head_layers())

    @property
    def lora_rank(self) -> int | None:
        """Rank of the adapters, or None without any."""
        layers = lora.adapted_layers(self)
        return next(iter(layers.values())).lora_rank if layers else None

    def merge_lora(self) -> None:
        """Add the adapters to the weights and remove them; all weights can be trained again."""
        lora.merge_lora(self)

    def save_lora_weights(self, path: StrPath) -> None:
        """Save the adapters, and the classifier that was trained with them, in a small file.

        Args:
            path: Path of the file, which ends in ".lora.h5"; an earlier one is replaced.

        Raises:
            ValueError: If the network has no adapters, or the path another ending.
            OSError: If the file cannot be written; an earlier one stays.

        Example:

        >>> import tempfile
        >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
        >>> model.enable_lora(2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_lora_weights(f"{folder}/mine.lora.h5")
        ...     MLP3D.from_preset("mlp3d_nano", load_weights=False).load_lora_weights(
        ...         f"{folder}/mine.lora.h5"
        ...     )
        """
        lora.save_adapters(self, path, self.head_layers())

    def load_lora_weights(self, path: StrPath) -> None:
        """Load what `save_lora_weights` wrote; a network without adapters gets them first.

        Args:
            path: Path of the file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is damaged, or of another network, number of classes or rank.
                The network is then as it was.
        """
        lora.load_adapters(self, path, self.head_layers())

    def _run_through_graph(
        self, inputs: Any, operation_fn: Any = lambda op: op, call_fn: Any = None
    ) -> Any:
        # `keras.models.clone_model` makes a model of what this returns: see `_able_to_clone`.
        given = keras.tree.flatten(inputs)
        if isinstance(given[0], keras.KerasTensor):
            inputs, operation_fn = self._inputs_of_clone(inputs, operation_fn)
        outputs = super()._run_through_graph(inputs, operation_fn, call_fn)
        for output in keras.tree.flatten(outputs):
            if isinstance(output, keras.KerasTensor):
                output._cloned_from = self, inputs
        return outputs

    def _inputs_of_clone(self, inputs: Any, operation_fn: Any) -> tuple[Any, Any]:
        """Return the input of the clone of the network inside that shares this one's, if any.

        It takes the place of a new input that is like it, so that models can be made from it to the
        layers inside the clone, too.
        """
        inside = [each for each in self.layers if isinstance(each, Network)]
        shared = next((each for each in inside if each.input is self.input), None)
        new = operation_fn(shared) if shared is not None and _is_like(inputs, self.input) else None
        if new is shared or not isinstance(new, Network):
            return inputs, operation_fn
        return new.input, lambda op: new if op is shared else operation_fn(op)

    def _with_state(self, config: dict[str, Any]) -> dict[str, Any]:
        """Add to a configuration which layers are frozen and which have adapters, if any."""
        state = frozen_state(self, Network)
        adapters = None if self._holds_networks() else lora.adapter_state(self)
        if state["layers"] or state["variables"]:
            config["frozen"] = state
        if adapters:
            config["lora"] = adapters
        return config

    def _holds_networks(self) -> bool:
        return any(isinstance(layer, Network) for layer in self.layers)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Build a network from what `get_config` returned."""
        config = dict(config)
        state = {name: config.pop(name, None) for name in SESSION if name != "name"}
        model = cls(**config)
        if state["lora"]:
            lora.restore_adapters(model, state["lora"])
        if state["frozen"]:
            freeze_as(model, state["frozen"], Network)
        return model


def portable_config(model: keras.Model) -> dict[str, Any]:
    """Return the arguments of a model without what belongs to its session."""
    return {key: value for key, value in model.get_config().items() if key not in SESSION}


def _able_to_clone(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor also take what `keras.models.clone_model` calls it with.

    Keras clones the layers and asks for a model of the new inputs and outputs, but only a class
    whose constructor seems to take them; others become a plain `Functional`, without class names
    or converter. Keras finds `*args, **kwargs` here; documentation finds the true arguments.
    """

    arguments = inspect.signature(init).parameters

    @functools.wraps(init)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        source, inputs = getattr(args[-1], "_cloned_from", (None, None)) if args else (None, None)
        if len(args) != 2 or source is None:
            init(self, *args, **kwargs)
            return
        super(Network, self).__init__(inputs, args[1], **kwargs)
        for name in {*arguments, "num_classes", "class_names"} - _KERAS_ARGUMENTS:
            if hasattr(source, name):
                value = getattr(source, name)
                own = isinstance(value, keras.layers.Layer)
                setattr(self, name, self.get_layer(value.name) if own else value)
        self.dtype_policy = source.dtype_policy

    return constructor


def _is_like(inputs: Any, own: Any) -> bool:
    """Return whether an input is one that Keras made after a network's own."""
    return (
        isinstance(inputs, keras.KerasTensor)
        and isinstance(inputs._keras_history.operation, keras.layers.InputLayer)
        and (inputs.name, inputs.shape, inputs.dtype) == (own.name, own.shape, own.dtype)
    )


def _outside_name_scopes(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor give its layers the same paths wherever it is called.

    In the `build` of a layer around the network, or in a `keras.name_scope`, Keras would add the
    names around it. Policies of quantized layers and weights of other networks are found by paths.
    """

    @functools.wraps(init)
    def constructor(*args: Any, **kwargs: Any) -> None:
        around = global_state.get_global_attribute("name_scope_stack")
        global_state.set_global_attribute("name_scope_stack", [])
        try:
            init(*args, **kwargs)
        finally:
            global_state.set_global_attribute("name_scope_stack", around)

    return constructor


def _report_unquantized(model: keras.Model, mode: str, messages: Sequence[Any]) -> None:
    """Log once which kernels stay as they are; Keras warns of each layer, norms included."""
    left = [
        layer.path
        for layer in walk_layers(model)
        if isinstance(layer, AdaptableLayer) and layer.quantization_mode is None
    ]
    if left:
        logger.warning(
            "%s: %d kernels are not quantized to %s: %s.",
            model.name,
            len(left),
            mode,
            ", ".join(left),
        )
    for message in messages:
        if not any(text in str(message.message) for text in _NOT_QUANTIZED):
            warnings.warn_explicit(
                message.message, message.category, message.filename, message.lineno
            )
