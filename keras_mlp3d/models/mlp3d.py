"""MLP-3D with its classifier.

Source: sections 3.1 and 3.4, Figure 2.
"""

import inspect
import random
from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import DType, Tensor
from keras_mlp3d.layers import GlorotUniform
from keras_mlp3d.layers.adaptable import storable_policy
from keras_mlp3d.models.dtype_policies import layer_policy
from keras_mlp3d.models.mlp3d_backbone import MLP3DBackbone
from keras_mlp3d.models.network import portable_config
from keras_mlp3d.models.network_checks import (
    check_class_names,
    check_converter,
    fitted_converter,
    listed_names,
    stored_activation,
)
from keras_mlp3d.models.preset_model import PresetModel


def classify_tokens(
    tokens: Tensor, num_classes: int, dropout: float, activation: Any, head_dtype: DType = None
) -> Tensor:
    """Average tokens over space and time, drop some of the mean, and map it to the classes.

    It computes in float32 whatever the policy, so that logits are exact. `head_dtype` is the policy
    of a linear layer that is quantized.
    """
    options = {"dtype": "float32"}
    pooling = keras.layers.GlobalAveragePooling3D(
        data_format="channels_last", name="pooling", **options
    )
    # A seed of its own, so that a checkpoint holds its state: without one, Keras uses the
    # generator of the whole process on PyTorch.
    seed = random.randint(1, 10**9)
    drop = keras.layers.Dropout(dropout, seed=seed, name="dropout", **options)
    head = keras.layers.Dense(
        num_classes,
        activation=activation,
        kernel_initializer=GlorotUniform(),
        name="head",
        dtype=head_dtype or "float32",
    )
    return head(drop(pooling(tokens)))


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MLP3D(PresetModel):
    """Classifies clips: backbone, mean over space and time, dropout, one linear layer.

    Args:
        backbone: An `MLP3DBackbone`.
        num_classes: Number of classes.
        dropout: Rate of the dropout before the linear layer, in training.
        activation: Activation of the output: None for logits, "softmax", or "sigmoid" for scores of
            each class by itself, if a video may have several classes, or none. Train it with
            `"binary_crossentropy"`; `training.MeanAveragePrecision` is a metric for it.
        class_names: None, or the name of each class, in the order of the outputs.
        converter: None, or the `data.VideoConverter` that turns a video into the clips that this
            network takes; saved in a preset with it.
        head_dtype: Dtype policy of the linear layer, which is float32 unless it is quantized.
        name: Name of the model.

    Input shape:
        (B, T, H, W, 3), as `backbone` takes it.

    Output shape:
        (B, num_classes), float32 under every dtype policy.

    Raises:
        ValueError: If an argument is wrong, or a clip does not fit.

    Source:
        Sections 3.1 and 3.4.

    Example:

    >>> backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "shift_token:4")
    >>> model = MLP3D(backbone, num_classes=5)
    >>> tuple(model(np.zeros((2, 16, 32, 32, 3), "uint8")).shape)
    (2, 5)
    """

    def __init__(
        self,
        backbone: MLP3DBackbone,
        num_classes: int,
        dropout: float = 0.5,
        activation: Any = None,
        class_names: Sequence[str] | None = None,
        converter: Any = None,
        head_dtype: DType = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(backbone, MLP3DBackbone):
            raise ValueError(f"backbone must be an MLP3DBackbone, got {type(backbone).__name__}.")
        num_classes = check_integer("num_classes", num_classes)
        class_names = check_class_names(num_classes, class_names)
        clip = backbone.input  # one input, so that a model can be made from it to any layer inside
        outputs = classify_tokens(
            backbone(clip), num_classes, dropout, activation, layer_policy(head_dtype)
        )
        super().__init__(inputs=clip, outputs=outputs, name=name)
        self.backbone = backbone
        self.num_classes = num_classes
        self.dropout = dropout
        self.activation = keras.activations.get(activation) if activation is not None else None
        self.class_names = class_names
        self.converter = check_converter(converter, backbone.input_shape[1:4])
        self.dtype_policy = backbone.dtype_policy

    def check_input(self, inputs: Any) -> None:
        """Raise ValueError if the backbone cannot take clips of this shape."""
        self.backbone.check_input(inputs)

    def get_config(self) -> dict[str, Any]:
        return self._with_state(
            {
                "name": self.name,
                "trainable": self.trainable,
                "backbone": keras.saving.serialize_keras_object(self.backbone),
                "converter": keras.saving.serialize_keras_object(self.converter),
                **self.task_config(),
            }
        )

    def task_config(self) -> dict[str, Any]:
        """Return the arguments of the classifier, without backbone and converter."""
        head = self.get_layer("head")
        return {
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "activation": stored_activation(self.activation),
            "class_names": listed_names(self),
            "head_dtype": None if head.quantization_mode is None else storable_policy(head).name,
        }

    @classmethod
    def preset_class_names(cls) -> tuple[str, ...]:
        return ("MLP3D", "MLP3DBackbone")

    @classmethod
    def _from_files(
        cls, files: hub.Preset, num_classes: int | None, overrides: dict[str, Any]
    ) -> Self:
        if num_classes is None and not files.task:
            raise ValueError(
                f"The preset {files.handle!r} is a backbone without classes: pass num_classes."
            )
        cls.check_overrides(overrides, cls, MLP3DBackbone)
        task = dict(files.task or {})
        if num_classes is not None:
            task.update(num_classes=num_classes, class_names=None, head_dtype=None)
        task_names = inspect.signature(cls.__init__).parameters
        task.update({key: overrides.pop(key) for key in list(overrides) if key in task_names})
        backbone = MLP3DBackbone(**{**files.config, **overrides})
        if files.converter is not None and "converter" not in task:
            converter = hub.make_converter(files.converter)
            task["converter"] = fitted_converter(converter, backbone.input_shape[1:4])
        return cls(backbone, **task)

    def head_layers(self) -> list[keras.layers.Layer]:
        return [self.get_layer("head")]

    def preset_objects(self) -> dict[str, tuple[str, dict[str, Any]]]:
        objects = {
            hub.CONFIG: ("MLP3DBackbone", portable_config(self.backbone)),
            hub.TASK: ("MLP3D", self.task_config()),
        }
        if self.converter is not None:
            objects[hub.CONVERTER] = ("VideoConverter", self.converter.get_config())
        return objects

    def _weight_parts(self) -> dict[str, keras.Model]:
        head = hub.layer_model(self.get_layer("head"))
        return {hub.WEIGHTS: self.backbone, hub.TASK_WEIGHTS: head}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MLP3D":
        config = dict(config)
        if isinstance(config.get("converter"), dict):
            config["converter"] = hub.make_converter(config["converter"]["config"])
        if isinstance(config["backbone"], dict):
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        return super().from_config(config)
