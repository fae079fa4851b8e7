"""Finds the videos that a user names: files, and all videos in folders and their sub-folders."""

import collections
import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Sequence

_PICTURE = re.compile(r"[0-9]{1,9}\.jpe?g", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Found:
    """A video to read, or a path at which there is none.

    Args:
        path: The video, as given or inside a folder that was given.
        error: "", or why there is nothing to read.
        message: The error as a sentence with the path, if "cannot read the video" does not fit.
    """

    path: str
    error: str = ""
    message: str = ""


class VideoFinder:
    """Iterates over the videos of files and folders, as they are found, sorted in each folder.

    A folder of numbered JPEG pictures without a video is a video. Links to folders are followed,
    and no folder is read twice, so that circular links end. Hidden files and folders are ignored.

    Args:
        names: Paths as given; a path with `://` is remote and not checked.
        note: Function that gets a sentence about what is worth knowing and no error.
        suffixes: Endings of videos.
    """

    def __init__(
        self, names: Sequence[str], note: Callable[[str], None], suffixes: tuple[str, ...]
    ):
        self._names, self._note, self._suffixes = names, note, suffixes
        # Folders by (device, number), how many were met again, and the endings of what is no video.
        self._seen: dict[tuple[int, int], str] = {}
        self._again = 0
        self._endings: collections.Counter[str] = collections.Counter()

    def __iter__(self) -> Iterator[Found]:
        for name in self._names:
            # Reading an address, a record of a shard or a file tells what is wrong with it.
            if "://" in name or not os.path.isdir(name):
                yield self._file(name)
                continue
            count, left_out, again = 0, self._endings.total(), self._again
            for found in self._walk(name):
                count += 1
                yield found
            if not count and self._again == again:
                yield self._empty(name, self._endings.total() - left_out)

    @property
    def left_out(self) -> str:
        """How many files in the folders are no videos, by ending, in words; or ""."""
        kinds = ", ".join(f"{count} {end}" for end, count in self._endings.most_common(10))
        return f"left out by their endings: {kinds}" if kinds else ""

    def _file(self, name: str) -> Found:
        if "://" in name or "#" in name or os.path.exists(name):
            return Found(name)
        if os.path.islink(name):
            return Found(name, _broken_link(name))
        error = "no such video file or folder"
        return Found(name, error, f"{error}: {name}")

    def _empty(self, folder: str, left_out: int) -> Found:
        others = f"; the {left_out} files in it have other endings" if left_out else ""
        error = f"holds no videos; files ending in {', '.join(self._suffixes)} count{others}"
        return Found(folder, f"the folder {error}", f"the folder {folder!r} {error}")

    def _walk(self, folder: str) -> Iterator[Found]:
        """Yield what is in a folder and below it, without recursion: it may be very deep."""
        stack = [iter([(folder, True)])]
        while stack:
            path, is_folder = next(stack[-1], (None, False))
            if path is None:
                stack.pop()
            elif not is_folder:
                yield Found(path, _broken_link(path))
            else:
                try:
                    stack.append(self._entries(path))
                except OSError as error:
                    why = f"cannot read the folder {path!r}: {error.strerror}"
                    yield Found(path, f"the folder is unreadable: {error.strerror}", why)

    def _entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """Return an iterator over `(path, whether it is a folder)` of what counts in a folder."""
        if os.path.islink(folder) and _is_above(folder):
            self._again += 1
            self._note(f"{folder} is a link to a folder that it is in, and is not followed")
            return iter(())
        status = os.stat(folder)
        place = status.st_dev, status.st_ino
        if place in self._seen:
            self._again += 1
            self._note(f"{folder} is the folder {self._seen[place]}, which is read already")
            return iter(())
        self._seen[place] = folder
        videos, folders, pictures = [], set(), False
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.add(entry.name)
                elif entry.name.lower().endswith(self._suffixes) or _may_be_folder(entry):
                    videos.append(entry.name)
                elif _PICTURE.fullmatch(entry.name):
                    pictures = True
                else:
                    self._endings[_ending(entry.name)] += 1
        names = sorted([*videos, *folders])
        inside = ((os.path.join(folder, name), name in folders) for name in names)
        if pictures and not videos:
            return iter([(folder, False), *inside])
        return inside


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # circular links
        return False


def _may_be_folder(entry: os.DirEntry) -> bool:
    """Return whether it is a broken link without an ending: its target may have held videos."""
    return "." not in entry.name and entry.is_symlink() and not os.path.exists(entry.path)


def _is_above(link: str) -> bool:
    """Return whether a link leads to a folder that contains it."""
    target = os.path.realpath(link)
    place = os.path.realpath(os.path.dirname(link))
    return os.path.commonpath([target, place]) == target


def _broken_link(path: str) -> str:
    """Return why a path is a broken link, or "" if it is none."""
    if not os.path.islink(path):
        return ""
    try:
        os.stat(path)
    except FileNotFoundError:
        return f"it is a link to {os.readlink(path)}, which does not exist"
    except OSError as error:
        return f"it is a link that cannot be followed: {error.strerror}"
    return ""


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "without an ending"
