"""The manifest: the list of a data set's videos, with their classes and times."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import is_no_list
from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.labels import check_label_separator
from keras_mlp3d.data.datasets.tables import composed
from keras_mlp3d.data.datasets.video_row import VideoRow, describe, row_id
from keras_mlp3d.data.video.records import shard_of
from keras_mlp3d.data.video.sources import LazySource, is_path


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The videos of one split of a data set, in a fixed order. `len(manifest)` is their number.

    Args:
        rows: `VideoRow`s: at least one, and none twice. Either all of them have one label, or all
            have a tuple of labels.
        class_names: Names of the classes in the order of their labels, none twice. A class may have
            no rows. The names are stored in Unicode's composed form (NFC), so that the same letters
            are the same class, whatever file system or list they come from.
        split: Name of the split, such as `"train"` or `"val"`.
        root: Folder to which paths are relative in the digest, so that a data set that moves keeps
            its digest. None: paths are used unchanged.
        not_found: Names of the videos that the data set's own list has and its folder lacks. They
            have no row.
        left_out: `(path, reason)` of everything in the data set's folders that is no row: files
            with other endings, broken links, special files. It is ignored when two manifests are
            compared.

    Attributes:
        labels: Read-only int32 array `(rows,)`, or, if the rows have tuples of labels, float32
            `(rows, classes)` with a 1 per label.
        multi_label: Whether the rows have tuples of labels.
        digest: Hexadecimal SHA-256 of the rows in their order, the class names and the split. Files
            are represented by their paths, videos in memory by their content (see `VideoRow`).

    Raises:
        ValueError: If an argument is not as above, or a label has no class name.

    Example:

    >>> rows = [VideoRow("a.mp4", 1), VideoRow("b.mp4", 0, start=1.0, end=2.5)]
    >>> manifest = Manifest(rows, ["run", "jump"], "train")
    >>> len(manifest), manifest.labels.tolist(), manifest.digest[:8]
    (2, [1, 0], 'a780945f')
    """

    rows: Sequence[VideoRow]
    class_names: Sequence[str]
    split: str
    root: StrPath | None = None
    not_found: Sequence[str] = ()
    left_out: Sequence[tuple[str, str]] = dataclasses.field(default=(), compare=False, repr=False)

    def __post_init__(self):
        set_field = object.__setattr__
        for name in ("rows", "class_names", "not_found", "left_out"):
            value = getattr(self, name)
            if is_no_list(value):
                raise ValueError(f"{name} must be a sequence such as a list, got {value!r}.")
            set_field(self, name, tuple(value))
        if not isinstance(self.split, str) or not self.split:
            raise ValueError(f"split must be a name, got {self.split!r}.")
        if self.root is not None:
            set_field(self, "root", os.fspath(self.root))
        if not self.rows:
            gone = f"; none of the {len(self.not_found)} videos that it lists was found"
            raise ValueError(
                f"the split {self.split!r} is empty{gone if self.not_found else ''}; it must have "
                "at least one video"
            )
        self._check_names()
        self._check_rows()

    def _check_names(self):
        if not self.class_names and all(getattr(row, "label", 0) == () for row in self.rows):
            raise ValueError(
                f"no video of the split {self.split!r} has a label; name the classes by "
                "class_names (--class-names)."
            )
        wrong = [name for name in self.class_names if not isinstance(name, str) or not name]
        if wrong or not self.class_names:
            raise ValueError(
                "class_names must hold at least one name and no empty one, got "
                f"{wrong[0] if wrong else self.class_names!r}"
            )
        object.__setattr__(self, "class_names", tuple(map(composed, self.class_names)))
        if len(set(self.class_names)) < len(self.class_names):
            twice = next(n for n in self.class_names if self.class_names.count(n) > 1)
            raise ValueError(f"class_names must be distinct, got {twice!r} twice.")

    def _check_rows(self):
        seen = {}
        for number, row in enumerate(self.rows):
            if not isinstance(row, VideoRow):
                raise ValueError(f"rows must hold VideoRow objects, got {row!r}.")
            if isinstance(row.label, tuple) != self.multi_label:
                raise ValueError(
                    "rows must all have one label, or all a tuple of labels, got the labels "
                    f"{self.rows[0].label!r} and {row.label!r}; (7,) is a tuple of one label."
                )
            if max(_labels_of(row), default=0) >= len(self.class_names):
                raise ValueError(
                    f"the label of {row.name!r} is {row.label}, and class_names has "
                    f"{len(self.class_names)} classes, 0 to {len(self.class_names) - 1}"
                )
            before = seen.setdefault(row_id(row), number)
            if before != number:
                raise ValueError(f"rows {before} and {number} are the same video: {describe(row)}")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def multi_label(self) -> bool:
        """Whether the rows have tuples of labels: several classes per video, or none."""
        return isinstance(self.rows[0], VideoRow) and isinstance(self.rows[0].label, tuple)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        if self.multi_label:
            labels = np.zeros((len(self), len(self.class_names)), "float32")
            for number, row in enumerate(self.rows):
                labels[number, list(_labels_of(row))] = 1
        else:
            labels = np.array([row.label for row in self.rows], "int32")
        labels.flags.writeable = False
        return labels

    @functools.cached_property
    def digest(self) -> str:
        rows = [[self.name_of(row), row.label, row.start, row.end] for row in self.rows]
        content = {"split": self.split, "class_names": self.class_names, "rows": rows}
        # As ASCII: file names may hold bytes that no encoding takes.
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    def name_of(self, row: VideoRow) -> str:
        """Return the name of a row in the digest.

        The name is the path, with slashes, relative to `root` if the file is in that folder. For a
        video in memory, it is the SHA-256 of its content; for a `LazySource`, its name.

        Args:
            row: `VideoRow`.
        """
        path = row.path
        if not is_path(path):
            return row.name if isinstance(path, LazySource) else f"sha256:{row.content}"
        if self.root is None:
            return path
        if is_remote(path) or is_remote(self.root):
            return path.removeprefix(str(self.root).rstrip("/") + "/")
        return _below(path, self.root) or path

    def missing(self) -> tuple[VideoRow, ...]:
        """Return the rows whose files do not exist now. Remote paths are not checked."""
        return tuple(
            row
            for row in self.rows
            if is_path(row.path)
            and not is_remote(row.path)
            and not os.path.exists(shard_of(row.path))
        )

    def select(self, indices: ArrayLike) -> "Manifest":
        """Return a manifest of some of the rows; none of its videos counts as not found.

        Args:
            indices: Row numbers from 0 to `len(manifest) - 1`, none twice.

        Raises:
            ValueError: If the numbers are not as above, or there are none.
        """
        array = np.asarray(indices)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                "indices must be a flat sequence of row numbers, got "
                f"shape {array.shape} of {array.dtype}"
            )
        wrong = array[(array < 0) | (array >= len(self))]
        if wrong.size:
            raise ValueError(f"indices must be from 0 to {len(self) - 1}, got {wrong[0]}.")
        rows = [self.rows[i] for i in array.tolist()]
        return dataclasses.replace(self, rows=rows, not_found=())

    def check_one_label(self, what: str) -> None:
        """Raise a `ValueError` if the rows have tuples of labels.

        Args:
            what: Subject of the sentence, such as "A search".
        """
        if self.multi_label:
            raise ValueError(
                f"{what} needs one class per video, and the videos of the split {self.split!r} "
                "have several labels, or none."
            )

    def write_csv(self, path: StrPath, label_separator: str = "|") -> None:
        """Write the rows as `path,label,start,end`, with class names as labels, for `read_csv`.

        Paths in the CSV's folder become relative to it, other local paths absolute. The file is
        complete or absent. To read the same rows, pass the same `class_names` to `read_csv`, as a
        CSV does not store the order of the classes.

        Args:
            path: The file to write.
            label_separator: Text between the labels of a video, if it may have several; pass the
                same to `read_csv`.

        Raises:
            OSError: If the file cannot be written.
            ValueError: If a row is a video in memory, which has no path; or if the name of a class
                holds the separator of labels.
        """
        if self.multi_label:
            check_label_separator(label_separator)
            cut = [name for name in self.class_names if label_separator in name]
            if cut:
                raise ValueError(
                    f"label_separator must be in no class name, got {label_separator!r}, which is "
                    f"in {cut[0]!r}."
                )
        in_memory = [number for number, row in enumerate(self.rows) if not is_path(row.path)]
        if in_memory:
            raise ValueError(
                f"a CSV holds paths, and {len(in_memory)} of {len(self)} rows hold none, the first "
                f"of them row {in_memory[0]}: {self.rows[in_memory[0]].name!r}; save these videos "
                "as files, or write the manifest with write_shards."
            )
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
            label = label_separator.join(self.class_names[k] for k in _labels_of(row))
            writer.writerow((where, label, *span))
        write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _labels_of(row):
    """Return the label or the labels of a row, as a tuple."""
    return row.label if isinstance(row.label, tuple) else (row.label,)


def _below(path, folder):
    """Return `path` relative to `folder`, with slashes, or None if it is elsewhere."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    if path == folder:
        return "."
    folder = folder.rstrip(os.sep) + os.sep
    if not os.path.normcase(path).startswith(os.path.normcase(folder)):
        return None
    return path[len(folder) :].replace(os.sep, "/")


def check_manifest(manifest: Any) -> Manifest:
    """Return the manifest if it is one.

    Raises:
        ValueError: If it is anything else, such as the path of a folder.

    Example:

    >>> check_manifest("my_videos")
    Traceback (most recent call last):
    ...
    ValueError: manifest must be a data.Manifest, got str; data.read_manifest(source) reads one ...
    """
    if not isinstance(manifest, Manifest):
        raise ValueError(
            f"manifest must be a data.Manifest, got {type(manifest).__name__}; "
            "data.read_manifest(source) reads one from a folder or a CSV."
        )
    return manifest
