"""What every network can do with presets: load from one, and save as one."""

import contextlib
import datetime
import inspect
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_boolean, check_choice
from keras_mlp3d._utils.printable import printable, shortened
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.models.builtin_presets import BuiltinPresets
from keras_mlp3d.models.exportable import Exportable
from keras_mlp3d.models.network import portable_config
from keras_mlp3d.models.network_checks import clip_of, stored_class
from keras_mlp3d.models.other_weights import other_weights
from keras_mlp3d.models.parameter_count import check_preset_size, preset_parameters, quantization
from keras_mlp3d.models.stored_time_mixing import (
    TIME_MIXING_ARGUMENTS,
    check_unquantized,
    time_mixing_loaders,
)
from keras_mlp3d.version import __version__

logger = logging.getLogger("keras_mlp3d")

#: Arguments that fix the weight shapes. They cannot be overridden when weights are loaded.
STRUCTURE = ("channels", "depths", "mlp_ratios")
#: What constructors raise; Keras builds a model of a thousand blocks by recursion.
_NOT_BUILT = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

#: What makes the weights that a preset gets on the user's machine. The package `conversion` puts it
#: here: it imports this package, and this one cannot import it.
weight_makers: list[Callable[[hub.Preset], hub.Preset]] = []


class PresetModel(Exportable):
    """Base of the networks: `from_preset`, `save_to_preset` and `presets`."""

    presets = BuiltinPresets()
    _origin: hub.Origin | None = None  # None if it was not loaded from a preset

    @classmethod
    def preset_class_names(cls) -> tuple[str, ...]:
        """Return the names of the classes whose presets this class loads."""
        return (stored_class(cls),)

    @classmethod
    def from_preset(
        cls,
        preset: StrPath | hub.Preset,
        load_weights: bool = True,
        num_classes: int | None = None,
        **overrides: Any,
    ) -> Self:
        """Build a network from a preset.

        Before anything is built, the parameters that the configuration asks for are counted. They
        must be as many as the weights files hold; a preset without weights must state the same
        number, if it states one, and must fit into memory.

        Args:
            preset: Built-in name, directory, "hf://user/repo[@revision]", or a `hub.Preset`. Write
                "./NAME" for a directory here whose name is that of a built-in preset.
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
                a damaged file; or if it has no classes, and `num_classes` is None.
            hub.HubError: If the weights must be downloaded, and cannot be.
            ImportError: If they must be converted from a PyTorch checkpoint, without PyTorch.

        Example:

        >>> model = MLP3DBackbone.from_preset("mlp3d_nano", load_weights=False)
        >>> model.channels
        (16, 32, 64, 96)
        """
        files, model = hub.read_preset(preset), None
        cls._check_class(files)
        if load_weights:
            files = cls._with_weights(files, overrides)
            if files.is_converted:
                # Wrong arguments download nothing. The configuration is one of this package.
                model = cls._build(files, num_classes, overrides)
                files = weight_makers[0](files)
            else:
                files = hub.fetch_weights(files)
            check_unquantized(files.handle, quantization(files), overrides)
        task = num_classes is None and "num_classes" in inspect.signature(cls.__init__).parameters
        weights = check_preset_size(files, load_weights, with_task=task)
        if model is None:
            model = cls._build(files, num_classes, overrides)
        if load_weights:
            missing = model._load_preset_weights(files, weights, num_classes, overrides)
            as_stored = not (num_classes is not None or overrides or missing)
            model._origin = model._make_origin(files, as_stored)
            if missing:
                logger.warning(
                    "%s: weights not loaded from the preset, newly initialized: %s.",
                    files.handle,
                    ", ".join(missing),
                )
        return model

    @classmethod
    def _with_weights(cls, files: hub.Preset, overrides: Mapping[str, Any]) -> hub.Preset:
        """Return the preset that has the weights; they may have to be fetched."""
        if files.weights == "none":
            raise ValueError(
                f"The preset {files.handle!r} is an architecture without weights. Pass "
                f"load_weights=False to start from random ones{other_weights(files)}."
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
        return files

    @classmethod
    def _build(
        cls, files: hub.Preset, num_classes: int | None, overrides: Mapping[str, Any]
    ) -> Self:
        try:
            return cls._from_files(files, num_classes, dict(overrides))
        except _NOT_BUILT as e:
            reason = printable(str(e))
            if isinstance(e, ValueError) and repr(files.handle) in reason:
                raise
            reason = reason if isinstance(e, ValueError) else f"{type(e).__name__}: {reason}."
            given = f" with {', '.join(overrides)} overridden" if overrides else ""
            where = f"The preset {files.handle!r} cannot be built{given}"
            raise ValueError(f"{where}: {shortened(reason, 1000)}") from e

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
        """Load the weights from the preset; return the paths of those that keep other values."""
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

    def _make_origin(self, files: hub.Preset, as_stored: bool) -> hub.Origin:
        """Return what the network keeps of its preset; old presets do not state their sum."""
        sums = None
        if as_stored and files.metadata.get("class_name") == stored_class(type(self)):
            stated = files.metadata.get("weights_sha256")
            sums = stated or hub.weights_sha256(self._weight_parts())
        return hub.Origin(files.metadata, sums)

    def _networks(
        self, files: hub.Preset
    ) -> Iterator[tuple[str, "PresetModel", dict[str, Any] | None]]:
        """Yield (prefix of its weights' paths, network, its stored backbone's arguments)."""
        if files.class_name == "TwoPathMLP3D":
            for path in ("appearance", "motion"):
                yield f"{path}/", getattr(self, path), files.config[path]["backbone"]
        else:
            yield "", self, files.config if "schedule" in files.config else None

    @classmethod
    def check_overrides(cls, overrides: Mapping[str, Any], *signatures: Any) -> None:
        """Raise ValueError for an override that no constructor among `signatures` takes."""
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
        self,
        directory: StrPath,
        description: str | None = None,
        format: str = "h5",
        half_precision: bool = False,
        **metadata: Any,
    ) -> None:
        """Save the network as a preset: whole, or not at all.

        A preset holds the weights alone, without the state of an optimizer. A network that was
        loaded from a preset keeps its license, source and data sets. It keeps its description,
        metrics and other metadata too if it was loaded without other arguments and its weights are
        still the same: their SHA-256 decides.

        Class names that cannot be printed never stop a save: they are stored as
        `_utils.printable.printable_class_names` returns them.

        Args:
            directory: A new or empty directory, or an earlier preset, which is replaced.
            description: None, or a sentence for the metadata and the model card.
            format: Form of the weights files: "h5" (Keras's own), or "safetensors", which other
                tools of the Hub read (`pip install 'keras-mlp3d[safetensors]'`).
            half_precision: Whether float32 weights are stored in 16 bits, which halves the files.
                What loads computes as before, in float32, with the rounded weights.
            **metadata: Further entries of `metadata.json`, such as `metrics` (a list of dicts
                with name, value, dataset, split, command), `training`, `license`, `source`. The
                value of a metric is a number, or None if it was not measured.

        Raises:
            ValueError: If the directory holds anything that is no file of a preset, or an argument
                of the network has no form that a preset can hold, or the metadata holds a number
                that is not finite, or metrics of another form.
            TypeError: If the metadata holds anything that JSON does not know.
            ImportError: If the library safetensors is asked for and missing.
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
        names = hub.WEIGHTS_FORMATS[check_choice("format", format, hub.WEIGHTS_FORMATS)]
        given = metadata if description is None else {**metadata, "description": description}
        given = hub.plain_metadata(given)
        uri = hub.handle_nearby(directory, hub.builtin_folder(), hub.list_presets())
        half = check_boolean("half_precision", half_precision)
        hub.write_preset(
            directory, lambda folder: self._write_files(folder, names, given, uri, half)
        )

    def _write_files(
        self,
        folder: pathlib.Path,
        names: Mapping[str, str],
        metadata: Mapping[str, Any],
        uri: str,
        half_precision: bool,
    ) -> None:
        objects, kind = self.preset_objects(), stored_class(type(self))
        for name, (class_name, config) in objects.items():
            hub.make_class_names_printable(config)
            hub.write_json(folder / name, hub.serialized(class_name, config))
        sums, parts = {}, self._weight_parts()
        for name, part in parts.items():
            path = folder / names[name]
            hub.save_weights(part, path, half_precision)
            sums[path.name] = hub.file_sha256(path)
        total = hub.weights_sha256(parts, half_precision)
        kept = {} if self._origin is None else self._origin.kept(total)
        converter = getattr(self, "converter", None)
        clip = None if converter is None else clip_of(converter)
        if clip is not None and kept.pop("clip", clip) != clip:  # what was measured of other clips
            kept = {key: kept[key] for key in kept.keys() - {"macs", "metrics", "reported"}}
        config, task = (objects.get(name, (None, None))[1] for name in (hub.CONFIG, hub.TASK))
        # Counted from the arguments: int4 packs two weights into one number.
        preset = hub.Preset(str(folder), folder, objects[hub.CONFIG][0], config, task, None, {})
        content = {
            "keras_mlp3d_version": __version__,
            "keras_version": keras.__version__,
            "class_name": kind,
            "description": f"A {kind} saved from a session.",
            "parameter_count": sum(preset_parameters(preset).values()),
            "weights": "bundled",
            "sha256": sums,
            "weights_sha256": total,
            "date_saved": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            **kept,
            **metadata,
        }
        if clip is not None:
            content.setdefault("clip", clip)
        hub.write_json(folder / hub.METADATA, content)
        stored = hub.read_preset(folder)  # what could not be loaded is refused while it is made
        check_preset_size(stored, load_weights=True, with_task=stored.task is not None)
        about, example = stored.metadata, self._example_shape(stored.metadata)
        network = hub.serialized(kind, stored.config)
        card = hub.model_card(about, network, stored.task, stored.converter, uri, example)
        write_whole(folder / hub.CARD, card.encode())

    def _example_shape(self, metadata: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the shape of a small input that the network takes, the stated one if any."""
        clip = metadata.get("clip") or {}
        stated = (clip.get("size"), metadata.get("image_size"), (64, 64))
        size = next(size for size in stated if size is not None)
        size = [own or side for own, side in zip(self.input_shape[-3:-1], size, strict=True)]
        if len(self.input_shape) == 4:
            return (1, *size, 3)
        for frames in (clip.get("frames"), self.input_shape[1], *range(4, 1024, 4)):
            shape = (1, frames, *size, 3)
            with contextlib.suppress(ValueError):
                if frames is not None:
                    self.check_input(keras.KerasTensor(shape))
                    break
        return shape

    def preset_objects(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return {file name: (class name, arguments)} of the JSON files of a preset."""
        return {hub.CONFIG: (stored_class(type(self)), portable_config(self))}

    def _weight_parts(self) -> dict[str, keras.Model]:
        """Return {file name: model whose weights it holds}."""
        return {hub.WEIGHTS: self}
