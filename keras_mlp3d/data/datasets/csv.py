"""A data set as a table in a text file, with a line for each video."""

import os
import unicodedata

from keras_mlp3d.data.datasets.columns import read_columns
from keras_mlp3d.data.datasets.labels import number_labels
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.tables import (
    check_text,
    checked_path,
    is_file,
    line_error,
    seconds_from_text,
)
from keras_mlp3d.data.datasets.video_row import VideoRow, describe, row_id
from keras_mlp3d.data.video.remote import is_remote
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES


def read_csv(
    path,
    split="train",
    class_names=None,
    root=None,
    columns=None,
    separator=None,
    header=None,
):
    """Reads a CSV of `path,label[,start,end]`: a line for each video.

    The separator and the header are found. The columns may be in any order and have other names;
    further columns, such as the numbers of the lines, are ignored. Without a header a line is a
    video and its label, as in the lists `video.mp4 7` of MMAction2, PySlowFast and VideoMAE.

    A video that does not exist keeps its row, and `Manifest.missing()` lists it.

    Args:
        path: The file, UTF-8; also remote. Its `label` is a class name, or a whole number from
            0 (in every line, unless `class_names` says otherwise); `start` and `end` are
            seconds, or `hh:mm:ss`, empty for the video's beginning and end.
        split: Name of the split.
        class_names: The classes in the order of their labels. By default the names in the file,
            sorted; if all of them are numbers, "0", "1", ... up to the largest.
        root: Folder, or remote address, that relative paths start from; by default the folder of
            the CSV.
        columns: Other names of columns, or their numbers from 1:
            `{"path": "file", "label": "class"}`.
        separator: `"comma"`, `"semicolon"`, `"tab"` or `"space"`, or the character; None to find
            it.
        header: Whether the first line names the columns; None to find it.

    Returns:
        A `Manifest`.

    Raises:
        FileNotFoundError: The CSV does not exist.
        ValueError: The columns are not found, a label is not in `class_names`, labels are whole
            numbers and do not start at 0, a path exists in another spelling alone (such as without
            the spaces around it), `start` is negative or `end` not after it, a video is there
            twice, or there is none. All but the last name the line.

    Example:

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(os.path.join(folder, "train.csv"), "w") as file:
    ...         _ = file.write("file;class;start;end\\ns3://x/a.mp4;run;1.5;00:01:04\\nb.mp4;jump;;")
    ...     manifest = read_csv(file.name, columns={"path": "file", "label": "class"})
    >>> manifest.class_names, manifest.rows[0]
    (('jump', 'run'), VideoRow(path='s3://x/a.mp4', label=1, start=1.5, end=64.0))
    """
    path = checked_path("path", path, is_file, "a CSV file")
    root = os.path.dirname(path) if root is None else os.fspath(root)
    found, lines = {}, []
    for line, fields in read_columns(
        path, lambda field: _is_video(root, field), columns, separator, header
    ):
        label = fields["label"].strip()
        check_text(path, line, label)
        if not label:
            raise line_error(path, line, "has no label")
        found.setdefault(label, line)
        lines.append((line, fields["path"], label, fields.get("start"), fields.get("end")))
    label_of, names = number_labels(
        path, found, class_names, lambda line, what: line_error(path, line, what)
    )
    rows, seen = [], {}
    for line, video, label, start, end in lines:
        place = _checked_place(path, line, root, video) if video.strip() else ""
        try:
            row = VideoRow(
                place,
                label_of[label],
                seconds_from_text("start", start),
                seconds_from_text("end", end),
            )
        except ValueError as error:
            raise line_error(path, line, f"is wrong: {error}") from None
        before = seen.setdefault(row_id(row), line)
        if before != line:
            raise line_error(path, line, f"repeats line {before}: {describe(row)}")
        rows.append(row)
    return Manifest(rows, names, split, root=root or None)


def joined(root, path):
    """A path of a list, taken from `root` if it is relative."""
    if not path or is_remote(path) or os.path.isabs(path) or not root:
        return path
    return f"{root.rstrip('/')}/{path}" if is_remote(root) else os.path.join(root, path)


def _is_video(root, field):
    """Whether a field can only be a video: it ends as one, has a folder, or is there."""
    field = field.strip()
    if not field or "\0" in field:
        return False
    if field.lower().endswith(VIDEO_SUFFIXES) or "/" in field:
        return True
    # A folder of pictures. A word may be a column, although a folder of that name is there too.
    return not field.isidentifier() and os.path.exists(joined(root, field))


def _checked_place(path, line, root, text):
    """The path of a line, unless it is there in another spelling alone."""
    place = joined(root, text)
    plain = text.isascii() and text == text.strip() and "\\" not in text
    if plain or "\0" in text or is_remote(place) or os.path.exists(place):
        return place
    check_text(path, line, text)
    for other in (
        text.strip(),
        *(unicodedata.normalize(form, text.strip()) for form in ("NFC", "NFD")),
        text.strip().replace("\\", "/"),
    ):
        if other and os.path.exists(joined(root, other)):
            show = ascii if other.isprintable() and not other.isascii() else repr
            raise line_error(
                path,
                line,
                f"has the path {show(text)}, and there is no such file; but there is "
                f"{show(other)}: write it like that",
            )
    return place
