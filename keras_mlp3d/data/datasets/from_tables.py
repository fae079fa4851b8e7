"""Makes a manifest of a table in memory: of Hugging Face `datasets`, pandas or polars."""

import dataclasses
import datetime
import os
from collections.abc import Sequence
from typing import Any

from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.csv import joined
from keras_mlp3d.data.datasets.labels import (
    check_label_separator,
    indices_of,
    is_list,
    label_texts,
    number_labels,
)
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.splits import places_of_split
from keras_mlp3d.data.datasets.tables import is_null, seconds_from_text
from keras_mlp3d.data.datasets.video_row import VideoRow, describe, row_id
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.sources import LazySource, is_path


def from_dataframe(
    frame: Any,
    video: str = "path",
    label: str = "label",
    start: str | None = None,
    end: str | None = None,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    root: StrPath | None = None,
    label_separator: str | None = None,
) -> Manifest:
    """Make a manifest of a pandas (or polars) data frame.

    Args:
        frame: The data frame, with one row per video. Its index and further columns are ignored;
            if there is a column `split`, rows of other splits are left out.
        video: Name of the column of videos: paths, bytes of files, dictionaries with `"bytes"` and
            `"path"` as in Hugging Face `datasets`, or any other source that a `VideoRow` takes.
        label: Name of the column of class names, or of integers from 0. If it holds lists of them,
            rows have a tuple of labels, and an empty list means that the video has none.
        start: Name of the column of the seconds at which the parts of the videos begin, as numbers
            or `hh:mm:ss`, or empty for the beginning. Defaults to `"start"` if there is such a
            column.
        end: The same for the seconds at which the parts end. Defaults to `"end"`.
        split: Name of the split; see `read_csv`.
        class_names: Names of the classes in the order of their labels. Defaults as in `read_csv`.
        root: Folder, or remote address, to which relative paths belong. Defaults to the current
            folder.
        label_separator: The text between the labels of a video in a column of text; see `read_csv`.

    Raises:
        ValueError: If a column is missing or a row is wrong. The error gives the row's number, from
            0, whatever the frame's index.

    Example:

    >>> import pandas
    >>> frame = pandas.DataFrame({"file": ["a.mp4", "b.mp4"], "class": ["run", "jump"]})
    >>> manifest = from_dataframe(frame, video="file", label="class", root="videos")
    >>> manifest.class_names, manifest.rows[0].path
    (('jump', 'run'), 'videos/a.mp4')
    """
    columns = getattr(frame, "columns", None)
    if columns is None or not hasattr(frame, "__getitem__"):
        raise ValueError(f"frame must be a data frame, got a {type(frame).__name__}.")
    wanted = _columns(
        "the frame", list(columns), video=video, label=label, start=start, end=end, split=None
    )
    values = {name: list(frame[column]) for name, column in wanted.items()}
    root = None if root is None else os.fspath(root)
    videos = [_video(value, root) for value in values.pop("video")]
    if label_separator is not None:
        check_label_separator(label_separator)
    return _manifest("the frame", videos, values, split, class_names, root, label_separator)


def from_datasets(
    dataset: Any,
    video: str = "video",
    label: str = "label",
    start: str | None = None,
    end: str | None = None,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    label_separator: str | None = None,
) -> Manifest:
    """Make a manifest of a Hugging Face `datasets.Dataset`.

    The column of videos must not be decoded: `dataset.cast_column("video", Video(decode=False))`.
    Each video is fetched when it is read, so that memory does not grow with their number. Neither
    torchcodec nor temporary files are needed.

    Args:
        dataset: `datasets.Dataset` with random access (no stream, no dictionary of splits).
        video: Name of the column of videos: `Video(decode=False)`, paths or bytes.
        label: Name of the column of labels: a `ClassLabel`, class names, or integers from 0. If it
            holds lists of them, rows have a tuple of labels.
        start: Name of the column of the seconds at which the parts of the videos begin, as numbers
            or `hh:mm:ss`. Defaults to `"start"` if there is such a column.
        end: The same for the seconds at which the parts end. Defaults to `"end"`.
        split: Name of the split; see `read_csv`.
        class_names: Names of the classes in the order of their labels. Defaults to those of the
            `ClassLabel`, else as in `read_csv`.
        label_separator: The text between the labels of a video in a column of text; see `read_csv`.

    Returns:
        `Manifest`. A row is named by the path that is stored with it, after the row's number if it
        is not absolute. The digest is of this name, not of the content.

    Raises:
        ValueError: If a column is missing or of another kind, or a row is wrong. The error gives
            the row's number, from 0.

    Example:

    >>> import datasets
    >>> features = datasets.Features(
    ...     {
    ...         "video": datasets.Video(decode=False),
    ...         "label": datasets.ClassLabel(names=["run", "jump"]),
    ...     }
    ... )
    >>> rows = {"video": ["a.mp4", "b.mp4"], "label": [1, 0]}
    >>> manifest = from_datasets(datasets.Dataset.from_dict(rows, features=features))
    >>> manifest.class_names, manifest.labels.tolist(), manifest.rows[0].name
    (('run', 'jump'), [1, 0], 'row 0: a.mp4')
    """
    features = _checked_features(dataset)
    wanted = _columns(
        "the dataset", [*features], video=video, label=label, start=start, end=end, split=None
    )
    plain = dataset.with_format(None)  # no tensors
    video = wanted.pop("video")
    videos = _lazy_videos(plain.select_columns([video]), video, features[video])
    values = plain.select_columns([*wanted.values()])[:]
    values = {name: values[column] for name, column in wanted.items()}
    feature = features[label]
    if isinstance(feature, list):  # an older form of a column of lists
        [feature] = feature
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if names is not None:
        values["label"] = [_named(value, names) for value in values["label"]]
        class_names = names if class_names is None else class_names
    if label_separator is not None:
        check_label_separator(label_separator)
    return _manifest("the dataset", videos, values, split, class_names, None, label_separator)


def _named(value, names):
    """Return the name of a number of a `ClassLabel`, the names of a list of them, or None."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _columns(source, columns, **asked):
    """Return {argument: column} of the columns that are read."""
    wanted = {}
    for name, column in asked.items():
        if column is None and name in ("start", "end", "split"):
            if name not in columns:
                continue
            column = name
        if columns.count(column) != 1:
            has = "has it more than once" if column in columns else f"has {columns[:20]}"
            raise ValueError(
                f"{name} must be the name of a column, got {column!r}; {source} {has}."
            )
        wanted[name] = column
    return wanted


def _manifest(source, videos, values, split, class_names, root, label_separator):
    """Return the manifest of columns: `videos`; `values` of label, start, end and split."""
    kept = range(len(videos))
    if "split" in values:
        kept = places_of_split(source, split, values["split"])
    several = label_separator is not None or any(map(is_list, values["label"]))

    def wrong(where, what):
        return ValueError(f"{source}, row {where} {what}")

    labels, found, elsewhere = {}, {}, {}
    for where, value in enumerate(values["label"]):
        try:
            texts = label_texts(value, several, label_separator)
        except ValueError as error:
            if where not in kept:
                continue
            raise wrong(where, str(error)) from None
        for text in texts:
            (found if where in kept else elsewhere).setdefault(text, where)
        if where in kept:
            labels[where] = texts
    label_of, names = number_labels(source, found, class_names, wrong, elsewhere)
    nothing = [None] * len(videos)
    starts, ends = values.get("start", nothing), values.get("end", nothing)
    rows, seen = [], {}
    for where, label in labels.items():
        video = videos[where]
        if is_null(video) or (isinstance(video, str) and not video.strip()):
            raise wrong(where, "has no video")
        try:
            classes = indices_of(label, label_of)
        except ValueError as error:
            raise wrong(where, str(error)) from None
        try:
            classes = classes if several else classes[0]
            row = VideoRow(
                video, classes, _seconds("start", starts[where]), _seconds("end", ends[where])
            )
        except ValueError as error:
            raise wrong(where, f"is wrong: {error}") from None
        before = seen.setdefault(row_id(row), where)
        if before != where:
            raise wrong(where, f"repeats row {before}: {describe(row)}")
        rows.append(row)
    return Manifest(rows, names, split, root=root)


def _seconds(name, value):
    if is_null(value):
        return None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return seconds_from_text(name, value) if isinstance(value, str) else value


def _video(value, root):
    """Return a field of a data frame as the source of a row."""
    if isinstance(value, dict) and {*value} <= {"bytes", "path"}:
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    return joined(root, os.fspath(value)) if is_path(value) and root else value


# Hugging Face datasets -------------------------------------------------------------------------


def _checked_features(dataset):
    """Return {column: feature}"""
    if isinstance(dataset, dict):
        raise ValueError(
            f"dataset must be one split, got a dictionary of splits; give dataset[...] of "
            f"{list(dataset)[:20]}"
        )
    if not all(hasattr(dataset, name) for name in ("features", "select_columns", "with_format")):
        raise ValueError(
            f"dataset must be a Hugging Face datasets.Dataset, got a {type(dataset).__name__}"
        )
    if not hasattr(dataset, "__len__"):
        raise ValueError(
            f"dataset must have random access, and a {type(dataset).__name__} is a stream; load "
            "it without streaming=True"
        )
    return dict(dataset.features)


def _lazy_videos(dataset, column, feature):
    """Return the sources of the rows; `dataset` has no other column."""
    kind, dtype = type(feature).__name__, getattr(feature, "dtype", None)
    if kind == "Video" and getattr(feature, "decode", True):
        raise ValueError(
            f"video {column!r} is a column that decodes its videos; give "
            f"dataset.cast_column({column!r}, datasets.Video(decode=False))"
        )
    if kind == "Value" and dtype in ("string", "large_string"):
        return dataset[:][column]
    paths = [None] * len(dataset)
    if kind == "Video" or (isinstance(feature, dict) and {*feature} == {"bytes", "path"}):
        # Only the paths are loaded, not the bytes.
        paths = dataset.flatten().select_columns([f"{column}.path"])[:][f"{column}.path"]
    elif kind != "Value" or dtype not in ("binary", "large_binary"):
        raise ValueError(
            f"video {column!r} must be a column of Video(decode=False), paths or bytes, and is "
            f"{feature!r}"
        )
    names = [_row_name(row, path) for row, path in enumerate(paths)]
    return [LazySource(name, _Fetch(dataset, row, name)) for row, name in enumerate(names)]


def _row_name(row, path):
    """Return a unique name: many data sets store only the base name of a file, or none."""
    if path and (os.path.isabs(path) or is_remote(path)):
        return path
    return f"row {row}: {path}" if path else f"row {row}"


@dataclasses.dataclass(frozen=True)
class _Fetch:
    """Fetches the video of one row of a dataset with one column: bytes, or a path."""

    dataset: object
    row: int
    name: str

    def __call__(self):
        try:
            (value,) = self.dataset[self.row].values()
        # Any error of the library concerns this video only.
        except Exception as error:
            what = f"its row cannot be fetched ({type(error).__name__}: {error})"
            raise VideoError(self.name, what) from error
        if isinstance(value, dict):
            value = value["path"] if value["bytes"] is None else value["bytes"]
        if not value:
            raise VideoError(self.name, "its row holds neither bytes nor a path")
        return value
