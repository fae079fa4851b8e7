"""Finds the example clips of the page: a few per data set, with the network that knows it."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from keras_mlp3d import hub
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

_PER_SET = 6
_MAX_NOTICE = 20_000  # characters


class Example(NamedTuple):
    """A clip to try.

    Args:
        path: The file.
        preset: The preset that is chosen with it.
        label: Its class and data set, or its name.
    """

    path: str
    preset: str
    label: str


def default_folder() -> pathlib.Path | None:
    """Return the folder of example clips in a checkout, or None: the wheel has none.

    Example:

    >>> folder = default_folder()
    >>> folder is None or folder.is_dir()
    True
    """
    folder = hub.builtin_folder().parent / "examples" / "clips"
    return folder if folder.is_dir() else None


def find_examples(folder: StrPath | None, presets: Sequence[str]) -> list[Example]:
    """Return the example clips of a folder, by name: no network is asked.

    A sub-folder is a data set if the name of a preset ends with its name. It gives the first video
    of each class, outside its folder `train`. Videos in the folder itself are for any network.

    Args:
        folder: The folder, or None.
        presets: The presets that the page offers.

    Raises:
        ValueError: If there is no such folder.
    """
    if folder is None:
        return []
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise ValueError(f"examples must be a folder of videos, got {str(root)!r}.")
    found = [Example(str(path), presets[0], path.stem) for path in _videos(root.glob("*"))]
    for data_set in sorted(path for path in root.iterdir() if path.is_dir()):
        known = [name for name in presets if name.rstrip("/").endswith(f"_{data_set.name}")]
        firsts: dict[str, Example] = {}
        for path in _videos(data_set.rglob("*")) if known else ():
            inner = path.relative_to(data_set).parts[:-1]
            if inner and "train" not in inner:
                label = f"{inner[-1]} ({data_set.name.replace('_', ' ')})"
                firsts.setdefault(inner[-1], Example(str(path), known[0], label))
        found += list(firsts.values())[:_PER_SET]
    return found


def notice_of(folder: StrPath | None) -> str:
    """Return the text of a folder's README.md, which says whose clips they are, or ""."""
    path = None if folder is None else pathlib.Path(folder, "README.md")
    if path is None or not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")[:_MAX_NOTICE]


def _videos(paths):
    return sorted(p for p in paths if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
