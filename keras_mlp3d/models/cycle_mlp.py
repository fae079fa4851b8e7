"""CycleMLP, the 2-D network that MLP-3D starts from.

Source: section 3.4 and reference [6].
"""

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_boolean, check_integer
from keras_mlp3d._utils.types import DType, Tensor
from keras_mlp3d.layers import GroupedTimeMixing, PixelNormalization
from keras_mlp3d.layers.pixels import check_statistics
from keras_mlp3d.models.dtype_policies import (
    network_policy,
    settle_policies,
    stored_policies,
    without_policy,
)
from keras_mlp3d.models.mlp3d import classify_tokens
from keras_mlp3d.models.mlp3d_backbone import build_stages, stage_outputs
from keras_mlp3d.models.network_checks import (
    IMAGE_FORM,
    check_class_names,
    check_frames,
    check_stages,
    listed_names,
    static_shape,
    stored_activation,
)
from keras_mlp3d.models.preset_model import PresetModel
from keras_mlp3d.models.schedule import Mixing


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class CycleMLP(PresetModel):
    """Classifies images: MLP-3D with one token in time.

    Its blocks are MLP-3D blocks on a single frame: with S = 1, time mixing is CycleMLP's channel
    mixing (which has no bias), and the tubelet is one frame long. So the weights of both networks
    have the same names, and each can be converted into the other.

    Args:
        channels: Channels of the four stages.
        depths: Number of blocks of the four stages.
        mlp_ratios: Ratio of the channel MLPs, one number or one per stage.
        num_classes: Number of classes.
        drop_path_rate: Rate of stochastic depth at the last block, rising linearly from 0.
        dropout: Rate of the dropout before the linear layer, in training.
        activation: Activation of the output: None for logits, or "softmax".
        include_rescaling: Whether the input is pixel values 0..255 of any real dtype, which the
            network then normalizes (/255, `pixel_mean` and `pixel_std`).
        input_shape: (height, width, 3); None leaves a length open.
        class_names: None, or the name of each class.
        pixel_mean: Mean of red, green and blue, of values 0..1, that is subtracted; None for
            ImageNet's.
        pixel_std: Standard deviation of red, green and blue that is divided by; None for
            ImageNet's. See `data.pixel_statistics`.
        dtype: Dtype or dtype policy of the layers.
        name: Name of the model.

    Attributes:
        pyramid_outputs: {"P2": ..., "P5": ...}: symbolic tokens (B, H', W', C) behind each stage.

    Input shape:
        (B, H, W, 3), H and W at least 32.

    Output shape:
        (B, num_classes), float32

    Raises:
        ValueError: If an argument is wrong, or an image does not fit.

    Source:
        Reference [6] of the paper; weights: section 4.2.

    Example:

    >>> model = CycleMLP((8, 8, 16, 16), (1, 1, 1, 1), 2, num_classes=10)
    >>> tuple(model(np.zeros((2, 32, 48, 3), "uint8")).shape)
    (2, 10)
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        mlp_ratios: float | Sequence[float],
        num_classes: int = 1000,
        drop_path_rate: float = 0.0,
        dropout: float = 0.0,
        activation: Any = None,
        include_rescaling: bool = True,
        input_shape: Sequence[int | None] = (None, None, 3),
        class_names: Sequence[str] | None = None,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        dtype: DType = None,
        name: str | None = None,
    ) -> None:
        channels, depths, mlp_ratios = check_stages(channels, depths, mlp_ratios)
        num_classes = check_integer("num_classes", num_classes)
        class_names = check_class_names(num_classes, class_names)
        if not isinstance(input_shape, list | tuple) or len(input_shape) != 3:
            raise ValueError(f"input_shape must be (height, width, 3), got {input_shape!r}.")
        check_frames("input_shape", (None, *input_shape), IMAGE_FORM)
        pixel_mean = check_statistics("pixel_mean", pixel_mean)
        pixel_std = check_statistics("pixel_std", pixel_std)
        policy = network_policy(dtype)

        def channel_mixing(mixing: Mixing) -> keras.layers.Layer:
            return GroupedTimeMixing(
                mixing.kind, mixing.group_size, use_bias=False, dtype=policy, name="mix_time"
            )

        image = pixels = keras.Input(tuple(input_shape), dtype="float32", name="image")
        if check_boolean("include_rescaling", include_rescaling):
            normalization = PixelNormalization(pixel_mean, pixel_std, name="normalization")
            pixels = normalization(pixels)
        tokens, _ = build_stages(
            ops.expand_dims(pixels, 1),
            channels,
            depths,
            mlp_ratios,
            (Mixing("short_range", 1),) * sum(depths),
            drop_path_rate,
            policy,
            window=1,
            time_mixing=channel_mixing,
        )
        mapped = isinstance(policy, keras.dtype_policies.DTypePolicyMap) and "head" in policy
        outputs = classify_tokens(
            tokens, num_classes, dropout, activation, policy["head"] if mapped else None
        )
        super().__init__(inputs=image, outputs=outputs, name=name)
        self.channels, self.depths, self.mlp_ratios = channels, depths, mlp_ratios
        self.num_classes = num_classes
        self.drop_path_rate = drop_path_rate
        self.dropout = dropout
        self.activation = keras.activations.get(activation) if activation is not None else None
        self.include_rescaling = include_rescaling
        self.pixel_mean, self.pixel_std = pixel_mean, pixel_std
        self.class_names = class_names
        settle_policies(self, policy)

    @property
    def pyramid_outputs(self) -> dict[str, Tensor]:
        """Symbolic tokens behind each stage: {"P2": ..., "P3": ..., "P4": ..., "P5": ...}."""
        return {key: ops.squeeze(level, 1) for key, level in stage_outputs(self).items()}

    def check_input(self, inputs: Any) -> None:
        """Raise ValueError if images of this shape do not fit the network."""
        check_frames(self.name, static_shape(inputs), IMAGE_FORM)

    @classmethod
    def _from_files(
        cls, files: hub.Preset, num_classes: int | None, overrides: dict[str, Any]
    ) -> Self:
        cls.check_overrides(overrides, cls)
        config = dict(files.config)
        if num_classes is not None:
            dtype = without_policy(config.get("dtype"), "head")
            config.update(num_classes=num_classes, class_names=None, dtype=dtype)
        return cls(**{**config, **overrides})

    def head_layers(self) -> list[keras.layers.Layer]:
        return [self.get_layer("head")]

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "channels": list(self.channels),
            "depths": list(self.depths),
            "mlp_ratios": list(self.mlp_ratios),
            "num_classes": self.num_classes,
            "drop_path_rate": self.drop_path_rate,
            "dropout": self.dropout,
            "activation": stored_activation(self.activation),
            "include_rescaling": self.include_rescaling,
            "pixel_mean": self.pixel_mean and list(self.pixel_mean),
            "pixel_std": self.pixel_std and list(self.pixel_std),
            "input_shape": list(self.input_shape[1:]),
            "class_names": listed_names(self),
            "dtype": stored_policies(self),
        }
        return self._with_state(config)
