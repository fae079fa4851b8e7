"""The two-path network: one MLP-3D for appearance, one for motion.

Source: section 4.3.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_integers
from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.layers import MotionView
from keras_mlp3d.models.mlp3d import MLP3D
from keras_mlp3d.models.mlp3d_backbone import MLP3DBackbone
from keras_mlp3d.models.network import portable_config
from keras_mlp3d.models.network_checks import (
    check_class_names,
    check_converter,
    fitted_converter,
    listed_names,
    static_shape,
    stored_activation,
)
from keras_mlp3d.models.preset_model import PresetModel


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class PathScores(keras.layers.Layer):
    """Averages the softmax scores of two paths.

    Args:
        logits: Whether the result is the logarithm of the averaged scores, whose softmax they
            are, so that losses and metrics on logits stay valid; False for the scores.
        from_logits: For each path, whether its outputs are logits (True) or scores.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        Two of (B, num_classes).

    Output shape:
        (B, num_classes), float32

    Source:
        Section 4.3; section 4.2 for the average of scores.

    Example:

    >>> pair = [np.array([[0.0, 0.0]]), np.array([[0.0, 50.0]])]
    >>> np.array(PathScores(logits=False)(pair)).round(3).tolist()
    [[0.25, 0.75]]
    """

    def __init__(
        self, logits: bool = True, from_logits: Sequence[bool] = (True, True), **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.logits = logits
        self.from_logits = tuple(from_logits)
        self.built = True

    def call(self, paths: Sequence[Tensor]) -> Tensor:
        logs = [
            ops.log_softmax(path, axis=-1) if raw else ops.log(path + keras.config.epsilon())
            for path, raw in zip(paths, self.from_logits, strict=True)
        ]
        # The logarithm of the mean of both scores; exact even if one of them underflows.
        # Not `logaddexp`: on TensorFlow it is made of an operation that ONNX lacks.
        mean = ops.logsumexp(ops.stack(logs), axis=0) - math.log(2)
        return mean if self.logits else ops.exp(mean)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "logits": self.logits, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class TwoPathMLP3D(PresetModel):
    """Averages the scores of an appearance and a motion path, both fed with one clip.

    The motion path sees the clip resized to its own size, each frame minus the mean frame, so
    that everything that does not move is erased. With `include_rescaling` in its backbone, that
    path gets differences of pixel values, -255..255, instead of 0..255.

    Args:
        appearance: `MLP3D` that sees the clip.
        motion: `MLP3D` that sees motion alone, with the same number of classes.
        motion_size: (height, width) in pixels of the motion path's clips.
        activation: None for logits (the logarithm of the averaged scores), or "softmax" for the
            averaged scores themselves.
        class_names: None for those of `appearance`, or the name of each class.
        converter: None for that of `appearance`, or a `data.VideoConverter`.
        name: Name of the model.

    Input shape:
        (B, T, H, W, 3), as `appearance` takes it; T must fit both paths.

    Output shape:
        (B, num_classes), float32

    Raises:
        ValueError: If an argument is wrong, the paths do not match, or a clip does not fit.

    Source:
        Section 4.3.

    Example:

    >>> paths = [MLP3D.from_preset("mlp3d_nano", load_weights=False) for _ in range(2)]
    >>> two = TwoPathMLP3D(*paths, motion_size=(32, 32))
    >>> tuple(two(np.zeros((1, 32, 64, 64, 3), "uint8")).shape)
    (1, 20)
    """

    def __init__(
        self,
        appearance: MLP3D,
        motion: MLP3D,
        motion_size: tuple[int, int] = (128, 128),
        activation: str | None = None,
        class_names: Sequence[str] | None = None,
        converter: Any = None,
        name: str | None = None,
    ) -> None:
        for path, value in (("appearance", appearance), ("motion", motion)):
            if not isinstance(value, MLP3D):
                raise ValueError(f"{path} must be an MLP3D, got {type(value).__name__}.")
        if appearance.num_classes != motion.num_classes:
            raise ValueError(
                f"Both paths must have the same number of classes, got "
                f"{appearance.num_classes} (appearance) and {motion.num_classes} (motion)."
            )
        if activation not in (None, "softmax"):
            raise ValueError(f"activation must be None or 'softmax', got {activation!r}.")
        if appearance.name == motion.name:
            raise ValueError(f"Both paths are named {motion.name!r}; give one another name.")
        height, width = check_integers("motion_size", motion_size, 2, 1)
        motion_size = height, width
        frames = appearance.input_shape[1]
        motion.backbone.check_input(keras.KerasTensor((None, frames, *motion_size, 3)))
        clip = keras.Input(appearance.input_shape[1:], dtype="float32", name="clip")
        moving = MotionView(motion_size, name="motion_view")(clip)
        scores = PathScores(
            logits=activation is None,
            from_logits=[_gives_logits(path) for path in (appearance, motion)],
            name="scores",
        )([appearance(clip), motion(moving)])
        super().__init__(inputs=clip, outputs=scores, name=name)
        self.appearance = appearance
        self.motion = motion
        self.motion_size = motion_size
        self.num_classes = appearance.num_classes
        self.activation = keras.activations.get(activation) if activation else None
        self.class_names = check_class_names(
            appearance.num_classes, class_names or appearance.class_names
        )
        self.converter = check_converter(converter, clip.shape[1:4]) or appearance.converter
        self.dtype_policy = appearance.dtype_policy

    def check_input(self, inputs: Any) -> None:
        """Raise ValueError if clips of this shape do not fit one of the paths."""
        self.appearance.check_input(inputs)
        frames = static_shape(inputs)[1]
        self.motion.check_input(keras.KerasTensor((None, frames, *self.motion_size, 3)))

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "appearance": keras.saving.serialize_keras_object(self.appearance),
            "motion": keras.saving.serialize_keras_object(self.motion),
            "converter": keras.saving.serialize_keras_object(self.converter),
            **self.own_config(),
        }
        return self._with_state(config)

    def own_config(self) -> dict[str, Any]:
        """Return the arguments besides the paths, the converter and the name."""
        return {
            "motion_size": list(self.motion_size),
            "activation": None if self.activation is None else "softmax",
            "class_names": listed_names(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "TwoPathMLP3D":
        config = dict(config)
        if isinstance(config.get("converter"), dict):
            config["converter"] = hub.make_converter(config["converter"]["config"])
        for key in ("appearance", "motion"):
            if isinstance(config.get(key), dict):
                config[key] = keras.saving.deserialize_keras_object(
                    config[key], custom_objects=custom_objects
                )
        return super().from_config(config)

    @classmethod
    def _from_files(
        cls, files: hub.Preset, num_classes: int | None, overrides: dict[str, Any]
    ) -> Self:
        cls.check_overrides(overrides, cls, MLP3D, MLP3DBackbone)
        own = {key: files.config[key] for key in ("motion_size", "activation", "class_names")}
        if num_classes is not None:
            own["class_names"] = None
        names = inspect.signature(cls.__init__).parameters
        own.update({key: overrides.pop(key) for key in list(overrides) if key in names})
        task_names = inspect.signature(MLP3D.__init__).parameters
        paths = []
        for key in ("appearance", "motion"):
            path = files.config[key]
            task = {**path["task"], "class_names": own["class_names"]}
            if num_classes is not None:
                task.update(num_classes=num_classes, head_dtype=None)
            task.update({k: v for k, v in overrides.items() if k in task_names})
            rest = {k: v for k, v in overrides.items() if k not in task_names}
            if paths and rest.get("input_shape") is not None:
                rest["input_shape"] = (rest["input_shape"][0], *own["motion_size"], 3)
            paths.append(MLP3D(MLP3DBackbone(**{**path["backbone"], **rest}), **task))
        if files.converter is not None and "converter" not in own:
            converter = hub.make_converter(files.converter)
            own["converter"] = fitted_converter(converter, paths[0].input_shape[1:4])
        return cls(*paths, **own)

    def preset_objects(self) -> dict[str, tuple[str, dict[str, Any]]]:
        config = {
            key: {"backbone": portable_config(path.backbone), "task": path.task_config()}
            for key, path in (("appearance", self.appearance), ("motion", self.motion))
        }
        config.update(self.own_config())
        objects = {hub.CONFIG: ("TwoPathMLP3D", config)}
        if self.converter is not None:
            objects[hub.CONVERTER] = ("VideoConverter", self.converter.get_config())
        return objects

    def head_layers(self) -> list[keras.layers.Layer]:
        return [*self.appearance.head_layers(), *self.motion.head_layers()]


def _gives_logits(path):
    if path.activation is None:
        return True
    if path.activation is not keras.activations.softmax:
        raise ValueError(
            f"A path must give logits (activation=None) or softmax scores, {path.name} has "
            f"activation {stored_activation(path.activation)!r}."
        )
    return False
