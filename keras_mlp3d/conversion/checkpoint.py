"""Reading PyTorch checkpoints as data: their code never runs, their stated sizes are checked."""

import argparse
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath

SUFFIXES = (".pth", ".safetensors")

#: How many float32 values a file may hold per weight of the network. A training checkpoint holds
#: the weights, their average and two moments of the optimizer, perhaps in float64. A `.safetensors`
#: file holds the weights alone.
MAX_COPIES = {".pth": 8, ".safetensors": 2}
SLACK_BYTES = 16 * 2**20


class CheckpointError(ValueError):
    """A checkpoint that is refused.

    Args:
        reason: What is wrong with it.
        advice: What its owner can do, a sentence or more; nothing if empty.

    Example:

    >>> str(CheckpointError("It is damaged.", "Download it again."))
    'It is damaged. Download it again.'
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason} {advice}".rstrip())
        self.reason = reason


# Start of a file that torch.save wrote before version 1.6: a pickle of its magic number.
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def read_checkpoint(path: StrPath, parameter_count: int) -> Any:
    """Read the tensors of a `.pth` or `.safetensors` file.

    Args:
        path: Path of the file.
        parameter_count: Number of parameters of the network that the file is for. A file far
            larger than such a network needs is refused before it is read.

    Returns:
        A dict of arrays. For `.pth`, any structure that was saved, with PyTorch tensors on the
        CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the library that reads this kind of file is not installed.
        ValueError: If the file is of another kind, too large, damaged, or holds code.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"A checkpoint is a {' or '.join(SUFFIXES)} file, got {str(path)!r}.")
    if not path.is_file():
        raise FileNotFoundError(f"Checkpoint {str(path)!r} does not exist, or is no file.")
    limit = MAX_COPIES[suffix] * 4 * parameter_count + SLACK_BYTES
    _check_size(path, path.stat().st_size, parameter_count, limit)
    if suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_torch(path, parameter_count, limit)


def _check_size(path: pathlib.Path, size: int, parameter_count: int, limit: int) -> None:
    if size > limit:
        raise ValueError(
            f"Checkpoint {str(path)!r} is refused: it has {size:,} bytes, and a checkpoint of a "
            f"network with {parameter_count:,} parameters has at most {limit:,}. Is it of a larger "
            "network?"
        )


def _read_safetensors(path: pathlib.Path) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            f"Reading {str(path)!r} needs the library safetensors: "
            "pip install 'keras-mlp3d[safetensors]'."
        ) from error
    try:
        # The format checks that the sizes in its header add up to the size of the file.
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"Checkpoint {str(path)!r} is damaged or no safetensors file: {_line(error)}."
        ) from error
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Checkpoint {str(path)!r} holds a dtype that NumPy lacks ({_line(error)}): save it "
            "as float32."
        ) from error


def _read_torch(path: pathlib.Path, parameter_count: int, limit: int) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {str(path)!r} needs PyTorch: pip install torch, or convert the file to "
            ".safetensors where PyTorch is installed."
        ) from error
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _check_archive(path, parameter_count, limit)
    else:
        with path.open("rb") as file:
            if file.read(len(_LEGACY_START)) != _LEGACY_START:
                raise ValueError(
                    f"Checkpoint {str(path)!r} is damaged or no file of torch.save. Other pickles "
                    "are not read, because they can hold code."
                )
    try:
        # A training checkpoint keeps its command line as an argparse.Namespace, which only holds
        # attributes. Of a mapped file, only the tensors that are used take memory.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=zipped)
    # This broad because a hostile file can make PyTorch's reader raise nearly any error.
    except Exception as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            raise CheckpointError(
                f"Checkpoint {str(path)!r} is refused: besides tensors it holds {code[1]}, and "
                "code in a checkpoint is never run.",
                "If you trust the file, load it in PyTorch and save its state dict alone.",
            ) from error
        raise ValueError(
            f"Checkpoint {str(path)!r} is damaged or no file of torch.save: {_line(error)}."
        ) from error


def _check_archive(path: pathlib.Path, parameter_count: int, limit: int) -> None:
    """Refuse an archive that grows when unpacked or is damaged: PyTorch compares no checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            damaged = archive.testzip() if size <= limit else None
    # zlib's errors, those of encrypted records, and more.
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, zlib.error, EOFError) as error:
        raise ValueError(
            f"Checkpoint {str(path)!r} is damaged or no file of torch.save: {_line(error)}."
        ) from error
    _check_size(path, size, parameter_count, limit)
    if damaged is not None:
        raise CheckpointError(
            f"Checkpoint {str(path)!r} is damaged: its record {printable(damaged)!r} has another "
            "checksum than it states.",
            "Get the file again. If it was saved without checksums "
            "(torch.serialization.set_crc32_options), save it with them.",
        )


def _line(error: Exception) -> str:
    """Return the first line of an error, without characters that could steer a terminal."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return printable(first.rstrip("."))


def find_state_dict(content: Any, name: str) -> dict[str, Any]:
    """Find the state dict in a checkpoint's content.

    Args:
        content: The state dict, or a dict with the state dict under "model".
        name: What the checkpoint is called in messages.

    Returns:
        {key: array}; without the prefix "module." if all keys have it.

    Raises:
        ValueError: If it holds no state dict.
    """
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(
            f"{name} must hold a state dict, itself or under the key 'model', got "
            f"{'nothing' if isinstance(content, Mapping) else type(content).__name__}."
        )
    for key, value in content.items():
        if not isinstance(key, str) or not hasattr(value, "shape"):
            raise ValueError(
                f"{name} must hold a state dict, itself or under the key 'model': one array per "
                f"name; got {type(value).__name__} under {key!r}."
            )
    # Networks trained with torch.nn.DataParallel have this prefix in every name.
    if all(key.startswith("module.") for key in content):
        return {key.removeprefix("module."): value for key, value in content.items()}
    return dict(content)
