"""Loads what the options name: the network, how its clips are made, the videos, the recipe."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from keras_mlp3d.data import Manifest, VideoConverter
    from keras_mlp3d.hub import Preset
    from keras_mlp3d.training import Recipe

#: Networks that have classes.
CLASSIFIERS = ("MLP3D", "TwoPathMLP3D", "FrameCycleMLP", "CycleMLP")
#: Frames per video, and their size, for a network on single images if no option says more.
_IMAGE_FRAMES, _IMAGE_SIZE = 16, (224, 224)
#: Options that name a preset.
_PRESETS = ("preset", "frames_preset", "searched", "inflate", "source")
#: Options that name a data set.
_DATA = ("data", "val", "manifest")
_TABLE = ("columns", "separator", "header", "label_separator")


def check_named(options: argparse.Namespace) -> None:
    """Refuse presets, data sets and recipes that do not exist or are wrong, without Keras.

    Presets on the Hub and remote data sets are read later, and so are the rows of data sets.
    """
    from keras_mlp3d._utils.remote import is_remote
    from keras_mlp3d.hub.preset import read_preset

    for name in _PRESETS:
        given = getattr(options, name, None) or ()
        for handle in [given] if isinstance(given, str) else given:
            if not handle.startswith("hf://"):
                read_preset(handle)
    for name in _DATA:
        source = getattr(options, name, None)
        if source and not is_remote(source):
            from keras_mlp3d.data.datasets.read_manifest import check_source

            check_source(source)
    if hasattr(options, "recipe"):
        recipe_of(options)


def load_model(
    handle: "str | Preset",
    classes: Sequence[str] | None = None,
    on_clips: bool = False,
    **options: Any,
) -> "tuple[keras.Model, Preset]":
    """Load whatever network a preset holds.

    Args:
        handle: Built-in name, directory, "hf://user/repo[@revision]", or a `hub.Preset`.
        classes: Names of the allowed model classes, or None for all.
        on_clips: Whether a `CycleMLP` is to become a `FrameCycleMLP`.
        **options: Arguments of `from_preset`. With `num_classes`, a backbone gets a head if
            classifiers alone are allowed.

    Returns:
        The model and its `hub.Preset`.

    Raises:
        ValueError: If the preset is unknown, damaged, or of a class that is not allowed.
    """
    from keras_mlp3d import hub, models

    files = hub.read_preset(handle)
    known = classes or ("MLP3D", "MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP", "CycleMLP")
    class_name = files.class_name
    if class_name == "MLP3DBackbone" and class_name not in known:
        if options.get("num_classes") is None:
            raise ValueError(
                f"The preset {files.handle!r} is a backbone without classes. Train it on yours "
                f"first: keras-mlp3d train --data DIRECTORY --preset {files.handle}."
            )
        class_name = "MLP3D"
    if class_name not in known:
        raise ValueError(
            f"The preset {files.handle!r} holds a {class_name}; expected {' or '.join(known)}."
        )
    if on_clips and class_name == "CycleMLP":
        class_name = "FrameCycleMLP"
    return getattr(models, class_name).from_preset(files, **options), files


def asked_converter(
    model: "keras.Model", files: "Preset", options: argparse.Namespace
) -> "VideoConverter":
    """Return what makes the clips: the preset's converter, changed as the options ask."""
    return changed_converter(getattr(model, "converter", None), files, options)


def changed_converter(
    converter: "VideoConverter | None", files: "Preset", options: argparse.Namespace
) -> "VideoConverter":
    """Return a preset's converter, changed as the options ask.

    Args:
        converter: The converter, or None if the preset has none.
        files: The preset.
        options: The parsed arguments, with `frames` and `size`.

    Raises:
        ValueError: If nothing says how a video becomes a clip.
    """
    from keras_mlp3d.data import VideoConverter

    asked = {"num_frames": options.frames, "image_size": options.size}
    asked = {name: value for name, value in asked.items() if value is not None}
    if converter is not None:
        return converter.replace(**asked)
    if files.class_name == "CycleMLP":
        return image_converter(files).replace(**asked)
    if len(asked) < 2:
        raise ValueError(
            f"The preset {files.handle!r} does not say how a video becomes a clip: pass --frames "
            "and --size."
        )
    return VideoConverter(**asked)


def image_converter(files: "Preset") -> "VideoConverter":
    """Return what makes clips for a network on single images, frame by frame.

    Args:
        files: The preset of a `CycleMLP`.
    """
    from keras_mlp3d.data import VideoConverter

    return VideoConverter(_IMAGE_FRAMES, tuple(files.metadata.get("image_size") or _IMAGE_SIZE))


def read_data(
    options: argparse.Namespace, source: str, split: str, class_names: Sequence[str] | None = None
) -> "Manifest":
    """Read a data set as the options say.

    Args:
        options: The parsed arguments.
        source: The folder or the file.
        split: Name of the split.
        class_names: The classes if --class-names is not given.

    Raises:
        ValueError: If the data set is unreadable, or options of a CSV are given without one.
    """
    from keras_mlp3d.data import read_manifest

    table = {name: getattr(options, name) for name in _TABLE}
    sources = [getattr(options, name, None) for name in _DATA]
    # The training videos may be a CSV and the validation videos a folder.
    if not _is_table(source) and any(map(_is_table, sources)):
        table = {}
    names = class_names if options.class_names is None else options.class_names
    return read_manifest(source, split, names, **table)


def refuse_manifest_options(options: argparse.Namespace, why: str) -> None:
    """Raise an error if an option of manifests is given.

    Args:
        options: The parsed arguments.
        why: What the error says after the option's name.
    """
    for name in (*_TABLE, "class_names"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} {why}")


def manifests(options: argparse.Namespace, needs_validation: bool = True) -> "tuple[Manifest, Any]":
    """Return the training manifest, and the validation manifest of the same classes, or None."""
    training = read_data(options, options.data, "train")
    val = options.val
    if val is None and os.path.isdir(os.path.join(options.data, "val")):
        val = options.data
    if val is None and not needs_validation:
        return training, None
    if val is None:
        raise ValueError(
            "--val is needed, as --data has no sub-folder 'val'; a CSV with a column split can be "
            "both."
        )
    names = None if os.path.isdir(val) else training.class_names
    validation = read_data(options, val, "val", names)
    odd = {*validation.class_names} ^ {*training.class_names}
    if not odd and validation.class_names != training.class_names:  # they are in another order
        validation = read_data(options, val, "val", training.class_names)
    if validation.multi_label != training.multi_label:
        one, other = ("--data", "--val") if training.multi_label else ("--val", "--data")
        raise ValueError(
            f"--val must have labels like those of --data: the videos of {one} may have several, "
            f"and those of {other} have one each."
        )
    if validation.class_names != training.class_names:
        names = ", ".join(map(repr, sorted(odd)[:5])) or "this order: see --class-names"
        raise ValueError(f"--val must have the classes of --data; only one of them has {names}.")
    return training, validation


def recipe_of(options: argparse.Namespace) -> "Recipe":
    """Return the recipe with the values of --set."""
    from keras_mlp3d.training import Recipe, parse_overrides

    return Recipe.load(options.recipe).replace(**parse_overrides(options.set))


def _is_table(source: str | None) -> bool:
    from keras_mlp3d.data.datasets.read_manifest import TABLE_SUFFIXES

    return source is not None and source.lower().endswith(TABLE_SUFFIXES)
