"""Reads any data set: a folder of class folders, a CSV, or shards."""

from collections.abc import Sequence
from typing import Any

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.csv import read_csv
from keras_mlp3d.data.datasets.folder import read_folder
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.shards.read import index_path, read_shards
from keras_mlp3d.data.datasets.tables import checked_path, is_file, is_folder

#: Endings of a file that `read_csv` reads.
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


def read_manifest(
    source: StrPath,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    columns: dict[str, str | int] | None = None,
    separator: str | None = None,
    header: bool | None = None,
    label_separator: str | None = None,
) -> Manifest:
    """Read a data set: class folders (`read_folder`), a CSV (`read_csv`), shards (`read_shards`).

    Args:
        source: The folder, or a file whose name ends in `.csv`, `.tsv`, `.txt` or `.shards.json`,
            local or remote. A folder with a file `<split>.shards.json` is a folder of shards.
        split: Name of the split. If the folder has a sub-folder of that name with class folders,
            that sub-folder is read.
        class_names: Names of the classes in the order of their labels. Defaults to the sorted
            names. Pass those of the model, or of the training split, if a split may lack a class.
        columns: For a CSV, as in `read_csv`: `{"path": "file", "label": "class"}`.
        separator: For a CSV: `"comma"`, `"semicolon"`, `"tab"` or `"space"`, or None to detect it.
        header: For a CSV: whether the first line names the columns, or None to detect it.
        label_separator: For a CSV: the text between the labels of a video, such as `"|"`, if videos
            may have several labels or none. Shards say themselves whether they may.

    Raises:
        FileNotFoundError: If the source does not exist.
        ValueError: If it is no folder, CSV or index of shards, or something in it is wrong.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "run").mkdir()
    ...     pathlib.Path(folder, "run", "a.mp4").touch()
    ...     manifest = read_manifest(folder)
    ...     manifest.write_csv(pathlib.Path(folder, "train.csv"))
    ...     again = read_manifest(pathlib.Path(folder, "train.csv"))
    >>> again.rows == manifest.rows, again.digest == manifest.digest
    (True, True)
    """
    source = check_source(source)
    options: dict[str, Any] = {
        "columns": columns,
        "separator": separator,
        "header": header,
        "label_separator": label_separator,
    }
    is_shards = is_file(index_path(source, split))
    if is_shards or is_folder(source):
        given = [name for name, value in options.items() if value is not None]
        if given:
            what = "shards" if is_shards else "a folder of class folders"
            raise ValueError(f"{given[0]} is for a CSV, and {source} is {what}.")
        return (read_shards if is_shards else read_folder)(source, split, class_names)
    if not source.lower().endswith(TABLE_SUFFIXES):
        raise ValueError(
            "source must be a folder of class folders or a file ending in .csv, .tsv, .txt or "
            f".shards.json, got {source}."
        )
    return read_csv(source, split, class_names, **options)


def check_source(source: StrPath) -> str:
    """Return the path of a data set as a string; raise FileNotFoundError if nothing is there.

    Example:

    >>> check_source("/nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ...
    """
    what = "a folder of class folders, a CSV or an index of shards"
    return checked_path("source", source, lambda path: is_file(path) or is_folder(path), what)
