"""A data set as a CSV file with a line a video."""

import os
import re

from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow, describe, row_id
from keras_mlp3d.data.datasets.tables import (
    checked_classes,
    checked_path,
    is_file,
    line_error,
    records,
)
from keras_mlp3d.data.video.remote import is_remote

_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


def read_csv(path, split="train", class_names=None, root=None):
    """Reads a CSV of `path,label[,start,end]`, the columns in any order, named by the first line.

    A video that does not exist keeps its row: whoever wrote the file counts on it, and
    `Manifest.missing()` lists it.

    Args:
        path: The CSV file, UTF-8; also remote. Its `label` is a class name, or a whole number from
            0 (in every line, where `class_names` does not say otherwise); `start` and `end` are
            seconds, empty for the video's beginning and end.
        split: Name of the split.
        class_names: The classes in the order of their labels. By default the names in the file,
            sorted; where all of them are numbers, "0", "1", ... up to the largest.
        root: Folder, or remote address, that relative paths start from; by default the folder of
            the CSV.

    Returns:
        A `Manifest`.

    Raises:
        FileNotFoundError: The CSV does not exist.
        ValueError: A column is unknown or lacking, a label is not in `class_names`, `start` is
            negative or `end` not after it, a video stands there twice, or there is none. All but
            the last name the line.

    Example:

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(os.path.join(folder, "train.csv"), "w") as file:
    ...         _ = file.write("path,label,start,end\\ns3://clips/a.mp4,run,1.5,4\\nb.mp4,jump,,\\n")
    ...     manifest = read_csv(file.name)
    >>> manifest.class_names, manifest.rows[0]
    (('jump', 'run'), VideoRow(path='s3://clips/a.mp4', label=1, start=1.5, end=4.0))
    """
    path = checked_path("path", path, is_file, "a CSV file")
    root = os.path.dirname(path) if root is None else os.fspath(root)
    lines = list(records(path, ("path", "label"), ("start", "end")))
    for _, fields in lines:
        fields["label"] = fields["label"].strip()
    label_of = _labels(path, lines, class_names)
    rows, seen = [], {}
    for line, fields in lines:
        try:
            row = VideoRow(
                _joined(root, fields["path"]),
                label_of[fields["label"]],
                _seconds("start", fields.get("start")),
                _seconds("end", fields.get("end")),
            )
        except ValueError as error:
            raise line_error(path, line, f"is wrong: {error}") from None
        before = seen.setdefault(row_id(row), line)
        if before != line:
            raise line_error(path, line, f"repeats line {before}: {describe(row)}")
        rows.append(row)
    return Manifest(rows, _names(label_of, class_names), split, root=root or None)


def _labels(path, lines, class_names):
    """{text of a label: label} for all texts in the file."""
    texts = {}
    for line, fields in lines:
        if not fields["label"]:
            raise line_error(path, line, "has no label")
        texts.setdefault(fields["label"], line)
    if class_names is None:
        if all(_INDEX.fullmatch(text) for text in texts):
            return {text: int(text) for text in texts}
        return {text: label for label, text in enumerate(sorted(texts))}
    known = checked_classes(class_names)
    labels = {}
    for text, line in texts.items():
        if text in known:
            labels[text] = known[text]
        elif _INDEX.fullmatch(text) and int(text) < len(known):
            labels[text] = int(text)
        else:
            raise line_error(
                path, line, f"has the label {text!r}, which is none of the {len(known)} classes"
            )
    return labels


def _names(label_of, class_names):
    if class_names is not None:
        return class_names
    if all(_INDEX.fullmatch(text) for text in label_of):
        return [str(label) for label in range(max(label_of.values(), default=0) + 1)]
    return list(label_of)


def _joined(root, path):
    if not path or is_remote(path) or os.path.isabs(path) or not root:
        return path
    return f"{root.rstrip('/')}/{path}" if is_remote(root) else os.path.join(root, path)


def _seconds(name, text):
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{name}` must be seconds as a number, received {text!r}") from None
