"""Presets as data: finding and reading the folder that holds a network."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.files import (
    CONFIG,
    CONVERTER,
    METADATA,
    TASK,
    TASK_WEIGHTS,
    WEIGHTS,
    WEIGHTS_FORMATS,
    make_class_names_printable,
    read_object,
)
from keras_mlp3d.hub.local_folder import local_folder
from keras_mlp3d.hub.metadata import read_metadata
from keras_mlp3d.hub.weights import WeightsFile, check_weights_file

if TYPE_CHECKING:
    from keras_mlp3d.data.video.converter import VideoConverter

#: Start of the metadata's "weights" if they are those of another preset, inflated.
INFLATE = "inflate:"


@dataclasses.dataclass(frozen=True)
class Clip:
    """The clip that a preset is made for.

    Args:
        frames: Number of frames.
        size: (height, width) in pixels.
        sampling: How the frames are sampled from a video.

    Example:

    >>> read_preset("mlp3d_nano").clip.size
    (32, 32)
    """

    frames: int
    size: tuple[int, int]
    sampling: str


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a network.

    Args:
        channels: Channels of the four stages.
        depths: Number of blocks of the four stages.
        mlp_ratios: Ratios of the channel MLPs of the four stages.

    Example:

    >>> read_preset("mlp3d_nano").size.channels
    (16, 32, 64, 96)
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    mlp_ratios: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Preset:
    """The JSON files of a preset, each read once and checked for form; weights stay on disk.

    Args:
        handle: What the preset was asked for by, for messages.
        folder: Folder that holds its files.
        class_name: "MLP3D", "MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP" or "CycleMLP".
        config: Arguments of the network.
        task: Arguments of the classifier, or None.
        converter: Arguments of the `VideoConverter`, or None.
        metadata: Content of `metadata.json`. None stands for each number that is not finite.
        sha256: {file name: SHA-256} of the files that the download has hashed.

    Example:

    >>> preset = read_preset("cyclemlp_b1")
    >>> preset.class_name, preset.weights, preset.parameter_count
    ('CycleMLP', 'none', 15155400)
    """

    handle: str
    folder: pathlib.Path
    class_name: str
    config: dict[str, Any]
    task: dict[str, Any] | None
    converter: dict[str, Any] | None
    metadata: dict[str, Any]
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> Size:
        """The `Size` of the network; of the appearance path if there are two."""
        config = self._first_backbone
        return Size(*(tuple(config[name]) for name in ("channels", "depths", "mlp_ratios")))

    @property
    def schedule(self) -> tuple[tuple[str, int | None], ...] | None:
        """(kind, group size) of every block, or None for a network without time mixing."""
        pairs = self._first_backbone.get("schedule")
        return pairs and tuple(tuple(pair) for pair in pairs)

    @property
    def drop_path_rate(self) -> float:
        """Rate of stochastic depth at the last block."""
        return self._first_backbone["drop_path_rate"]

    @property
    def _first_backbone(self) -> dict[str, Any]:
        return self.config.get("appearance", {}).get("backbone", self.config)

    @property
    def weights(self) -> str:
        """Where the weights come from.

        "none", "bundled" or an `hf://` address. A built-in preset may also name a checkpoint that
        is converted at the first load (`https://`), or the preset of a CycleMLP whose weights it
        starts from ("inflate:NAME").
        """
        return self.metadata.get("weights", "bundled")

    @property
    def is_converted(self) -> bool:
        """Whether the weights are made on the user's machine, at the first load.

        The preset of another origin cannot ask for that: it could name any address.
        """
        made = self.weights.startswith(("https://", INFLATE))
        return made and self.folder.parent == builtin_folder()

    @property
    def download_bytes(self) -> int | None:
        """The least that the first load downloads, the weights in float32; None if it does not."""
        if not self.is_converted:
            return None
        if self.weights.startswith(INFLATE):
            return read_builtin(self.weights.removeprefix(INFLATE)).download_bytes
        return 4 * self.parameter_count

    @property
    def parameter_count(self) -> int:
        """Exact number of parameters, including the classifier."""
        return self.metadata["parameter_count"]

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates per clip of the preset's size, or None if not stated."""
        return self.metadata.get("macs")

    @property
    def description(self) -> str:
        """One sentence on the network, its schedule and its weights, safe to print."""
        return printable(self.metadata.get("description", ""))

    @property
    def clip(self) -> Clip | None:
        """The `Clip` that the preset is made for, or None if not stated."""
        clip = self.metadata.get("clip")
        return clip and Clip(clip["frames"], tuple(clip["size"]), clip["sampling"])

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes in the order of the outputs, or None."""
        return (self.task or self.config).get("class_names")

    def weights_name(self, name: str) -> str:
        """Return the name that a weights file has in the format of this preset.

        The metadata list the files of a preset; if they do not, the folder is looked through.

        Args:
            name: Its name in HDF5, such as `hub.WEIGHTS`.
        """
        names = [names[name] for names in WEIGHTS_FORMATS.values()]
        listed = [name for name in names if name in self.metadata.get("sha256", {})]
        found = [name for name in names if (self.folder / name).is_file()]
        return next(iter((*listed, *found)), name)

    def weights_file(self, name: str) -> WeightsFile:
        """Check a weights file of the preset; its SHA-256 is taken once, its arrays not read.

        Args:
            name: Its name in HDF5, such as `hub.WEIGHTS`; the file may have the other format.

        Returns:
            A `WeightsFile`.

        Raises:
            FileNotFoundError: If the preset lacks the file.
            ValueError: If the file is damaged or hostile.
        """
        name = self.weights_name(name)
        if not (self.folder / name).is_file():
            raise FileNotFoundError(
                f"The preset {self.handle!r} lacks its weights, {name}: get the file, or pass "
                "load_weights=False to start from random ones."
            )
        stated = self.metadata.get("sha256", {}).get(name)
        return check_weights_file(self.folder / name, stated, self.sha256.get(name))


def builtin_folder() -> pathlib.Path:
    """Return the folder of the built-in presets, in a wheel or in a checkout.

    Example:

    >>> (builtin_folder() / "mlp3d_xs" / "config.json").is_file()
    True
    """
    package = pathlib.Path(__file__).resolve().parent.parent
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def list_presets() -> list[str]:
    """Return the names of the built-in presets, sorted.

    Example:

    >>> "mlp3d_xs" in list_presets()
    True
    """
    return sorted(path.parent.name for path in builtin_folder().glob(f"*/{CONFIG}"))


def read_preset(handle: "StrPath | Preset") -> Preset:
    """Read the JSON files of a preset, without its weights.

    Args:
        handle: Built-in name, path of a directory, or "hf://user/repo[@revision]". Of a preset on
            the Hub, only the JSON files are downloaded. A `Preset` is returned as it is. If a
            preset in the current directory has a built-in name, write "./NAME" to load it.

    Returns:
        A `Preset`. Its class names are as `printable_class_names` returns them.

    Raises:
        ValueError: If there is no such preset, or one of its files is damaged, or a built-in preset
            and one in the current directory have the same name.
        HubError: If the Hub cannot provide it.

    Example:

    >>> read_preset("mlp3d_xs").config["channels"]
    [64, 128, 320, 512]
    """
    if isinstance(handle, Preset):
        return handle
    if not isinstance(handle, str | os.PathLike):
        raise ValueError(f"A preset is named by a string or a path, got {type(handle).__name__}.")
    name = os.fspath(handle)
    if name.startswith("hf://"):
        from keras_mlp3d.hub.download import download_preset

        # True for the files that the preset must have.
        wanted = {CONFIG: True, METADATA: True, TASK: False, CONVERTER: False}
        download = download_preset(name, wanted)
        return _read(name, download.folder, download.sha256)
    return _read(name, local_folder(handle, builtin_folder(), list_presets()), {})


def read_builtin(name: str) -> Preset:
    """Read the JSON files of a built-in preset, whatever the current directory holds.

    Args:
        name: One of `list_presets()`.

    Example:

    >>> read_builtin("mlp3d_xs").weights
    'none'
    """
    return _read(name, builtin_folder() / name, {})


def _read(name: str, folder: pathlib.Path, sums: Mapping[str, str]) -> Preset:
    """Read the JSON files in the folder of a preset."""
    class_name, config = read_object(folder / CONFIG)
    task_class, task = (
        read_object(folder / TASK) if (folder / TASK).is_file() else (class_name, None)
    )
    converter = read_object(folder / CONVERTER)[1] if (folder / CONVERTER).is_file() else None
    metadata = read_metadata(folder / METADATA) if (folder / METADATA).is_file() else {}
    for content in (config, task or {}):
        make_class_names_printable(content)
    return Preset(name, folder, task_class, config, task, converter, metadata, sums)


def fetch_weights(preset: Preset) -> Preset:
    """Download the weights of a preset on the Hub; any other preset has them in its folder.

    Args:
        preset: A `Preset`.

    Returns:
        The preset with its weights on disk, of the same commit as its other files.

    Raises:
        HubError: If the Hub cannot provide them.

    Example:

    >>> preset = read_preset("mlp3d_nano")
    >>> fetch_weights(preset) is preset
    True
    """
    if not preset.handle.startswith("hf://"):
        return preset
    from keras_mlp3d.hub.download import download_preset

    if preset.metadata.get("sha256"):
        wanted = {preset.weights_name(WEIGHTS): True, preset.weights_name(TASK_WEIGHTS): False}
    else:  # nothing tells the format
        wanted = {name: False for names in WEIGHTS_FORMATS.values() for name in names.values()}
        wanted[CONFIG] = True
    download = download_preset(preset.handle, wanted, commit=preset.folder.name)
    return dataclasses.replace(preset, folder=download.folder, sha256=download.sha256)


def make_converter(config: dict[str, Any]) -> "VideoConverter":
    """Return the `VideoConverter` of a preset.

    Args:
        config: Arguments of the converter, from `video_converter.json`.

    Raises:
        ValueError: If an argument is unknown or wrong.

    Example:

    >>> make_converter({"num_frames": 16, "image_size": [64, 64]}).num_frames
    16
    """
    # Late: a network needs no video decoder.
    from keras_mlp3d.data.video.converter import VideoConverter

    return VideoConverter.from_config(config)
