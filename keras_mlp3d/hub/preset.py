"""Presets as data: finding, reading and writing the folder that holds a network.

A preset is a folder with KerasHub's file names: `config.json` (the network), `metadata.json`,
`model.weights.h5`, `task.json` and `task.weights.h5` (the classifier), `video_converter.json`
(how videos become clips) and `README.md` (the model card).
"""

import dataclasses
import difflib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

CONFIG, METADATA, TASK, CONVERTER, CARD = (
    "config.json",
    "metadata.json",
    "task.json",
    "video_converter.json",
    "README.md",
)
WEIGHTS, TASK_WEIGHTS = "model.weights.h5", "task.weights.h5"
PRESET_FILES = (CONFIG, METADATA, WEIGHTS, TASK, TASK_WEIGHTS, CONVERTER, CARD)
#: Which files a preset on the Hub must have; the others are taken where they exist.
HUB_FILES = {name: name in (CONFIG, METADATA, WEIGHTS) for name in PRESET_FILES if name != CARD}

MAX_JSON_BYTES = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class Clip:
    """The clip that a preset is made for: frames, (height, width) in pixels, way of sampling."""

    frames: int
    size: tuple[int, int]
    sampling: str


@dataclasses.dataclass(frozen=True)
class Preset:
    """What the files of a preset say, checked for form; weights stay on disk.

    Args:
        handle: What the preset was asked for by, for messages.
        folder: Folder that holds its files.
        class_name: "MLP3D", "MLP3DBackbone", "TwoPathMLP3D" or "CycleMLP".
        config: Arguments of the network.
        task: Arguments of the classifier, or None.
        converter: Arguments of the `VideoConverter`, or None.
        metadata: `metadata.json` as it stands.
    """

    handle: str
    folder: pathlib.Path
    class_name: str
    config: dict
    task: dict | None
    converter: dict | None
    metadata: dict

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


def find_preset(handle):
    """Finds a preset and returns the folder that holds its files.

    Args:
        handle: Built-in name, path of a directory, or "hf://user/repo[@revision]".

    Returns:
        `pathlib.Path` of the folder; a preset on the Hub is downloaded, or taken from the cache.

    Raises:
        ValueError: If there is no such preset, or the directory holds none.
        keras_mlp3d.hub.HubError: If the Hub cannot give it.
    """
    name = os.fspath(handle)
    if name.startswith("hf://"):
        from keras_mlp3d.hub.remote import download_preset

        return download_preset(name, HUB_FILES)
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


def read_preset(handle):
    """Reads the preset of that name, directory or address.

    Args:
        handle: Built-in name, path of a directory, or "hf://user/repo[@revision]".

    Returns:
        A `Preset`.

    Raises:
        ValueError: If there is no such preset or one of its files is damaged.

    Example:

    >>> read_preset("mlp3d_xs").config["channels"]
    [64, 128, 320, 512]
    """
    folder = find_preset(handle)
    class_name, config = _read_object(folder / CONFIG)
    task_class, task = (
        _read_object(folder / TASK) if (folder / TASK).is_file() else (class_name, None)
    )
    converter = _read_object(folder / CONVERTER)[1] if (folder / CONVERTER).is_file() else None
    metadata = _read_json(folder / METADATA) if (folder / METADATA).is_file() else {}
    return Preset(os.fspath(handle), folder, task_class, config, task, converter, metadata)


def _read_json(path):
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{path} has {size:,} bytes; at most {MAX_JSON_BYTES:,} are read.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def _read_object(path):
    """Returns (class name, arguments) of a serialised object of this package, and of no other."""
    content = _read_json(path)
    registered = content.get("registered_name")
    package, _, class_name = str(registered).partition(">")
    if package != "keras_mlp3d" or not class_name or not isinstance(content.get("config"), dict):
        raise ValueError(
            f"{path} is no file of a keras_mlp3d preset: expected 'registered_name' "
            f"'keras_mlp3d>...' and 'config', got registered_name {registered!r}."
        )
    return class_name, content["config"]


def serialised(class_name, config):
    """Returns the JSON object that a preset's files hold for an object of this package."""
    return {"registered_name": f"keras_mlp3d>{class_name}", "config": config}


def file_sha256(path):
    """Returns the SHA-256 of a file's content in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_directory(directory):
    """Refuses a directory whose content a preset would overwrite or mix with.

    Args:
        directory: Where a preset is to be written: absent, empty, or a preset.

    Raises:
        ValueError: If it holds anything that is no file of a preset, or is a file.
    """
    path = pathlib.Path(directory)
    if path.exists() and not path.is_dir():
        raise ValueError(f"Cannot write a preset to {str(path)!r}: it is a file.")
    foreign = (
        sorted(p.name for p in path.iterdir() if p.name not in PRESET_FILES)
        if (path.is_dir())
        else []
    )
    if foreign:
        raise ValueError(
            f"Cannot write a preset to {str(path)!r}: it holds {', '.join(foreign[:5])}, which "
            "would be lost. Choose a new or an empty directory, or that of an earlier preset."
        )
    return path


def write_preset(directory, write_files):
    """Writes a preset whole or not at all.

    Args:
        directory: Where it goes: absent, empty, or an earlier preset, which it replaces.
        write_files: Function that gets an empty folder beside `directory` and fills it.

    Raises:
        ValueError: If the directory holds anything else.
    """
    path = check_directory(directory).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as beside:
        fresh, previous = pathlib.Path(beside, "new"), pathlib.Path(beside, "old")
        fresh.mkdir()
        write_files(fresh)
        if path.exists():
            os.rename(path, previous)
        try:
            os.rename(fresh, path)
        except OSError:
            if previous.exists():
                shutil.move(previous, path)
            raise


def write_json(path, content):
    """Writes `content` as readable JSON, a newline at its end."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")
