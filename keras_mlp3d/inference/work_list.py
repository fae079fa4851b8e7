"""The videos of a large job as a file: a worker reads its part of it, and memory holds no list."""

import glob
import json
import logging
import math
import os
import pathlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from keras_mlp3d._utils.atomic_write import naming
from keras_mlp3d._utils.find_videos import VideoFinder
from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d.data import Manifest
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES, is_path

_EXPECTED = (
    "paths_or_manifest must be a data.Manifest, a folder, a pattern such as 'videos/*.mp4', or "
    "paths of videos: a list or an iterator"
)
_OFFSET = struct.Struct("<Q")
_LIST, _INDEX = "videos.jsonl", "videos.index"

_logger = logging.getLogger("keras_mlp3d")


class Video(NamedTuple):
    """A video of a large job, or a part of one.

    Args:
        path: Its path or address, as the user named it.
        start: Second at which the part begins, or None.
        end: Second at which it ends, or None.
        folder: Folder that a relative path counts from, or None.
    """

    path: str
    start: float | None = None
    end: float | None = None
    folder: str | None = None

    @property
    def text(self) -> str:
        """The path as `as_text` returns it."""
        return as_text(self.path)

    @property
    def key(self) -> bytes:
        """What all names of the same video and part share: `./a.mp4` is `a.mp4`."""
        place = self.text
        if not is_remote(place):
            place = os.path.normpath(os.path.join(as_text(self.folder or ""), place))
        span = "" if self.start is None and self.end is None else f"\0{self.start}\0{self.end}"
        return f"{place}{span}".encode()

    @property
    def place(self) -> str:
        """Where the video is."""
        return self.path if self.folder is None else os.path.join(self.folder, self.path)


def as_text(path: str) -> str:
    """Return a path as text that a table can hold: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _here(path: str, start: float | None = None, end: float | None = None) -> Video:
    """Return the video of a path as the user named it, here and now."""
    counts_from = not is_remote(path) and not os.path.isabs(path)
    return Video(path, start, end, os.getcwd() if counts_from else None)


def videos_of(paths_or_manifest: Any) -> Iterator[Video]:
    """Yield the videos of whatever a user calls a data set, without a list of them.

    Args:
        paths_or_manifest: A `data.Manifest`; a folder: all videos in it and below; a pattern with
            `*`, `?` or `[`; a path; or an iterable of paths, each of a file or of a folder of
            numbered pictures.

    Raises:
        ValueError: If it is anything else, or a folder or a pattern has no video.
        FileNotFoundError: If it is a path and nothing is there.
    """
    if isinstance(paths_or_manifest, Manifest):
        for number, row in enumerate(paths_or_manifest.rows):
            _check_path(row.path, f"row {number}")
            yield _here(row.path, row.start, row.end)
    elif is_path(paths_or_manifest):
        yield from map(_here, _paths_at(os.fsdecode(paths_or_manifest)))
    elif isinstance(paths_or_manifest, bytes | bytearray | dict) or not isinstance(
        paths_or_manifest, Iterable
    ):
        raise ValueError(f"{_EXPECTED}; got {type(paths_or_manifest).__name__}.")
    else:
        for number, path in enumerate(paths_or_manifest):
            _check_path(path, f"item {number}")
            yield _here(os.fsdecode(path))


def has_parts(paths_or_manifest: Any) -> bool:
    """Return whether some of the videos are parts of a file, in seconds."""
    return isinstance(paths_or_manifest, Manifest) and any(
        row.start is not None or row.end is not None for row in paths_or_manifest.rows
    )


def _check_path(path: Any, where: str) -> None:
    if not is_path(path) or not os.fspath(path):
        raise ValueError(
            f"{_EXPECTED}; {where} is {type(path).__name__} {path!r:.80}. Videos in memory cannot "
            "be sent to other machines: write them to files or shards, or use classify."
        )


def _paths_at(name: str) -> Iterator[str]:
    if is_remote(name) or os.path.isfile(name):
        yield name
    elif os.path.isdir(name):
        for found in VideoFinder([name], _logger.warning, VIDEO_SUFFIXES):
            if found.path == name and found.error:
                raise ValueError(found.message)
            yield found.path
    elif not glob.has_magic(name):
        raise FileNotFoundError(f"no such video, folder or pattern: {name}")
    else:
        found_one = False
        for path in glob.iglob(name, recursive=True):
            found_one = True
            yield path
        if not found_one:
            raise ValueError(f"no file matches the pattern {name!r}")


class KnownVideos:
    """The keys of videos, in a temporary file: memory does not grow with their number."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)  # a file without a name
        self._table.execute("pragma journal_mode=off")
        self._table.execute("pragma synchronous=off")
        self._table.execute("create table known (key blob primary key) without rowid")

    def __enter__(self) -> "KnownVideos":
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def add(self, video: Video) -> bool:
        """Add a video, and return whether it is new."""
        added = self._table.execute("insert or ignore into known values (?)", (video.key,))
        return added.rowcount == 1


class WorkList:
    """The videos of a job as two files in a folder: one line per video, and where each line is.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: pathlib.Path):
        self._list, self._index = folder / _LIST, folder / _INDEX

    def write(self, videos: Iterable[Video], known: KnownVideos) -> int:
        """Write the videos that are not known, each once, and return how many they are.

        Args:
            videos: The videos.
            known: Videos to leave out. Those that are written are added.
        """
        count, place = 0, 0
        with (
            naming(self._list, stands_for=[self._index]),
            open(self._list, "wb") as lines,
            open(self._index, "wb") as index,
        ):
            for video in videos:
                if known.add(video):
                    index.write(_OFFSET.pack(place))
                    place += lines.write(json.dumps(video).encode("ascii") + b"\n")
                    count += 1
        return count

    def read(self, first: int, count: int) -> list[Video]:
        """Return some videos in a row.

        Args:
            first: Number of the first.
            count: Largest number of videos.
        """
        with open(self._index, "rb") as index:
            index.seek(first * _OFFSET.size)
            [place] = _OFFSET.unpack(index.read(_OFFSET.size))
        with open(self._list, "rb") as lines:
            lines.seek(place)
            return [Video(*json.loads(line)) for _, line in zip(range(count), lines, strict=False)]


def unit_size(videos: int, workers: int, largest: int) -> int:
    """Return how many videos a worker gets at once: at least four turns each, if there are enough.

    Args:
        videos: Number of videos.
        workers: Number of workers.
        largest: Largest number of videos at once.

    Example:

    >>> unit_size(1_000_000, 8, 256), unit_size(20, 2, 256), unit_size(1, 2, 256)
    (256, 3, 1)
    """
    return max(1, min(largest, math.ceil(videos / (4 * workers))))
