"""Finds the videos that a command line names: files, and all that is in folders and below."""

import collections
import dataclasses
import os
import re

_PICTURE = re.compile(r"[0-9]{1,9}\.jpe?g", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Found:
    """A video to read, or a place where none can be found.

    Args:
        path: The video, as given, or below the folder that was given.
        error: "", or why there is nothing to read.
        message: The error as a sentence with the path, if "cannot read the video" does not fit.
    """

    path: str
    error: str = ""
    message: str = ""


class VideoFinder:
    """Iterates over the videos of files and folders, those of a folder sorted, as they are found.

    A folder of numbered JPEG pictures without a video is a video. Links to folders are followed,
    and no folder is read twice, so that links in a circle come to an end. Hidden files and folders
    are ignored.

    Args:
        names: Paths as given; one with `://` is remote and taken as it is.
        note: Function that is called with a sentence about what is worth knowing and no error.
        suffixes: Endings of videos.
    """

    def __init__(self, names, note, suffixes):
        self._names, self._note, self._suffixes = names, note, suffixes
        self._seen, self._again = {}, 0  # (device, number) of a folder: its path; those met again
        self._endings = collections.Counter()  # of the files in folders that are no videos

    def __iter__(self):
        for name in self._names:
            # An address, a record of a shard, a file: reading it tells what is wrong with it.
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
    def left_out(self):
        """Files in the folders that are no videos, counted in words, or ""."""
        kinds = ", ".join(f"{count} {end}" for end, count in self._endings.most_common(10))
        return f"left out by their endings: {kinds}" if kinds else ""

    def _file(self, name):
        if "://" in name or "#" in name or os.path.exists(name):
            return Found(name)
        if os.path.islink(name):
            return Found(name, _broken_link(name))
        error = "no such video file or folder"
        return Found(name, error, f"{error}: {name}")

    def _empty(self, folder, left_out):
        others = f"; the {left_out} files in it have other endings" if left_out else ""
        error = f"holds no videos; files ending in {', '.join(self._suffixes)} count{others}"
        return Found(folder, f"the folder {error}", f"the folder {folder!r} {error}")

    def _walk(self, folder):
        """Yields what is in a folder and below; a stack of its own, as folders may be very deep."""
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
                    yield Found(path, f"the folder cannot be read: {error.strerror}", why)

    def _entries(self, folder):
        """Returns an iterator over `(path, whether it is a folder)` of what counts in a folder."""
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


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _may_be_folder(entry):
    """Whether it is a broken link without an ending: what it was to name may hold videos."""
    return "." not in entry.name and entry.is_symlink() and not os.path.exists(entry.path)


def _is_above(link):
    """Whether a link leads to a folder that it is in itself."""
    target = os.path.realpath(link)
    place = os.path.realpath(os.path.dirname(link))
    return os.path.commonpath([target, place]) == target


def _broken_link(path):
    """Returns in words that a path is a link to nothing, or "" if it is not."""
    if not os.path.islink(path):
        return ""
    try:
        os.stat(path)
    except FileNotFoundError:
        return f"it is a link to {os.readlink(path)}, which does not exist"
    except OSError as error:
        return f"it is a link that cannot be followed: {error.strerror}"
    return ""


def _ending(name):
    return os.path.splitext(name)[1].lower() or "without an ending"
