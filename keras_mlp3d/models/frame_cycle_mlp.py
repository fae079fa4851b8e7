"""CycleMLP on each frame of a clip: the 2-D baseline of a network on clips.

Source: reference [6]; docs/reading.md (baselines).
"""

from typing import Any, Self

import keras
from keras import ops

from keras_mlp3d import hub
from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.models.cycle_mlp import CycleMLP
from keras_mlp3d.models.dtype_policies import without_policy
from keras_mlp3d.models.network import portable_config
from keras_mlp3d.models.network_checks import (
    CLIP_FORM,
    check_converter,
    check_frames,
    fitted_converter,
    static_shape,
)
from keras_mlp3d.models.preset_model import PresetModel


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class FramesAsImages(keras.layers.Layer):
    """Puts all frames of all clips into one batch of images.

    Args:
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (B, T, H, W, C)

    Output shape:
        (B * T, H, W, C)

    Example:

    >>> tuple(FramesAsImages()(np.zeros((2, 4, 8, 8, 3), "float32")).shape)
    (8, 8, 8, 3)
    """

    def call(self, clip: Tensor) -> Tensor:
        return ops.reshape(clip, (-1, *ops.shape(clip)[2:]))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, frames = input_shape[:2]
        known = batch is not None and frames is not None
        return (batch * frames if known else None, *input_shape[2:])


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class FrameScores(keras.layers.Layer):
    """Averages the softmax scores of a clip's frames.

    Args:
        logits: Whether the result is the logarithm of the averaged scores, whose softmax they are,
            so that losses and metrics on logits stay valid; False for the scores.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        Logits (B * T, num_classes) of all frames, and the clips (B, T, H, W, C).

    Output shape:
        (B, num_classes), float32

    Example:

    >>> frames = np.array([[0.0, 0.0], [0.0, 50.0]], "float32")
    >>> clip = np.zeros((1, 2, 8, 8, 3), "float32")
    >>> np.array(FrameScores(logits=False)([frames, clip])).round(3).tolist()
    [[0.25, 0.75]]
    """

    def __init__(self, logits: bool = True, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.logits = logits
        self.built = True

    def call(self, inputs: list[Tensor]) -> Tensor:
        frames, clip = inputs
        length = ops.shape(clip)[1]
        logs = ops.log_softmax(ops.reshape(frames, (-1, length, frames.shape[-1])), axis=-1)
        # Counted, as an export may leave the length open, which is then no number.
        count = ops.sum(ops.ones_like(logs[:, :, :1]), axis=1)
        mean = ops.logsumexp(logs, axis=1) - ops.log(count)
        return mean if self.logits else ops.exp(mean)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        frames, clip = input_shape
        return (clip[0], frames[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "logits": self.logits}


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class FrameCycleMLP(PresetModel):
    """Classifies clips by a CycleMLP that sees each frame by itself.

    The softmax scores of the frames are averaged, so the network is blind to their order: a
    baseline for what grouped time mixing adds. `from_preset` also takes the presets of `CycleMLP`.

    Args:
        cycle_mlp: A `CycleMLP` without activation.
        activation: None for logits (the logarithm of the averaged scores), or "softmax" for the
            averaged scores themselves.
        converter: None, or the `data.VideoConverter` that turns a video into clips.
        name: Name of the model.

    Input shape:
        (B, T, H, W, 3), any T, H and W at least 32.

    Output shape:
        (B, num_classes), float32

    Raises:
        ValueError: If an argument is wrong, or a clip does not fit.

    Source:
        Reference [6] of the paper; section 4.2 for the average of scores.

    Example:

    >>> images = CycleMLP((8, 8, 16, 16), (1, 1, 1, 1), 2, num_classes=10)
    >>> model = FrameCycleMLP(images)
    >>> clip = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3)).astype("uint8")
    >>> forwards, backwards = (model.predict_on_batch(frames) for frames in (clip, clip[:, ::-1]))
    >>> tuple(forwards.shape), bool(np.allclose(forwards, backwards, atol=1e-5))
    ((1, 10), True)
    """

    def __init__(
        self,
        cycle_mlp: CycleMLP,
        activation: str | None = None,
        converter: Any = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(cycle_mlp, CycleMLP):
            raise ValueError(f"cycle_mlp must be a CycleMLP, got {type(cycle_mlp).__name__}.")
        if cycle_mlp.activation not in (None, keras.activations.linear):
            raise ValueError("cycle_mlp must give logits: make it with activation=None.")
        if activation not in (None, "softmax"):
            raise ValueError(f"activation must be None or 'softmax', got {activation!r}.")
        clip = keras.Input((None, *cycle_mlp.input_shape[1:]), dtype="float32", name="clip")
        images = FramesAsImages(name="frames", dtype="float32")(clip)
        scores = FrameScores(activation is None, name="scores")([cycle_mlp(images), clip])
        super().__init__(inputs=clip, outputs=scores, name=name)
        self.cycle_mlp = cycle_mlp
        self.converter = check_converter(converter, clip.shape[1:4])
        self.num_classes, self.class_names = cycle_mlp.num_classes, cycle_mlp.class_names
        self.activation = keras.activations.get(activation) if activation else None
        self.dtype_policy = cycle_mlp.dtype_policy

    def check_input(self, inputs: Any) -> None:
        """Raise ValueError if clips of this shape do not fit the network."""
        check_frames(self.name, static_shape(inputs), CLIP_FORM)

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "cycle_mlp": keras.saving.serialize_keras_object(self.cycle_mlp),
            "converter": keras.saving.serialize_keras_object(self.converter),
            "activation": None if self.activation is None else "softmax",
        }
        return self._with_state(config)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "FrameCycleMLP":
        config = dict(config)
        if isinstance(config.get("converter"), dict):
            config["converter"] = hub.make_converter(config["converter"]["config"])
        if isinstance(config["cycle_mlp"], dict):
            config["cycle_mlp"] = keras.saving.deserialize_keras_object(
                config["cycle_mlp"], custom_objects=custom_objects
            )
        return super().from_config(config)

    @classmethod
    def preset_class_names(cls) -> tuple[str, ...]:
        return ("FrameCycleMLP", "CycleMLP")

    @classmethod
    def _from_files(
        cls, files: hub.Preset, num_classes: int | None, overrides: dict[str, Any]
    ) -> Self:
        cls.check_overrides(overrides, cls, CycleMLP)
        own = {"activation": (files.task or {}).get("activation")}
        own.update({key: overrides.pop(key) for key in ("activation", "converter", "name")
                    if key in overrides})  # fmt: skip
        config = {**files.config, "activation": None}
        if num_classes is not None:
            dtype = without_policy(config.get("dtype"), "head")
            config.update(num_classes=num_classes, class_names=None, dtype=dtype)
        cycle_mlp = CycleMLP(**{**config, **overrides})
        if files.converter is not None and "converter" not in own:
            clip = (None, *cycle_mlp.input_shape[1:3])
            own["converter"] = fitted_converter(hub.make_converter(files.converter), clip)
        return cls(cycle_mlp, **own)

    def preset_objects(self) -> dict[str, tuple[str, dict[str, Any]]]:
        activation = None if self.activation is None else "softmax"
        task = {"activation": activation, "class_names": self.class_names}
        objects = {
            hub.CONFIG: ("CycleMLP", portable_config(self.cycle_mlp)),
            hub.TASK: ("FrameCycleMLP", task),
        }
        if self.converter is not None:
            objects[hub.CONVERTER] = ("VideoConverter", self.converter.get_config())
        return objects

    def _weight_parts(self) -> dict[str, keras.Model]:
        return {hub.WEIGHTS: self.cycle_mlp}

    def head_layers(self) -> list[keras.layers.Layer]:
        return self.cycle_mlp.head_layers()
