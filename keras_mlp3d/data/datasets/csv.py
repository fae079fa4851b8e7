"""Reads a data set from a text file with one line per video."""

import os
import unicodedata
from collections.abc import Collection, Sequence

from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.columns import read_columns
from keras_mlp3d.data.datasets.labels import (
    check_label_separator,
    indices_of,
    number_labels,
    split_labels,
)
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.splits import places_of_split
from keras_mlp3d.data.datasets.tables import (
    check_text,
    checked_path,
    is_file,
    line_error,
    seconds_from_text,
)
from keras_mlp3d.data.datasets.video_row import VideoRow, describe, row_id
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES


def read_csv(
    path: StrPath,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    root: StrPath | None = None,
    columns: dict[str, str | int] | None = None,
    separator: str | None = None,
    header: bool | None = None,
    label_separator: str | None = None,
) -> Manifest:
    """Read a CSV with one line `path,label[,start,end]` per video.

    The separator and the header are detected. The columns may have any order and other names;
    further columns, such as the numbers of the lines, are ignored. If there is a column `split`,
    lines of other splits are left out. Without a header, a line is a video and its label, as in the
    lists `video.mp4 7` of MMAction2, PySlowFast and VideoMAE.

    A video that does not exist keeps its row, and `Manifest.missing()` lists it.

    Args:
        path: The file, UTF-8, local or remote. `label` is a class name, or an integer from 0 (in
            all lines, unless `class_names` is given); `start` and `end` are seconds, or `hh:mm:ss`,
            or empty for the video's beginning and end.
        split: Name of the split. `validation` and `val` in a column `split` are the same, as are
            other usual names. A column that names one split alone, or none, chooses nothing: all
            lines are read, and a warning says so.
        class_names: Names of the classes in the order of their labels. Defaults to the sorted names
            in the file or, if all of them are numbers, to "0", "1", ... up to the
            largest.
        root: Folder, or remote address, to which relative paths belong. Defaults to the folder of
            the CSV.
        columns: Other names of columns, or their numbers from 1:
            `{"path": "file", "label": "class"}`.
        separator: `"comma"`, `"semicolon"`, `"tab"` or `"space"`, or the character, or None to
            detect it.
        header: Whether the first line names the columns, or None to detect it.
        label_separator: None for one label per video. Otherwise the text between the labels of a
            video, such as `"|"` for `run|fast`: rows then have a tuple of labels, and an empty
            label means that the video has none.

    Raises:
        FileNotFoundError: If the CSV does not exist.
        ValueError: If the columns are not found; a label is not in `class_names`; labels are
            integers that do not start at 0; a video has a label twice; a path exists in another
            spelling only (such as without the spaces around it); `start` is negative or `end` not
            after it; a video is there twice; or there is no video, or no label. All errors except
            the last two name the line.

    Example:

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(os.path.join(folder, "train.csv"), "w") as file:
    ...         _ = file.write("file;class;start;end\\ns3://x/a.mp4;run;1.5;00:01:04\\nb.mp4;jump;;")
    ...     manifest = read_csv(file.name, columns={"path": "file", "label": "class"})
    >>> manifest.class_names, manifest.rows[0]
    (('jump', 'run'), VideoRow(path='s3://x/a.mp4', label=1, start=1.5, end=64.0))
    """
    if label_separator is not None:
        check_label_separator(label_separator)
    path = checked_path("path", path, is_file, "a CSV file")
    root = os.path.dirname(path) if root is None else os.fspath(root)
    found, elsewhere, lines = {}, {}, []
    table = [*read_columns(path, lambda field: _is_video(root, field), columns, separator, header)]
    kept: Collection[int] = range(len(table))
    if table and "split" in table[0][1]:
        kept = places_of_split(path, split, [fields["split"] for _, fields in table])
    for number, (line, fields) in enumerate(table):
        try:
            labels = _labels(path, line, fields["label"].strip(), label_separator)
        except ValueError:
            if number not in kept:
                continue
            raise
        for label in labels:
            (found if number in kept else elsewhere).setdefault(label, line)
        if number not in kept:
            continue
        lines.append((line, fields["path"], labels, fields.get("start"), fields.get("end")))
    label_of, names = number_labels(
        path, found, class_names, lambda line, what: line_error(path, line, what), elsewhere
    )
    rows, seen = [], {}
    for line, video, labels, start, end in lines:
        place = _checked_place(path, line, root, video) if video.strip() else ""
        try:
            classes = indices_of(labels, label_of)
        except ValueError as error:
            raise line_error(path, line, str(error)) from None
        try:
            row = VideoRow(
                place,
                classes[0] if label_separator is None else classes,
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


def joined(root: str, path: str) -> str:
    """Return a path of a list, joined to `root` if it is relative."""
    if not path or is_remote(path) or os.path.isabs(path) or not root:
        return path
    return f"{root.rstrip('/')}/{path}" if is_remote(root) else os.path.join(root, path)


def _labels(path, line, text, separator):
    """Return the labels of a line: one without a separator."""
    check_text(path, line, text)
    if separator is None:
        if not text:
            raise line_error(
                path,
                line,
                "has no label; if videos may have none or several, give label_separator "
                "(--label-separator)",
            )
        return [text]
    try:
        return split_labels(text, separator)
    except ValueError as error:
        raise line_error(path, line, str(error)) from None


def _is_video(root, field):
    """Return whether a field can only be a video: by its ending, a slash in it, or its file."""
    field = field.strip()
    if not field or "\0" in field:
        return False
    if field.lower().endswith(VIDEO_SUFFIXES) or "/" in field:
        return True
    # A folder of pictures. A single word may be the name of a column, even if a folder has it.
    return not field.isidentifier() and os.path.exists(joined(root, field))


def _checked_place(path, line, root, text):
    """Return the path of a line; an error if only another spelling of it exists."""
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
