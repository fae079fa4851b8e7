"""A data set as a list: which video, which class, from which second to which."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import math
import operator
import os
import pathlib

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data.video.records import shard_of
from keras_mlp3d.data.video.remote import is_remote


@dataclasses.dataclass(frozen=True)
class VideoRow:
    """One labelled video, or a stretch of one.

    Args:
        path: The file, or a folder of numbered JPEG frames, or a record of a shard as `read_shards`
            names it. A path with `://` is remote and kept as it is.
        label: Index of the class, from 0.
        start: Second of the video at which the stretch begins; None: at the video's beginning.
        end: Second at which it ends; None: at the video's end.

    Raises:
        ValueError: An argument is not as above, or `end` is not after `start`.

    Example:

    >>> VideoRow("run/a.mp4", 1, end=2)
    VideoRow(path='run/a.mp4', label=1, start=None, end=2.0)
    """

    path: str
    label: int
    start: float | None = None
    end: float | None = None

    def __post_init__(self):
        set_field = object.__setattr__
        path = self.path
        path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
        if not isinstance(path, str) or not path or "\0" in path:
            raise ValueError(f"`path` must name a file, received {self.path!r}")
        set_field(self, "path", path)
        try:
            label = -1 if isinstance(self.label, bool) else operator.index(self.label)
        except TypeError:
            label = -1
        if label < 0:
            raise ValueError(f"`label` must be a whole number from 0, received {self.label!r}")
        set_field(self, "label", label)
        for name in ("start", "end"):
            set_field(self, name, _seconds(name, getattr(self, name)))
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(
                f"`end` must lie after `start`, received start {self.start} and end {self.end}"
            )


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The videos of one split of a data set, checked, in a fixed order.

    Args:
        rows: The `VideoRow`s, at least one, none twice.
        class_names: Names of the classes in the order of their labels, none twice. A class need
            not have a row.
        split: Name of the split, such as `"train"` or `"val"`.
        root: Folder that the digest takes the paths relative to, so that a data set that moves
            keeps its digest; None: paths count as they are.
        not_found: Names of the videos that the data set's own list has and its folder has not, as
            a reader found them. They have no row.

    `len(manifest)` is the number of rows.

    Attributes: `labels`, a read-only int32 array `(rows,)`, and `digest`, the hexadecimal SHA-256
        of the rows in their order, the class names and the split.

    Raises:
        ValueError: An argument is not as above, or a label has no class name.

    Example:

    >>> rows = [VideoRow("a.mp4", 1), VideoRow("b.mp4", 0, start=1.0, end=2.5)]
    >>> manifest = Manifest(rows, ["run", "jump"], "train")
    >>> len(manifest), manifest.labels.tolist(), manifest.digest[:8]
    (2, [1, 0], 'a780945f')
    """

    rows: tuple[VideoRow, ...]
    class_names: tuple[str, ...]
    split: str
    root: str | None = None
    not_found: tuple[str, ...] = ()

    def __post_init__(self):
        set_field = object.__setattr__
        for name in ("rows", "class_names", "not_found"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ValueError(f"`{name}` must be a sequence, received the text {value!r}")
            set_field(self, name, tuple(value))
        if not isinstance(self.split, str) or not self.split:
            raise ValueError(f"`split` must be a name, received {self.split!r}")
        if self.root is not None:
            set_field(self, "root", os.fspath(self.root))
        self._check_names()
        if not self.rows:
            gone = f"; none of the {len(self.not_found)} videos that it lists was found"
            raise ValueError(
                f"the split {self.split!r} is empty{gone if self.not_found else ''}; it must have "
                "at least one video"
            )
        self._check_rows()

    def _check_names(self):
        wrong = [name for name in self.class_names if not isinstance(name, str) or not name]
        if wrong or not self.class_names:
            raise ValueError(
                "`class_names` must hold at least one name and no empty one, received "
                f"{wrong[0] if wrong else self.class_names!r}"
            )
        if len(set(self.class_names)) < len(self.class_names):
            twice = next(n for n in self.class_names if self.class_names.count(n) > 1)
            raise ValueError(f"`class_names` must be distinct, received {twice!r} twice")

    def _check_rows(self):
        seen = {}
        for number, row in enumerate(self.rows):
            if not isinstance(row, VideoRow):
                raise ValueError(f"`rows` must hold VideoRow objects, received {row!r}")
            if row.label >= len(self.class_names):
                raise ValueError(
                    f"the label of {row.path!r} is {row.label}, and `class_names` has "
                    f"{len(self.class_names)} classes, 0 to {len(self.class_names) - 1}"
                )
            before = seen.setdefault(row_id(row), number)
            if before != number:
                raise ValueError(f"rows {before} and {number} are the same video: {describe(row)}")

    def __len__(self):
        return len(self.rows)

    @functools.cached_property
    def labels(self):
        labels = np.array([row.label for row in self.rows], "int32")
        labels.flags.writeable = False
        return labels

    @functools.cached_property
    def digest(self):
        rows = [[self.name_of(row), row.label, row.start, row.end] for row in self.rows]
        content = {"split": self.split, "class_names": self.class_names, "rows": rows}
        # ASCII escapes: file names may hold bytes that no encoding takes.
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    def name_of(self, row):
        """A row's path as the digest counts it: below `root` where it lies there, with slashes.

        Args:
            row: A `VideoRow`.
        """
        path = row.path
        if self.root is None:
            return path
        if is_remote(path) or is_remote(self.root):
            return path.removeprefix(self.root.rstrip("/") + "/")
        return _below(path, self.root) or path

    def missing(self):
        """The rows whose files do not exist now, as a tuple; remote paths are not looked at."""
        return tuple(
            row
            for row in self.rows
            if not is_remote(row.path) and not os.path.exists(shard_of(row.path))
        )

    def select(self, indices):
        """A manifest of some rows, all else alike.

        Args:
            indices: Row numbers, each from 0 to `len(manifest) - 1`, none twice.

        Raises:
            ValueError: The numbers are not as above, or there are none.
        """
        array = np.asarray(indices)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                "`indices` must be a flat sequence of row numbers, received "
                f"shape {array.shape} of {array.dtype}"
            )
        wrong = array[(array < 0) | (array >= len(self))]
        if wrong.size:
            raise ValueError(f"`indices` must lie in 0 to {len(self) - 1}, received {wrong[0]}")
        return dataclasses.replace(self, rows=[self.rows[i] for i in array.tolist()])

    def write_csv(self, path):
        """Writes the rows as `path,label,start,end`, labels by name, for `read_csv`.

        Paths at or below the CSV's own folder become relative to it, other local ones absolute.
        The file is whole or not there. Reading it back with the same `class_names` gives the same
        rows; a CSV alone does not tell the order of the classes.

        Args:
            path: The file to write.

        Raises:
            OSError: The file cannot be written.
        """
        path = pathlib.Path(path)
        folder = path.parent.absolute()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("path", "label", "start", "end"))
        for row in self.rows:
            where = row.path
            if not is_remote(where):
                where = _below(where, folder) or os.path.abspath(where)
            span = ["" if second is None else repr(second) for second in (row.start, row.end)]
            writer.writerow((where, self.class_names[row.label], *span))
        write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def row_id(row):
    """What may stand in a manifest once: the file and the stretch."""
    path = row.path if is_remote(row.path) else os.path.normpath(row.path)
    return path, row.start, row.end


def describe(row):
    """A row's file and stretch in words."""
    if row.start is None and row.end is None:
        return repr(row.path)
    start = 0.0 if row.start is None else row.start
    return f"{row.path!r} from {start} s to {'its end' if row.end is None else f'{row.end} s'}"


def _below(path, folder):
    """`path` relative to `folder`, with slashes, or None where it lies elsewhere."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    try:
        return pathlib.Path(path).relative_to(folder).as_posix()
    except ValueError:
        return None


def _seconds(name, value):
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"`{name}` must be seconds as a number or None, received {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"`{name}` must be at least 0 seconds, received {value}")
    return float(value)
