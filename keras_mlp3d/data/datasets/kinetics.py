"""Reads Kinetics-400, -600 and -700: a CSV that lists parts of YouTube videos."""

import os
from collections.abc import Sequence

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
from keras_mlp3d.data.datasets.splits import split_name
from keras_mlp3d.data.datasets.tables import (
    checked_classes,
    composed,
    line_error,
    local_path,
    records,
    simple_name,
    video_stems,
)

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def read_kinetics(
    path: StrPath,
    videos: StrPath,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    trimmed: bool = True,
) -> Manifest:
    """Read a CSV of Kinetics and find its videos.

    A video is a file `<youtube_id>_<start>_<end>.<suffix>`, with six digits per time, that holds
    the part only, or a file `<youtube_id>.<suffix>`. It is in the folder or anywhere below it, such
    as in class folders. If both files exist, the first is used. A missing video has no row;
    `Manifest.not_found` lists it.

    Args:
        path: The CSV, with the columns `label,youtube_id,time_start,time_end,split`. Further
            columns (`is_cc`) are ignored.
        videos: The folder of videos.
        split: `"train"`, `"val"` (also for `validate` in the file) or `"test"`. Lines of other
            splits are ignored.
        class_names: Names of the classes in the order of their labels. Defaults to the sorted
            labels of the whole file.
        trimmed: Whether a file `<youtube_id>.<suffix>` holds the part only. Pass False if it is the
            whole video; the rows then have `start` and `end`.

    Raises:
        FileNotFoundError: If the CSV or the folder does not exist.
        ValueError: If a column is missing; a line is damaged or repeated, has a label that is not
            in `class_names`, or fits two files; or the split has no video. Errors about a line name
            it.

    Example:

    >>> import os, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "val.csv")
    ...     _ = path.write_text(
    ...         "label,youtube_id,time_start,time_end,split\\n"
    ...         "yoga,-3B32lodo2M,59,69,val\\n"
    ...         "zumba,0UvtoZnDSzA,4,14,val\\n"
    ...     )
    ...     pathlib.Path(folder, "-3B32lodo2M_000059_000069.mp4").touch()
    ...     manifest = read_kinetics(path, folder, "val")
    >>> len(manifest), manifest.class_names, manifest.not_found
    (1, ('yoga', 'zumba'), ('0UvtoZnDSzA_000004_000014',))
    """
    path = local_path("path", path, os.path.isfile, "a CSV file of Kinetics")
    videos = local_path("videos", videos, os.path.isdir, "a folder of videos")
    wanted, found_splits, labels = [], set(), set()
    for line, fields in records(path, _COLUMNS, None):
        name = split_name(fields["split"])
        found_splits.add(name)
        label = composed(fields["label"].strip())
        if not label:
            raise line_error(path, line, "has no label")
        labels.add(label)
        if name == split_name(split):
            wanted.append((line, label, fields))
    if not wanted:
        raise ValueError(f"the split {split!r} is empty: {path} has {sorted(found_splits)}")
    class_names = sorted(labels) if class_names is None else class_names
    label_of = checked_classes(class_names)
    finder = _Finder(path, video_stems(videos), trimmed)
    rows, not_found = [], []
    for line, label, fields in wanted:
        if label not in label_of:
            raise line_error(
                path, line, f"has the label {label!r}, which is none of the {len(label_of)} classes"
            )
        found, name = finder.find(line, fields)
        if found is None:
            not_found.append(name)
        else:
            rows.append(VideoRow(found[0], label_of[label], *found[1:]))
    return Manifest(rows, class_names, split, root=videos, not_found=not_found)


class _Finder:
    """Finds the files of lines, and checks that no two lines share one."""

    def __init__(self, path, stems, trimmed):
        self._path, self._stems, self._trimmed = path, stems, trimmed
        self._lines, self._whole = {}, {}

    def find(self, line, fields):
        """Return `((file, start, end) or None, name of the part)`."""
        video = simple_name(self._path, line, "youtube_id", fields["youtube_id"].strip())
        start = self._second(line, "time_start", fields)
        end = self._second(line, "time_end", fields)
        if end <= start:
            raise line_error(self._path, line, f"ends at {end} s and starts at {start} s")
        name = f"{video}_{start:06d}_{end:06d}"
        before = self._lines.setdefault(name, line)
        if before != line:
            raise line_error(self._path, line, f"repeats line {before}: {name}")
        for stem in (name, video):
            files = self._stems.get(stem, ())
            if len(files) > 1:
                raise line_error(
                    self._path, line, f"may mean either of two files: {files[0]} and {files[1]}"
                )
            if files and stem == name:
                return (files[0], None, None), name
            if files and not self._trimmed:
                return (files[0], float(start), float(end)), name
            if files:
                return (self._only(line, files[0]), None, None), name
        return None, name

    def _only(self, line, file):
        before = self._whole.setdefault(file, line)
        if before != line:
            raise line_error(
                self._path,
                line,
                f"may mean {file}, and so may line {before}; if it is the whole video, pass "
                "trimmed=False",
            )
        return file

    def _second(self, line, column, fields):
        """Return an integer number of seconds, as in file names."""
        try:
            value = float(fields[column])
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e6 or value != int(value):
            raise line_error(
                self._path,
                line,
                f"has the {column} {fields[column]!r}; it must be an integer of at least 0",
            )
        return int(value)
