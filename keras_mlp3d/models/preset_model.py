"""What every network can do with presets: load from one, and save as one."""

import datetime
import inspect
import logging
import math
import unicodedata

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.keras_patches import WholeWeights
from keras_mlp3d.models.transfer import transfer_weights
from keras_mlp3d.version import __version__

logger = logging.getLogger("keras_mlp3d")

#: What makes a network the one that it is: other values would leave a preset's weights no place.
STRUCTURE = ("channels", "depths", "mlp_ratios")

#: A bound on what a preset's file may ask for.
MAX_CLASSES = 1_000_000


class _Presets:
    """The class attribute `presets`: name of each built-in preset of the class -> metadata."""

    def __get__(self, instance, owner):
        presets = (hub.read_preset(name) for name in hub.list_presets())
        names = owner.preset_class_names()
        return {p.handle: p.metadata for p in presets if p.class_name in names}


class PresetModel(WholeWeights):
    """Base of the networks: `from_preset`, `save_to_preset` and `presets`."""

    presets = _Presets()

    # Keras enters a model here, and JAX's trainer by `call` alone.
    def __call__(self, inputs, *args, **kwargs):
        self.check_input(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        self.check_input(inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def check_input(self, inputs):
        """Raises ValueError if inputs of this shape do not fit the network."""
        raise NotImplementedError(f"{type(self).__name__} must say which inputs it takes.")

    @classmethod
    def preset_class_names(cls):
        """Returns the names of the classes whose presets this class loads."""
        return (cls.__name__,)

    @classmethod
    def from_preset(cls, preset, load_weights=True, num_classes=None, **overrides):
        """Builds a network from a preset.

        Args:
            preset: Built-in name, directory, or "hf://user/repo[@revision]".
            load_weights: Whether to load the preset's weights; False leaves them random.
            num_classes: None for the preset's classes, or the number of classes of a new head; the
                rest is loaded.
            **overrides: Other constructor arguments, such as `schedule`, `drop_path_rate`,
                `input_shape`, `dtype`, `class_names`. Time-mixing weights go over to another
                schedule by time interval; intervals that the preset lacks start at zero.

        Returns:
            A model of this class. A log message names the weights that were not loaded.

        Raises:
            ValueError: If the preset or an override is unknown, the preset is of another class,
                has no weights, or a file of it is damaged.

        Example:

        >>> model = MLP3DBackbone.from_preset("mlp3d_nano", load_weights=False)
        >>> model.channels
        (16, 32, 64, 96)
        """
        files = hub.read_preset(preset)
        cls._check_class(files)
        if load_weights:
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
            source = files.weights if files.weights.startswith("hf://") else files.handle
            if source.startswith("hf://"):
                files = hub.read_preset(source, weights=True)
                cls._check_class(files)
        return cls._load(files, load_weights, num_classes, overrides)

    @classmethod
    def _check_class(cls, files):
        if files.class_name not in cls.preset_class_names():
            raise ValueError(
                f"The preset {files.handle!r} holds a {files.class_name}; load it with "
                f"{files.class_name}.from_preset."
            )

    @classmethod
    def _load(cls, files, load_weights, num_classes, overrides):
        try:
            model = cls._from_files(files, num_classes, dict(overrides))
        except (TypeError, KeyError, AttributeError) as error:
            given = f" with {', '.join(overrides)} overridden" if overrides else ""
            raise ValueError(
                f"The preset {files.handle!r} cannot be built{given}: {type(error).__name__}: "
                f"{error}."
            ) from error
        if not load_weights:
            return model
        changed = num_classes is not None or overrides
        saved = cls._saved_form(files, num_classes) if changed else model
        saved._load_preset_weights(files)
        if saved is not model:
            fresh = {id(layer) for layer in model.head_layers()} if num_classes else set()
            missing = model._take_weights(saved, fresh)
            if missing:
                logger.warning(
                    "%s: weights not loaded from the preset, newly initialised: %s.",
                    files.handle,
                    ", ".join(missing),
                )
        return model

    @classmethod
    def check_overrides(cls, overrides, *signatures):
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

    def save_to_preset(self, directory, description=None, **metadata):
        """Saves the network as a preset: whole, or not at all.

        Args:
            directory: A new or empty directory, or that of an earlier preset, which is replaced.
            description: None, or a sentence for the metadata and the model card.
            **metadata: Further entries of `metadata.json`, such as `metrics` (a list of dicts
                with name, value, dataset, split, command), `training`, `license`, `source`.

        Raises:
            ValueError: If the directory holds anything that is no file of a preset.
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

    def _write_files(self, folder, description, metadata):
        objects = self._preset_objects()
        for name, (class_name, config) in objects.items():
            hub.write_json(folder / name, hub.serialised(class_name, config))
        sums = {}
        for name, part in self._weight_parts().items():
            hub.save_weights(part, folder / name)
            sums[name] = hub.file_sha256(folder / name)
        content = {
            "keras_mlp3d_version": __version__,
            "keras_version": keras.__version__,
            "class_name": type(self).__name__,
            "description": description or f"A {type(self).__name__} saved from a session.",
            "parameter_count": sum(math.prod(v.shape) for v in self.weights),
            "weights": "bundled",
            "sha256": sums,
            "date_saved": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            **metadata,
        }
        converter = getattr(self, "converter", None)
        if converter is not None and "clip" not in content:
            config = converter.get_config()
            content["clip"] = {
                "frames": config["num_frames"],
                "size": list(config["image_size"]),
                "sampling": config["sampling"],
            }
        hub.write_json(folder / hub.METADATA, content)
        config, task, clip = (
            objects[name][1] if name in objects else None
            for name in (hub.CONFIG, hub.TASK, hub.CONVERTER)
        )
        card = hub.model_card(content, hub.serialised(type(self).__name__, config), task, clip)
        write_whole(folder / hub.CARD, card.encode())

    def _preset_objects(self):
        """Returns {file name: (class name, arguments)} of the JSON files of a preset."""
        return {hub.CONFIG: (type(self).__name__, portable_config(self))}

    def _weight_parts(self):
        """Returns {file name: model whose weights it holds}."""
        return {hub.WEIGHTS: self}

    def _load_preset_weights(self, files):
        sums = files.metadata.get("sha256", {})
        for name, part in self._weight_parts().items():
            if name == hub.TASK_WEIGHTS and files.task is None:
                continue  # The preset is a backbone, the head is new.
            if not (files.folder / name).is_file():
                raise FileNotFoundError(
                    f"The preset {files.handle!r} lacks its weights, {name}: get the file, or pass "
                    "load_weights=False to start from random ones."
                )
            hub.load_weights(part, files.folder / name, sums.get(name))

    @classmethod
    def _saved_form(cls, files, num_classes):
        """Builds the network exactly as the preset holds it."""
        return cls._from_files(files, None, {})

    def _take_weights(self, saved, skip):
        return transfer_weights(saved, self, skip)

    def head_layers(self):
        """Returns the layers that a new number of classes replaces."""
        return []

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        trainable = config.pop("trainable", True)
        model = cls(**config)
        model.trainable = trainable
        return model


def portable_config(model):
    """Returns the arguments of a model without what belongs to a session and not to a network."""
    config = model.get_config()
    return {key: value for key, value in config.items() if key not in ("name", "trainable")}


def check_class_names(num_classes, class_names):
    """Returns the class names as a list, or None, checked against their number."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"num_classes must be a positive integer, got {num_classes!r}.")
    if num_classes > MAX_CLASSES:
        raise ValueError(f"num_classes must be at most {MAX_CLASSES:,}, got {num_classes:,}.")
    if class_names is None:
        return None
    names = [class_names] if isinstance(class_names, str) else list(class_names)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be strings, got {names!r}.")
    # As manifests do: the same letters are the same class, whichever Unicode form they come in.
    names = [unicodedata.normalize("NFC", name) for name in names]
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            f"class_names must be {num_classes} different names, got {len(names)}"
            f"{'' if len(set(names)) == len(names) else ', some of them twice'}."
        )
    return names
