"""Presets whose weights were converted on this machine: kept in the user's cache, and checked.

The cache is the folder for assets of `huggingface_hub`: `HF_ASSETS_CACHE`, or `assets` in
`HF_HOME`. It holds one preset per built-in preset that was asked for.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.client import HubError
from keras_mlp3d.hub.files import METADATA, WEIGHTS
from keras_mlp3d.hub.metadata import read_metadata
from keras_mlp3d.hub.preset import Preset
from keras_mlp3d.hub.weights import file_sha256

#: Increased when the same checkpoint is converted to other weights.
_CONVERSION = 1
#: What the metadata of the cached preset say, besides those of the built-in preset.
_FROM_CACHE = ("sha256", "weights_sha256", "source")

_logger = logging.getLogger("keras_mlp3d")


def converted_preset(preset: Preset, convert: Callable[[pathlib.Path], object]) -> Preset:
    """Return a preset with its converted weights from the cache; convert them if they are absent.

    Each weights file is hashed at every load. If it is not as it was written, a warning says so and
    the weights are converted again. Several processes may ask at once: one converts, the others
    wait for it.

    Args:
        preset: A built-in preset.
        convert: Function that gets the folder to write the preset to.

    Returns:
        The preset, with its weights on disk.

    Raises:
        ValueError: If the weights of the preset come from elsewhere.
        HubError: If the cache cannot be written.

    Example:

    >>> from keras_mlp3d.hub import read_preset
    >>> try:
    ...     converted_preset(read_preset("mlp3d_nano"), print)
    ... except ValueError as error:
    ...     print(error)
    The weights of the preset 'mlp3d_nano' are not converted: they are 'none'.
    """
    from huggingface_hub import cached_assets_path, constants
    from huggingface_hub.utils import WeakFileLock

    if not preset.is_converted:
        raise ValueError(
            f"The weights of the preset {preset.handle!r} are not converted: they are "
            f"{preset.weights!r}."
        )
    name = preset.folder.name
    key = [_CONVERSION, name, preset.weights, preset.class_name, preset.config]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    with _writable(constants.HF_ASSETS_CACHE):
        above = cached_assets_path(
            "keras_mlp3d", "converted", digest, assets_dir=constants.HF_ASSETS_CACHE
        )
    folder = above / name
    cached = _read(preset, folder)
    if cached is not None:
        return cached
    with contextlib.ExitStack() as stack:
        with _writable(above):
            stack.enter_context(WeakFileLock(above / "lock"))
        cached = _read(preset, folder)  # another process may have converted it meanwhile
        if cached is None:
            with _writable(folder):
                _remove(preset, folder)
            convert(folder)
            cached = _read(preset, folder)
    if cached is None:
        raise HubError(f"{folder} changed while {preset.handle!r} was loaded: try again.")
    return cached


@contextlib.contextmanager
def _writable(place: StrPath) -> Iterator[None]:
    """Say of an error inside which place of the cache cannot be written."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise HubError(
            f"The cache for converted weights, {place}, cannot be written "
            f"({printable(str(error))}): set HF_HOME to a folder that can."
        ) from error


def _remove(preset: Preset, folder: pathlib.Path) -> None:
    """Make room for the folder. A link is removed, not what it leads to."""
    if not os.path.lexists(folder):
        return
    _logger.warning(
        "%s: the converted weights in %s are not as they were written, and are converted again.",
        preset.handle,
        folder,
    )
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink()


def _read(preset: Preset, folder: pathlib.Path) -> Preset | None:
    """Return the preset with the weights of the cache; None if they are absent or damaged."""
    try:
        if not (folder / WEIGHTS).is_file():  # a pipe would be waited for
            return None
        metadata = read_metadata(folder / METADATA)
        actual = {WEIGHTS: file_sha256(folder / WEIGHTS)}
    except (OSError, ValueError):
        return None
    if metadata.get("sha256") != actual:
        return None
    known = {name: metadata[name] for name in _FROM_CACHE if name in metadata}
    return dataclasses.replace(
        preset,
        folder=folder,
        metadata={**preset.metadata, **known, "weights": "bundled"},
        sha256=actual,
    )
