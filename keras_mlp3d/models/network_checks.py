"""Checks of what a network is made of, and of the frames that it is given."""

import math
import os
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_integer, check_integers, check_number, is_no_list
from keras_mlp3d._utils.printable import MAX_CLASS_NAME, is_printable, printable
from keras_mlp3d._utils.types import Shape
from keras_mlp3d.layers.time_mixing import GROUPED_KINDS
from keras_mlp3d.models.schedule import Mixing

TUBELET_FRAMES = 4
MIN_SIZE = 32  # four halvings behind the stride of the embedding leave one token

CLIP_FORM = "(batch, frames, height, width, 3)"
IMAGE_FORM = "(batch, height, width, 3)"


def check_stages(
    channels: Any, depths: Any, mlp_ratios: Any
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """Return the three as tuples with one entry per stage.

    Args:
        channels: Channels of the four stages.
        depths: Number of blocks of the four stages.
        mlp_ratios: One number for all stages, or four.

    Raises:
        ValueError: If an entry is missing or wrong.
    """
    channels = check_integers("channels (one entry per stage)", channels, 4)
    depths = check_integers("depths (one entry per stage)", depths, 4)
    ratios = mlp_ratios if isinstance(mlp_ratios, list | tuple) else (mlp_ratios,) * 4
    if len(ratios) != 4:
        raise ValueError(
            f"mlp_ratios must be one number above 0, or one per stage, got {mlp_ratios!r}."
        )
    for ratio in ratios:
        check_number("mlp_ratios (one for all stages, or one per stage)", ratio, above=0)
    return channels, depths, tuple(ratios)


def check_frames(name: str, shape: Shape, form: str) -> None:
    """Raise ValueError for frames of a wrong rank, not RGB, or under 32 rows or columns.

    Args:
        name: Name of the model, for the message.
        shape: Shape of the input, batch axis first.
        form: `CLIP_FORM` or `IMAGE_FORM`.
    """
    if len(shape) != form.count(",") + 1:
        got = f"shape {tuple(shape)}" if shape else "no axes, or an unknown number of them"
        raise ValueError(f"{name} takes pixels of shape {form}, got {got}.")
    if shape[-1] != 3:
        raise ValueError(
            f"{name} takes three color channels, RGB, in the last axis; expected shape {form}, "
            f"got {tuple(shape)}."
        )
    for what, length in (("height", shape[-3]), ("width", shape[-2])):
        if length is not None and length < MIN_SIZE:
            raise ValueError(
                f"{name} needs a {what} of at least {MIN_SIZE} pixels, got {length} in shape "
                f"{tuple(shape)}."
            )


def check_clip(mixings: Sequence[Mixing], shape: Shape, name: str) -> None:
    """Raise ValueError for a clip (B, T, H, W, 3) that the network or its schedule cannot take."""
    check_frames(name, shape, CLIP_FORM)
    frames = shape[1]
    if frames is None:
        return
    time, left = divmod(frames, TUBELET_FRAMES)
    if left or not time or not all(mixing.divides(time) for mixing in mixings):
        sizes = {mixing.group_size for mixing in mixings if mixing.kind in GROUPED_KINDS}
        step = TUBELET_FRAMES * math.lcm(*sizes)
        lengths = ", ".join(str(step * count) for count in range(1, 9))
        raise ValueError(
            f"{name}: a clip of {frames} frames does not fit the schedule (tubelets of "
            f"{TUBELET_FRAMES} frames, group sizes {sorted(sizes)}); valid numbers of frames are "
            f"the multiples of {step}: {lengths} and so on."
        )


def valid_num_frames(mixings: Sequence[Mixing], limit: int) -> list[int]:
    """Return the clip lengths up to `limit` whose tokens in time every group size divides."""
    return [
        TUBELET_FRAMES * time
        for time in range(1, limit // TUBELET_FRAMES + 1)
        if all(mixing.divides(time) for mixing in mixings)
    ]


def refuse_files(inputs: Any) -> None:
    """Raise ValueError for paths of videos, or a manifest, in place of clips.

    Example:

    >>> refuse_files(["a.mp4"])
    Traceback (most recent call last):
    ...
    ValueError: a network takes clips, such as `model.converter(path)[None]`, or a `data...
    """
    first = inputs[0] if isinstance(inputs, list | tuple) and inputs else inputs
    is_manifest = hasattr(first, "rows") and hasattr(first, "class_names")
    if is_manifest or isinstance(first, str | bytes | os.PathLike):
        raise ValueError(
            "a network takes clips, such as `model.converter(path)[None]`, or a "
            f"`data.VideoLoader`, got {type(first).__name__}; `inference.classify(model, paths)` "
            "reads videos, and `inference.evaluate(model, manifest)` those of a manifest."
        )


def only_input(model: keras.Model, inputs: Any) -> Any:
    """Return the one input of a network, also from a list or dictionary, as Keras takes them.

    Args:
        model: Network with one input.
        inputs: The input, a list of it, or {its name: it}.

    Raises:
        ValueError: If a dictionary has another name, or several.
    """
    if isinstance(inputs, Mapping):
        name = model.inputs[0].name
        if [*inputs] != [name]:
            raise ValueError(
                f"{model.name} has one input, {name!r}, got a dictionary of {[*inputs]}."
            )
        return inputs[name]
    is_list = isinstance(inputs, list | tuple) and len(inputs) == 1
    return inputs[0] if is_list and hasattr(inputs[0], "shape") else inputs


def listed_names(model: Any) -> list[str] | None:
    """Return the class names of a network for its configuration, or None.

    Raises:
        ValueError: If they are not as many as its classes, as they may be if they were set later.
    """
    if model.class_names is None:
        return None
    names = list(model.class_names)
    if len(names) != model.num_classes:
        raise ValueError(
            f"class_names must be {model.num_classes} different names, got {len(names)}."
        )
    return names


def stored_class(network_class: type) -> str:
    """Return the name of the class that a preset holds: of a user's subclass, ours below it.

    Example:

    >>> stored_class(type("Mine", (MLP3D,), {"__module__": "my_module"}))
    'MLP3D'
    """
    ours = (each for each in network_class.__mro__ if each.__module__.startswith("keras_mlp3d."))
    return next(ours).__name__


def static_shape(inputs: Any) -> tuple[int | None, ...]:
    """Return the shape of an array, tensor or nested list, without moving its data.

    Lengths that an export leaves open, for which JAX and PyTorch have symbols, are None: comparing
    a symbol would fix it. TensorFlow may not know the number of axes; then it is ().
    """
    shape = getattr(inputs, "shape", None)
    if getattr(shape, "rank", 0) is None:
        return ()
    shape = np.shape(inputs) if shape is None else shape
    return tuple(length if isinstance(length, int) else None for length in shape)


def stored_activation(activation: Any) -> Any:
    """Return what a configuration holds of an activation: its name, if Keras has one for it.

    `keras.activations.serialize` imports TensorFlow on every backend.

    Example:

    >>> stored_activation(keras.activations.sigmoid), stored_activation(None)
    ('sigmoid', None)
    """
    if activation is None:
        return None
    name = getattr(activation, "__name__", None)
    try:
        if name and keras.activations.get(name) is activation:
            return name
    except ValueError:  # Keras has none of this name
        pass
    return keras.activations.serialize(activation)


def is_multi_label(model: Any) -> bool:
    """Return whether a model scores each class by itself, so that a video may have several."""
    return getattr(model, "activation", None) is keras.activations.sigmoid


def check_classes(model: Any, manifest: Any) -> None:
    """Raise a `ValueError` unless the classes of videos are the model's, in its order.

    Args:
        model: Network with classes, which may have no names.
        manifest: `Manifest` of the videos.
    """
    known, names = model.class_names, manifest.class_names
    if len(names) != model.num_classes:
        raise ValueError(
            f"{model.name} has {model.num_classes} classes, the videos of the split "
            f"{manifest.split!r} have {len(names)}: load the network with num_classes={len(names)}."
        )
    if known is not None and tuple(known) != names:
        place = next(n for n, pair in enumerate(zip(known, names, strict=True)) if len({*pair}) > 1)
        raise ValueError(
            f"The videos of the split {manifest.split!r} must have the classes of {model.name} in "
            f"its order; class {place} is {known[place]!r} in the network and {names[place]!r} in "
            "the videos. Read them with class_names=model.class_names, or load the network with "
            "the class_names of the videos."
        )


def check_label_kind(model: Any, several: bool) -> None:
    """Raise a `ValueError` if a model and the labels of videos contradict each other.

    Args:
        model: The network.
        several: Whether videos may have several labels, or none.
    """
    if is_multi_label(model) == several:
        return
    activation = getattr(model, "activation", None)
    said = stored_activation(activation)
    if several:
        raise ValueError(
            f"The videos may have several labels, and {model.name} has activation={said!r}, which "
            "gives each video one class: build an MLP3D with activation='sigmoid'."
        )
    raise ValueError(
        f"{model.name} has activation={said!r}, which scores each class by itself, and the videos "
        "have one label each: build the network with activation=None, or read the labels with "
        "label_separator (--label-separator)."
    )


def check_class_names(num_classes: Any, class_names: Any) -> list[str] | None:
    """Check class names when a network is made, so that it can be saved after its training.

    Args:
        num_classes: Number of classes.
        class_names: None, or one name per class.

    Returns:
        None, or the names in Unicode's composed form (NFC), as manifests have them.

    Raises:
        ValueError: If `num_classes` is no positive integer, or `class_names` are not as many
            different strings, or one of them is too long or cannot be printed.

    Example:

    >>> check_class_names(2, ["left", "left"])
    Traceback (most recent call last):
    ...
    ValueError: class_names must be 2 different names, got 2, some of them twice.
    """
    num_classes = check_integer("num_classes", num_classes)
    if class_names is None:
        return None
    if is_no_list(class_names):
        raise ValueError(f"class_names must be a list of names, got {class_names!r}.")
    names = list(class_names)
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"class_names must be strings, got {name!r}.")
        if len(name) > MAX_CLASS_NAME:
            raise ValueError(
                f"class_names must have at most {MAX_CLASS_NAME:,} characters each, got "
                f"{len(name):,}: {name[:40]!r}..."
            )
        if not is_printable(name):
            raise ValueError(
                "class_names must hold no control characters, line breaks or lone surrogates, got "
                f"{name!r}."
            )
    # As in manifests: the same letters are the same class in every Unicode form.
    names = [unicodedata.normalize("NFC", name) for name in names]
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            f"class_names must be {num_classes} different names, got {len(names)}"
            f"{'' if len(set(names)) == len(names) else ', some of them twice'}."
        )
    size = sum(len(name.encode()) + 20 for name in names)
    if size > hub.MAX_JSON_BYTES // 4:  # a two-path network stores them three times
        raise ValueError(
            f"class_names take {size:,} bytes in a preset, which holds {hub.MAX_JSON_BYTES // 4:,}."
        )
    return names


def check_converter(converter: Any, clip: Shape) -> Any:
    """Return the converter of a network, or raise ValueError if it makes no clips for it.

    Args:
        converter: What the caller passed.
        clip: Frames, height and width of the network's clips; None for any.
    """
    methods = ("get_config", "views")
    is_one = all(callable(getattr(converter, name, None)) for name in methods)
    if converter is not None and (not is_one or isinstance(converter, type)):
        raise ValueError(
            "converter must be None or a data.VideoConverter, got "
            f"{printable(repr(converter))[:200]}."
        )
    size = getattr(converter, "image_size", None)
    if isinstance(size, tuple) and hasattr(converter, "num_frames"):
        made = (converter.num_frames, *size)
        if any(wanted not in (None, length) for wanted, length in zip(clip, made, strict=True)):
            raise ValueError(
                f"converter must make clips of {tuple(clip)} frames, height and width, for which "
                f"the network was made (input_shape), got one for clips of {made}."
            )
    return converter


def fitted_converter(converter: Any, clip: Shape) -> Any:
    """Return a preset's converter with the lengths for which a network was made, if any."""
    size = tuple(a or b for a, b in zip(clip[1:], converter.image_size, strict=True))
    return converter.replace(num_frames=clip[0] or converter.num_frames, image_size=size)


def clip_of(converter: Any) -> dict[str, Any]:
    """Return the clips of a converter as the metadata of a preset have them."""
    made = converter.get_config()
    frames, size, sampling = (made[key] for key in ("num_frames", "image_size", "sampling"))
    return {"frames": frames, "size": list(size), "sampling": sampling}
