"""Presets as data: finding and reading the folder that holds a network."""

import dataclasses
import difflib
import os
import pathlib
import re

from keras_mlp3d.hub.files import (
    CONFIG,
    CONVERTER,
    METADATA,
    TASK,
    TASK_WEIGHTS,
    WEIGHTS,
    read_json,
    read_object,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Clip:
    """The clip that a preset is made for: frames, (height, width) in pixels, way of sampling."""

    frames: int
    size: tuple[int, int]
    sampling: str


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a network: channels, depths and channel MLP ratios of the four stages."""

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    mlp_ratios: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Preset:
    """What the files of a preset say, checked for form; weights stay on disk.

    Args:
        handle: What the preset was asked for by, for messages.
        folder: Folder that holds its files.
        class_name: "MLP3D", "MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP" or "CycleMLP".
        config: Arguments of the network.
        task: Arguments of the classifier, or None.
        converter: Arguments of the `VideoConverter`, or None.
        metadata: `metadata.json` as it stands.

    Example:

    >>> preset = read_preset("cyclemlp_b1")
    >>> preset.class_name, preset.weights, preset.parameter_count
    ('CycleMLP', 'none', 15155400)
    """

    handle: str
    folder: pathlib.Path
    class_name: str
    config: dict
    task: dict | None
    converter: dict | None
    metadata: dict

    @property
    def size(self):
        """The `Size` of the network; of the appearance path where there are two."""
        config = self.config.get("appearance", {}).get("backbone", self.config)
        return Size(*(tuple(config[name]) for name in ("channels", "depths", "mlp_ratios")))

    @property
    def schedule(self):
        """(kind, group size) of every block, or None for a network without time mixing."""
        config = self.config.get("appearance", {}).get("backbone", self.config)
        pairs = config.get("schedule")
        return pairs and tuple(tuple(pair) for pair in pairs)

    @property
    def drop_path_rate(self):
        """Rate of stochastic depth at the last block."""
        return self.config.get("appearance", {}).get("backbone", self.config)["drop_path_rate"]

    @property
    def weights(self):
        """Where the weights come from: "none", "bundled" or an `hf://` address."""
        return self.metadata.get("weights", "bundled")

    @property
    def parameter_count(self):
        """Exact number of parameters, classifier included where there is one."""
        return self.metadata["parameter_count"]

    @property
    def macs(self):
        """Multiply-accumulates of one clip of the preset's size, or None where not stated."""
        return self.metadata.get("macs")

    @property
    def description(self):
        """One sentence on the network, its schedule and its weights."""
        return self.metadata.get("description", "")

    @property
    def clip(self):
        """The `Clip` that the preset is made for, or None where not stated."""
        clip = self.metadata.get("clip")
        return clip and Clip(clip["frames"], tuple(clip["size"]), clip["sampling"])

    @property
    def class_names(self):
        """Names of the classes in the order of the outputs, or None."""
        return (self.task or self.config).get("class_names")


def builtin_folder():
    """Returns the folder of the built-in presets, in a wheel or in a checkout."""
    package = pathlib.Path(__file__).resolve().parent.parent
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def list_presets():
    """Returns the names of the built-in presets, sorted.

    Example:

    >>> "mlp3d_xs" in list_presets()
    True
    """
    return sorted(path.parent.name for path in builtin_folder().glob(f"*/{CONFIG}"))


def find_preset(handle, weights=False):
    """Finds a preset and returns the folder that holds its files.

    Args:
        handle: Built-in name, path of a directory, or "hf://user/repo[@revision]".
        weights: Whether a preset on the Hub must come with its weights; without, only its few
            kilobytes of JSON are downloaded.

    Returns:
        `pathlib.Path` of the folder; a preset on the Hub is downloaded, or taken from the cache.

    Raises:
        ValueError: If there is no such preset, or the directory holds none.
        keras_mlp3d.hub.HubError: If the Hub cannot give it.
    """
    if not isinstance(handle, str | os.PathLike):
        raise ValueError(f"A preset is named by a string or a path, got {type(handle).__name__}.")
    name = os.fspath(handle)
    if name.startswith("hf://"):
        from keras_mlp3d.hub.remote import download_preset

        # Which files the preset must have; the others are taken where they exist.
        files = {CONFIG: True, METADATA: True, TASK: False, CONVERTER: False}
        return download_preset(
            name, files | ({WEIGHTS: True, TASK_WEIGHTS: False} if weights else {})
        )
    if name in list_presets():
        return builtin_folder() / name
    folder = pathlib.Path(name)
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise ValueError(f"The directory {name!r} holds no preset: {CONFIG} is missing.")
        return folder
    close = difflib.get_close_matches(name, list_presets(), n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"Unknown preset {name!r}: neither a built-in name ({', '.join(list_presets())}), nor a "
        f"directory that exists, nor an address hf://user/repo.{hint}"
    )


def read_preset(handle, weights=False):
    """Reads the preset of that name, directory or address.

    Args:
        handle: Built-in name, path of a directory, or "hf://user/repo[@revision]".
        weights: Whether a preset on the Hub must come with its weights, to be loaded from
            `Preset.folder`.

    Returns:
        A `Preset`.

    Raises:
        ValueError: If there is no such preset or one of its files is damaged.
        keras_mlp3d.hub.HubError: If the Hub cannot give it.

    Example:

    >>> read_preset("mlp3d_xs").config["channels"]
    [64, 128, 320, 512]
    """
    folder = find_preset(handle, weights)
    class_name, config = read_object(folder / CONFIG)
    task_class, task = (
        read_object(folder / TASK) if (folder / TASK).is_file() else (class_name, None)
    )
    converter = read_object(folder / CONVERTER)[1] if (folder / CONVERTER).is_file() else None
    metadata = read_json(folder / METADATA) if (folder / METADATA).is_file() else {}
    _check_metadata(folder / METADATA, metadata)
    return Preset(os.fspath(handle), folder, task_class, config, task, converter, metadata)


def _check_metadata(path, metadata):
    """Refuses metadata whose entries that the package itself reads have another form."""

    def is_count(value):
        return isinstance(value, int) and not isinstance(value, bool) and value > 0

    sums, clip = metadata.get("sha256", {}), metadata.get("clip")
    size = clip.get("size") if isinstance(clip, dict) else None
    good = {
        "weights": isinstance(metadata.get("weights", ""), str),
        "description": isinstance(metadata.get("description", ""), str),
        "parameter_count": is_count(metadata.get("parameter_count", 1)),
        "macs": metadata.get("macs") is None or is_count(metadata["macs"]),
        "sha256": isinstance(sums, dict)
        and all(isinstance(value, str) and _SHA256.fullmatch(value) for value in sums.values()),
        "clip": clip is None
        or (
            isinstance(size, list)
            and len(size) == 2
            and all(is_count(value) for value in (clip.get("frames"), *size))
            and isinstance(clip.get("sampling"), str)
        ),
    }
    for key, fine in good.items():
        if not fine:
            raise ValueError(f"{path} is damaged: {key!r} cannot be {metadata[key]!r}.")
