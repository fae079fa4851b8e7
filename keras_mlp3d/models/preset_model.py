"""What every network can do with presets: load from one, and save as one."""

import datetime
import inspect
import logging
import pathlib
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Self

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.printable import MAX_CLASS_NAME, is_printable, printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.models.builtin_presets import BuiltinPresets
from keras_mlp3d.models.network import Network, portable_config
from keras_mlp3d.models.parameter_count import check_preset_size, preset_parameters, quantization
from keras_mlp3d.models.stored_time_mixing import TIME_MIXING_ARGUMENTS, time_mixing_loaders
from keras_mlp3d.version import __version__

logger = logging.getLogger("keras_mlp3d")

#: Arguments that fix the weight shapes. They cannot be overridden when weights are loaded.
STRUCTURE = ("channels", "depths", "mlp_ratios")


class PresetModel(Network):
    """Base of the networks: `from_preset`, `save_to_preset` and `presets`."""

    presets = BuiltinPresets()

    @classmethod
    def preset_class_names(cls) -> tuple[str, ...]:
        """Returns the names of the classes whose presets this class loads."""
        return (cls.__name__,)

    @classmethod
    def from_preset(
        cls,
        preset: StrPath | hub.Preset,
        load_weights: bool = True,
        num_classes: int | None = None,
        **overrides: Any,
    ) -> Self:
        """Builds a network from a preset.

        Before anything is built, the parameters that the configuration asks for are counted. They
        must be as many as the weights files hold; a preset without weights must state the same
        number, if it states one, and must fit into memory.

        Args:
            preset: Built-in name, directory, "hf://user/repo[@revision]", or a `hub.Preset`.
            load_weights: Whether to load the preset's weights. False leaves them random.
            num_classes: None for the preset's classes, or the number of classes of a new head. All
                other weights are loaded.
            **overrides: Other constructor arguments, such as `schedule`, `drop_path_rate`,
                `input_shape`, `dtype`, `class_names`. Time-mixing weights are carried over to
                another schedule by time interval; intervals that the preset lacks start at zero.

        Returns:
            A model of this class. A log message names the weights that were not loaded.

        Raises:
            ValueError: If the preset or an override is unknown, or the preset is of another class,
                has no weights, asks for another number of parameters than its weights are, or has
                a damaged file.

        Example:

        >>> model = MLP3DBackbone.from_preset("mlp3d_nano", load_weights=False)
        >>> model.channels
        (16, 32, 64, 96)
        """
        files = hub.read_preset(preset)
        cls._check_class(files)
        if load_weights:
            files = cls._with_weights(files, overrides)
            _check_unquantized(files, overrides)
        has_classes = "num_classes" in inspect.signature(cls.__init__).parameters
        weights = check_preset_size(
            files, load_weights, with_task=has_classes and num_classes is None
        )
        try:
            model = cls._from_files(files, num_classes, dict(overrides))
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            given = f" with {', '.join(overrides)} overridden" if overrides else ""
            reason = printable(f"{type(error).__name__}: {error}")
            raise ValueError(
                f"The preset {files.handle!r} cannot be built{given}: {reason}."
            ) from error
        if load_weights:
            missing = model._load_preset_weights(files, weights, num_classes, overrides)
            if missing:
                logger.warning(
                    "%s: weights not loaded from the preset, newly initialized: %s.",
                    files.handle,
                    ", ".join(missing),
                )
        return model

    @classmethod
    def _with_weights(cls, files: hub.Preset, overrides: Mapping[str, Any]) -> hub.Preset:
        """Returns the preset that holds the weights, with them on disk."""
        if files.weights == "none":
            raise ValueError(
                f"The preset {files.handle!r} is an architecture without weights. Pass "
                "load_weights=False to start from random ones, or make a preset with weights "
                "from a CycleMLP checkpoint: keras-mlp3d convert CHECKPOINT --to DIRECTORY "
                f"--inflate {files.handle}."
            )
        fixed = [name for name in STRUCTURE if name in overrides]
        if fixed:
            raise ValueError(
                f"{', '.join(fixed)} cannot be overridden with load_weights=True: the weights "
                "of the preset would not fit. Pass load_weights=False."
            )
        if files.weights.startswith("hf://"):
            files = hub.read_preset(files.weights)
            cls._check_class(files)
        return hub.fetch_weights(files)

    @classmethod
    def _check_class(cls, files: hub.Preset) -> None:
        if files.class_name not in cls.preset_class_names():
            raise ValueError(
                f"The preset {files.handle!r} holds a {files.class_name}; load it with "
                f"{files.class_name}.from_preset."
            )

    def _load_preset_weights(
        self,
        files: hub.Preset,
        weights: Mapping[str, hub.WeightsFile],
        num_classes: int | None,
        overrides: Mapping[str, Any],
    ) -> list[str]:
        """Loads the weights from the preset; returns the paths of those that keep other values."""
        missing: list[str] = []
        instead = {}
        for prefix, network, backbone in self._networks(files):
            if num_classes is not None:
                for layer in network.head_layers():
                    instead[layer] = lambda arrays: None
                    missing.extend(f"{prefix}{weight.path}" for weight in layer.weights)
            if backbone is not None and not TIME_MIXING_ARGUMENTS.isdisjoint(overrides):
                report = lambda path, prefix=prefix: missing.append(f"{prefix}{path}")  # noqa: E731
                instead.update(time_mixing_loaders(network, backbone, report))
        for name, part in self._weight_parts().items():
            if name in weights:
                weights[name].load(part, instead)
        return missing

    def _networks(
        self, files: hub.Preset
    ) -> Iterator[tuple[str, "PresetModel", dict[str, Any] | None]]:
        """Yields (prefix of its weights' paths, network, its stored backbone's arguments)."""
        if files.class_name == "TwoPathMLP3D":
            for path in ("appearance", "motion"):
                yield f"{path}/", getattr(self, path), files.config[path]["backbone"]
        else:
            yield "", self, files.config if "schedule" in files.config else None

    @classmethod
    def check_overrides(cls, overrides: Mapping[str, Any], *signatures: Any) -> None:
        """Raises ValueError for an override that no constructor among `signatures` takes."""
        known = [
            name
            for signature in signatures
            for name in inspect.signature(signature.__init__).parameters
            if name not in ("self", "backbone", "num_classes", "appearance", "motion")
        ]
        for name in overrides:
            if name not in known:
                raise ValueError(
                    f"Unknown override {name!r} for {cls.__name__}.from_preset; known: "
                    f"{', '.join(dict.fromkeys(known))}."
                )

    def save_to_preset(
        self, directory: StrPath, description: str | None = None, **metadata: Any
    ) -> None:
        """Saves the network as a preset: whole, or not at all.

        Class names that cannot be printed never stop a save: they are stored as
        `_utils.printable.printable_class_names` returns them.

        Args:
            directory: A new or empty directory, or an earlier preset, which is replaced.
            description: None, or a sentence for the metadata and the model card.
            **metadata: Further entries of `metadata.json`, such as `metrics` (a list of dicts
                with name, value, dataset, split, command), `training`, `license`, `source`.

        Raises:
            ValueError: If the directory holds anything that is no file of a preset, or an argument
                of the network has no form that a preset can hold.
            TypeError: If the metadata holds anything that JSON does not know.
            OSError: If a file cannot be written; it is named, and an earlier preset stays.

        Example:

        >>> import tempfile
        >>> model = MLP3DBackbone.from_preset("mlp3d_nano", load_weights=False)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     model.save_to_preset(directory)
        ...     again = MLP3DBackbone.from_preset(directory)
        >>> again.count_params() == model.count_params()
        True
        """
        hub.write_preset(directory, lambda folder: self._write_files(folder, description, metadata))

    def _write_files(
        self, folder: pathlib.Path, description: str | None, metadata: Mapping[str, Any]
    ) -> None:
        objects = self._preset_objects()
        for name, (class_name, config) in objects.items():
            hub.make_class_names_printable(config)
            hub.write_json(folder / name, hub.serialized(class_name, config))
        sums = {}
        for name, part in self._weight_parts().items():
            hub.save_weights(part, folder / name)
            sums[name] = hub.file_sha256(folder / name)
        config, task = (objects.get(name, (None, None))[1] for name in (hub.CONFIG, hub.TASK))
        # Counted from the arguments: int4 packs two weights into one number.
        preset = hub.Preset(str(folder), folder, objects[hub.CONFIG][0], config, task, None, {})
        content = {
            "keras_mlp3d_version": __version__,
            "keras_version": keras.__version__,
            "class_name": type(self).__name__,
            "description": description or f"A {type(self).__name__} saved from a session.",
            "parameter_count": sum(preset_parameters(preset).values()),
            "weights": "bundled",
            "sha256": sums,
            "date_saved": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            **metadata,
        }
        converter = getattr(self, "converter", None)
        if converter is not None and "clip" not in content:
            made = converter.get_config()
            content["clip"] = {
                "frames": made["num_frames"],
                "size": list(made["image_size"]),
                "sampling": made["sampling"],
            }
        hub.write_json(folder / hub.METADATA, content)
        task, clip = (objects.get(name, (None, None))[1] for name in (hub.TASK, hub.CONVERTER))
        network = hub.serialized(type(self).__name__, objects[hub.CONFIG][1])
        card = hub.model_card(content, network, task, clip)
        write_whole(folder / hub.CARD, card.encode())

    def _preset_objects(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Returns {file name: (class name, arguments)} of the JSON files of a preset."""
        return {hub.CONFIG: (type(self).__name__, portable_config(self))}

    def _weight_parts(self) -> dict[str, keras.Model]:
        """Returns {file name: model whose weights it holds}."""
        return {hub.WEIGHTS: self}


def _check_unquantized(files: hub.Preset, overrides: Mapping[str, Any]) -> None:
    """Raises ValueError for an override that quantized weights cannot follow."""
    fixed = [name for name in overrides if name in TIME_MIXING_ARGUMENTS | {"dtype"}]
    modes = quantization(files)
    if fixed and modes:
        raise ValueError(
            f"{', '.join(fixed)} cannot be overridden: the weights of the preset {files.handle!r} "
            f"are quantized to {', '.join(modes)}."
        )


def check_class_names(num_classes: Any, class_names: Any) -> list[str] | None:
    """Checks class names when a network is made, so that it can be saved after its training.

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
    names = [class_names] if isinstance(class_names, str) else list(class_names)
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
