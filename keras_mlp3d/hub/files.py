"""The files of a preset: their names, and reading and writing them as data.

A preset is a folder with KerasHub's file names: `config.json` (the network), `metadata.json`,
`model.weights.h5`, `task.json` and `task.weights.h5` (the classifier), `video_converter.json`
(how videos become clips) and `README.md` (the model card).
"""

import hashlib
import json
import os
import pathlib
import tempfile

from keras_mlp3d._utils.atomic_write import naming, write_whole

CONFIG, METADATA, TASK, CONVERTER, CARD = (
    "config.json",
    "metadata.json",
    "task.json",
    "video_converter.json",
    "README.md",
)
WEIGHTS, TASK_WEIGHTS = "model.weights.h5", "task.weights.h5"
PRESET_FILES = (CONFIG, METADATA, WEIGHTS, TASK, TASK_WEIGHTS, CONVERTER, CARD)

MAX_JSON_BYTES = 4 * 2**20
_SAFE = "The preset that was there before is untouched."


def read_json(path, max_bytes=MAX_JSON_BYTES):
    """Reads a JSON object from a file.

    Args:
        path: `pathlib.Path` of the file.
        max_bytes: Size of the largest file that is read.

    Raises:
        ValueError: If the file is larger, or holds anything else.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(f"{path} has {size:,} bytes; at most {max_bytes:,} are read.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def read_object(path):
    """Returns (class name, arguments) of a serialised object of this package, and of no other.

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


def serialised(class_name, config):
    """Returns the JSON object that a preset's files hold for an object of this package.

    Args:
        class_name: Name of the object's class.
        config: Its arguments, plain values.

    Raises:
        ValueError: If an argument is itself a serialised object, which no preset may hold.

    Example:

    >>> serialised("VideoConverter", {"num_frames": 8})
    {'registered_name': 'keras_mlp3d>VideoConverter', 'config': {'num_frames': 8}}
    """
    _check_plain(class_name, config)
    return {"registered_name": f"keras_mlp3d>{class_name}", "config": config}


def _check_plain(where, config):
    """Refuses arguments that Keras would turn into objects of any class that they name."""
    for key, value in config.items():
        if not isinstance(value, dict):
            continue
        if "class_name" in value or "module" in value:
            raise ValueError(
                f"{where}: {key} must be a plain value, such as the name of an activation or of a "
                f"dtype policy, got a serialised {value.get('class_name')!r}."
            )
        _check_plain(where, value)


def write_json(path, content):
    """Writes `content` as readable JSON, a newline at its end.

    Args:
        path: Path of the file; an earlier one is replaced.
        content: Dict, list or other value that JSON knows.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(pathlib.Path(folder, "a.json"), {"a": 1})
    ...     pathlib.Path(folder, "a.json").read_text().split()
    ['{', '"a":', '1', '}']
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode())


def file_sha256(path):
    """Returns the SHA-256 of a file's content in hexadecimal digits.

    Args:
        path: Path of the file.

    Example:

    >>> file_sha256(os.devnull)[:16]
    'e3b0c44298fc1c14'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_directory(directory):
    """Refuses a directory whose content a preset would overwrite or mix with.

    Args:
        directory: Where a preset is to be written: absent, empty, or a preset.

    Returns:
        The `pathlib.Path` of it, absolute.

    Raises:
        ValueError: If it holds anything that is no file of a preset, is a file, or is the current
            directory.

    Example:

    >>> check_directory("presets_of_mine/first").name
    'first'
    """
    path = pathlib.Path(directory).resolve()
    if not path.exists():
        return path
    if not path.is_dir():
        raise ValueError(f"Cannot write a preset to {str(path)!r}: it is a file.")
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


def write_preset(directory, write_files):
    """Writes a preset whole or not at all.

    Args:
        directory: Where it goes: absent, empty, or an earlier preset, which it replaces.
        write_files: Function that gets an empty folder beside `directory` and fills it.

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
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as beside:
        fresh, previous = pathlib.Path(beside, "new"), pathlib.Path(beside, "old")
        with naming(path, _SAFE if path.exists() else None, [fresh]):
            fresh.mkdir()
            write_files(fresh)
        try:
            if path.exists():
                os.rename(path, previous)
            os.rename(fresh, path)
        except BaseException:
            # Whatever came between, an interrupt too: `beside` and all in it is about to go.
            if previous.exists() and not path.exists():
                os.rename(previous, path)
            raise
