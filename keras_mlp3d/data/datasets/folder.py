"""Reads a data set from a folder with one sub-folder per class."""

import collections
import errno
import os
import stat
from collections.abc import Sequence

from keras_mlp3d._utils import remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.splits import SPLITS
from keras_mlp3d.data.datasets.tables import checked_classes, checked_path, composed, is_folder
from keras_mlp3d.data.datasets.video_row import VideoRow
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES


def read_folder(
    directory: StrPath, split: str = "train", class_names: Sequence[str] | None = None
) -> Manifest:
    """Read a folder of class folders, or its sub-folder with the name of the split.

    The videos are the files of a class folder with a known ending, sorted by class, then by name.
    `Manifest.left_out` lists everything else with the reason: other endings, broken and looping
    links, named pipes and other special files, folders in class folders, files outside of class
    folders. Hidden files are ignored.

    Args:
        directory: The folder, local or remote. If it has a sub-folder `<split>` that has
            sub-folders, that sub-folder is read: `train/run/a.mp4` instead of `run/a.mp4`.
        split: Name of the split.
        class_names: Names of the classes in the order of their labels. They must be the names of
            the sub-folders, which are the default, sorted.

    Returns:
        `Manifest` whose paths begin with `directory`.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no class folders, or only those of other splits; if they are not those
            of `class_names`; or if a class folder holds no video. The error says what the folder
            holds.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train/run", "train/jump"):
    ...         pathlib.Path(folder, name).mkdir(parents=True)
    ...         pathlib.Path(folder, name, "a.mp4").touch()
    ...     pathlib.Path(folder, "train", "run", "notes.txt").touch()
    ...     manifest = read_folder(folder, "train")
    >>> manifest.class_names, manifest.labels.tolist(), manifest.left_out[0][1]
    (('jump', 'run'), [0, 1], "file with the unknown ending '.txt'")
    """
    directory = checked_path("directory", directory, is_folder, "a folder of class folders")
    content = _Content(directory)
    left_out = content.outside_classes()
    inner = _split_folder(directory, content, split, class_names)
    if inner is not None:
        directory, content = inner
        left_out += content.outside_classes()
    folders = {}  # a class may have two: the same letters in different Unicode forms
    for name in content.folders:
        folders.setdefault(composed(name), []).append(_joined(directory, name))
    if not folders:
        raise ValueError(
            f"directory must hold one sub-folder per class: {directory} holds none; what it holds "
            f"is {content.in_words()}"
        )
    names = sorted(folders) if class_names is None else list(checked_classes(class_names))
    if sorted(names) != sorted(folders):
        raise ValueError(
            f"class_names must name each sub-folder of {directory} once; "
            f"without a folder: {sorted(set(names) - set(folders))}, "
            f"not named: {sorted(set(folders) - set(names))}"
        )
    rows = []
    for label, name in enumerate(names):
        contents = [_Content(folder) for folder in folders[name]]
        videos = [video for found in contents for video in found.videos]
        if not videos:
            found = contents[0].in_words()
            raise ValueError(
                f"the class folder {contents[0].folder} holds no video"
                + (f"; what it holds is {found}" if found != "nothing" else "")
            )
        rows += [VideoRow(path, label) for path in sorted(videos)]
        left_out += [entry for found in contents for entry in found.inside_class()]
    return Manifest(rows, names, split, root=directory, left_out=left_out)


def _split_folder(directory, content, split, class_names):
    """Return the split's `(folder, content)`; None if `directory` itself has the class folders."""
    inside = {
        name: _Content(_joined(directory, name))
        for name in content.folders
        # A folder that holds class folders is a split by its name, and no class.
        if name == split or name.casefold() in SPLITS
    }
    if split in inside and inside[split].folders:
        return _joined(directory, split), inside[split]
    classes = () if class_names is None else checked_classes(class_names)
    others = [
        name
        for name, found in inside.items()
        if found.folders and not found.videos and composed(name) not in classes
    ]
    if others:
        gone = f"there is no folder {split!r}"
        if split in inside:
            gone = (
                f"{_joined(directory, split)} has none; what it holds is {inside[split].in_words()}"
            )
        raise ValueError(
            f"split {split!r} must be a folder in {directory} with a sub-folder for each class: "
            f"{gone}; the folders with class folders are {others}. Give one of them as split, or "
            "its path as the folder to read."
        )
    if class_names is None and inside and len(inside) == len(content.folders):
        raise ValueError(
            f"directory must hold one sub-folder per class: {directory} holds the splits "
            f"{list(inside)}, and they hold no class folders, such as {next(iter(inside))}/run"
        )
    return None


class _Content:
    """Content of a folder, without hidden names.

    Attributes: `folders`, sorted names; `videos`, sorted paths; `other`, `(path, reason)` of
        everything else.
    """

    def __init__(self, folder):
        self.folder, self.folders, self.videos, self.other = folder, [], [], []
        kinds = _remote_kinds if remote.is_remote(folder) else _kinds
        for name, kind in sorted(kinds(folder)):
            path, suffix = _joined(folder, name), os.path.splitext(name)[1]
            if kind == _FOLDER:
                self.folders.append(name)
            elif kind == _FILE and suffix.lower() in VIDEO_SUFFIXES:
                self.videos.append(path)
            elif kind == _FILE:
                ending = f"with the unknown ending {suffix!r}" if suffix else "without an ending"
                self.other.append((path, f"file {ending}"))
            else:
                self.other.append((path, kind))

    def outside_classes(self):
        """Return everything in a folder of class folders except them, for `Manifest.left_out`."""
        found = [(path, _FILE) for path in self.videos] + self.other
        return [
            (path, "file in no class folder" if reason.startswith(_FILE) else reason)
            for path, reason in sorted(found)
        ]

    def inside_class(self):
        """Return everything in a class folder except its videos, for `Manifest.left_out`."""
        folders = [_joined(self.folder, name) for name in self.folders]
        return sorted([*self.other, *((path, "folder in a class folder") for path in folders)])

    def in_words(self):
        """Return the numbers of things of each kind, as text."""
        counts = collections.Counter(reason for _, reason in self.other)
        counts.update(folder=len(self.folders), video=len(self.videos))
        parts = [f"{count} x {what}" for what, count in sorted(counts.items()) if count]
        return ", ".join(parts) or "nothing"


_FOLDER, _FILE = "folder", "file"
_SPECIAL = (
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def _kinds(folder):
    """Yield `(name, kind)` of the content of a local folder; a link has the kind of its target."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] == ".":
                continue
            if entry.is_symlink():
                yield entry.name, _kind_of_link(entry.path, folder)
            elif entry.is_dir(follow_symlinks=False):
                yield entry.name, _FOLDER
            elif entry.is_file(follow_symlinks=False):
                yield entry.name, _FILE
            else:
                yield entry.name, _kind_of_mode(entry.stat(follow_symlinks=False).st_mode)


def _kind_of_link(path, folder):
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "link to nothing"
    except OSError as error:
        loops = error.errno == errno.ELOOP
        return "link that leads to itself" if loops else f"link that fails ({error.strerror})"
    if stat.S_ISDIR(mode):
        target, here = os.path.realpath(path), os.path.realpath(folder)
        if os.path.commonpath([target, here]) == target:
            return "link to a folder that it is in"
    return _kind_of_mode(mode)


def _kind_of_mode(mode):
    if stat.S_ISDIR(mode):
        return _FOLDER
    if stat.S_ISREG(mode):
        return _FILE
    return next((kind for is_kind, kind in _SPECIAL if is_kind(mode)), "special file")


def _remote_kinds(folder):
    for name in remote.names_in(folder):
        if name[0] != ".":
            is_video = name.lower().endswith(VIDEO_SUFFIXES)
            is_folder = not is_video and remote.is_folder(_joined(folder, name))
            yield name, _FOLDER if is_folder else _FILE


def _joined(folder, name):
    return f"{folder}/{name}" if remote.is_remote(folder) else os.path.join(folder, name)
