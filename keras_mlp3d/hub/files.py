"""The files of a preset: their names, and reading and writing them as data.

A preset is a folder with KerasHub's file names: `config.json` (the network), `metadata.json`,
`model.weights.h5`, `task.json` and `task.weights.h5` (the classifier), `video_converter.json`
(how videos become clips) and `README.md` (the model card). Instead of the `.weights.h5` files, it
may have `model.safetensors` and `task.safetensors`.
"""

import json
import math
import os
import pathlib
import stat
from collections.abc import Callable, Mapping
from typing import Any

from keras_mlp3d._utils.atomic_write import folder_beside, naming, write_whole
from keras_mlp3d._utils.printable import json_text, printable_class_names
from keras_mlp3d._utils.types import StrPath

CONFIG, METADATA, TASK, CONVERTER, CARD = (
    "config.json",
    "metadata.json",
    "task.json",
    "video_converter.json",
    "README.md",
)
WEIGHTS, TASK_WEIGHTS = "model.weights.h5", "task.weights.h5"
#: {format: {name of a weights file in HDF5: its name in that format}}.
WEIGHTS_FORMATS = {
    "h5": {WEIGHTS: WEIGHTS, TASK_WEIGHTS: TASK_WEIGHTS},
    "safetensors": {WEIGHTS: "model.safetensors", TASK_WEIGHTS: "task.safetensors"},
}
PRESET_FILES = (
    *(CONFIG, METADATA, TASK, CONVERTER, CARD),
    *(name for names in WEIGHTS_FORMATS.values() for name in names.values()),
)

MAX_JSON_BYTES = 4 * 2**20
_SAFE = "The preset that was there before is untouched."


def read_json(
    path: pathlib.Path,
    max_bytes: int = MAX_JSON_BYTES,
    not_finite: Callable[[str], Any] = float,
) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: `pathlib.Path` of the file.
        max_bytes: Size of the largest file that is read.
        not_finite: Function that gets the text of a number that is not finite, such as NaN or
            1e999, and returns what stands for it.

    Returns:
        The object as a dict.

    Raises:
        ValueError: If the file is larger, or holds anything else, or is a pipe or a device.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.json")
    ...     write_json(path, {"a": 1})
    ...     read_json(path)
    {'a': 1}
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise ValueError(f"{path} is no file.")
    size = status.st_size
    if size > max_bytes:
        raise ValueError(f"{path} has {size:,} bytes; at most {max_bytes:,} are read.")

    def number(text: str) -> Any:
        return value if math.isfinite(value := float(text)) else not_finite(text)

    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, parse_float=number, parse_constant=not_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def read_object(path: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """Read a serialized object of this package.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        Its class name and its arguments.

    Raises:
        ValueError: If the file is damaged or holds anything else.
    """
    content = read_json(path)
    registered = content.get("registered_name")
    package, _, class_name = str(registered).partition(">")
    if package != "keras_mlp3d" or not class_name or not isinstance(content.get("config"), dict):
        raise ValueError(
            f"{path} is no file of a keras_mlp3d preset: expected 'registered_name' "
            f"'keras_mlp3d>...' and 'config', got registered_name {registered!r}."
        )
    _check_plain(path, content["config"])
    return class_name, content["config"]


def serialized(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object that a preset's files hold for an object of this package.

    Args:
        class_name: Name of the object's class.
        config: Its arguments, plain values.

    Raises:
        ValueError: If an argument is itself a serialized object, which no preset may hold.

    Example:

    >>> serialized("VideoConverter", {"num_frames": 8})
    {'registered_name': 'keras_mlp3d>VideoConverter', 'config': {'num_frames': 8}}
    """
    _check_plain(class_name, config)
    return {"registered_name": f"keras_mlp3d>{class_name}", "config": config}


def _check_plain(where: StrPath, config: Mapping[str, Any]) -> None:
    """Refuse arguments that Keras would turn into objects of any class that they name."""
    dicts = [config]
    while dicts:
        for key, value in dicts.pop().items():
            if not isinstance(value, dict):
                continue
            if "class_name" in value or "module" in value:
                raise ValueError(
                    f"{where}: {key!r} must be a plain value, such as the name of an activation or "
                    f"of a dtype policy, got a serialized {value.get('class_name')!r}."
                )
            dicts.append(value)


def make_class_names_printable(config: dict[str, Any]) -> None:
    """Make the class names in a configuration safe to print and to save, in place, at any depth.

    Args:
        config: Arguments of a network or a classifier.

    Example:

    >>> config = {"task": {"class_names": ["up", 2]}}
    >>> make_class_names_printable(config)
    >>> config
    {'task': {'class_names': ['up', '2']}}
    """
    dicts = [config]
    while dicts:
        current = dicts.pop()
        names = current.get("class_names")
        if isinstance(names, list | tuple):
            current["class_names"] = printable_class_names(names)
        dicts.extend(value for value in current.values() if isinstance(value, dict))


def write_json(path: StrPath, content: Any) -> None:
    """Write `content` as readable JSON with a newline at its end.

    Args:
        path: Path of the file; an earlier one is replaced.
        content: Dict, list or other value that JSON knows. NumPy numbers and arrays become plain
            ones. Control characters and lone surrogates become their JSON escapes.

    Raises:
        TypeError: If the content holds anything else.
        ValueError: If it holds a number that is not finite.
        OSError: If the file cannot be written; it is named, and an earlier one stays.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(pathlib.Path(folder, "a.json"), {"a": 1})
    ...     pathlib.Path(folder, "a.json").read_text().split()
    ['{', '"a":', '1', '}']
    """
    write_whole(path, (json_text(content) + "\n").encode())


def check_directory(directory: StrPath) -> pathlib.Path:
    """Refuse a directory in which a preset would overwrite other files, or mix with them.

    Args:
        directory: Where a preset is to be written. It must be absent, empty, or a preset.

    Returns:
        Its absolute `pathlib.Path`.

    Raises:
        ValueError: If it is a file, a mount point or the current directory, or holds anything that
            is no file of a preset.

    Example:

    >>> check_directory("presets_of_mine/first").name
    'first'
    """
    path = pathlib.Path(directory).resolve()
    if not path.exists():
        return path
    if not path.is_dir():
        raise ValueError(f"Cannot write a preset to {str(path)!r}: it is a file.")
    if path.is_mount():
        raise ValueError(
            f"Cannot write a preset to {str(path)!r}: a file system is mounted there, and a preset "
            f"is moved to its place whole. Name a folder in it, such as {str(path / 'preset')!r}."
        )
    if pathlib.Path.cwd().is_relative_to(path):
        raise ValueError(
            f"Cannot write a preset to {str(path)!r}: it is, or is above, the current directory."
        )
    entries = sorted(path.iterdir())
    foreign = [p.name for p in entries if p.name not in PRESET_FILES or not p.is_file()]
    if entries and not foreign:
        # Presets of KerasHub have the same names, and any project has a README.md.
        try:
            read_object(path / CONFIG)
        except (ValueError, OSError):
            foreign = [p.name for p in entries]
    if foreign:
        raise ValueError(
            f"Cannot write a preset to {str(path)!r}: it holds {', '.join(foreign[:5])}, which "
            "would be lost. Choose a new or an empty directory, or that of an earlier preset."
        )
    return path


def write_preset(directory: StrPath, write_files: Callable[[pathlib.Path], object]) -> None:
    """Write a preset whole or not at all.

    Args:
        directory: Where it goes: absent, empty, or an earlier preset, which it replaces.
        write_files: Function that gets an empty folder next to `directory` and fills it.

    Raises:
        ValueError: If the directory holds anything else.
        OSError: If a file cannot be written; it is named, and an earlier preset stays.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     preset = pathlib.Path(folder, "preset")
    ...     write_preset(preset, lambda new: write_json(new / "config.json", {}))
    ...     sorted(path.name for path in preset.iterdir())
    ['config.json']
    """
    path = check_directory(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(path) as beside:
        fresh, previous = beside / "new", beside / "old"
        with naming(path, _SAFE if path.exists() else None, [fresh]):
            fresh.mkdir()
            write_files(fresh)
            try:
                if path.exists():
                    os.rename(path, previous)
                os.rename(fresh, path)
            except BaseException:
                # Also after an interrupt: `beside` is deleted with all that is in it.
                if previous.exists() and not path.exists():
                    os.rename(previous, path)
                raise
