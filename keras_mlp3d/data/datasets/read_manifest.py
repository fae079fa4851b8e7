"""The reader of what a person has: a folder of class folders, a CSV, or shards."""

from keras_mlp3d.data.datasets.csv import read_csv
from keras_mlp3d.data.datasets.folder import read_folder
from keras_mlp3d.data.datasets.shards.read import index_path, read_shards
from keras_mlp3d.data.datasets.tables import checked_path, is_file, is_folder

#: Endings of a file that `read_csv` reads.
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


def read_manifest(
    source, split="train", class_names=None, columns=None, separator=None, header=None
):
    """Reads a data set: class folders (`read_folder`), a CSV (`read_csv`), shards (`read_shards`).

    Args:
        source: The folder, or the file, whose name ends in `.csv`, `.tsv`, `.txt` or
            `.shards.json`; also remote. A folder that holds `<split>.shards.json` is one of shards.
        split: Name of the split; of a folder, the sub-folder of that name is read if it holds
            class folders.
        class_names: The classes in the order of their labels; by default the sorted names. Give
            the model's, or the training split's, if a split may lack some.
        columns: Of a CSV, as `read_csv` takes it: `{"path": "file", "label": "class"}`.
        separator: Of a CSV: `"comma"`, `"semicolon"`, `"tab"` or `"space"`; None to find it.
        header: Of a CSV: whether the first line names the columns; None to find it.

    Returns:
        A `Manifest`.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: It is neither a folder nor a CSV nor an index of shards, or something in it is
            wrong.

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
    source = checked_path(
        "source", source, _is_there, "a folder of class folders, a CSV or an index of shards"
    )
    options = {"columns": columns, "separator": separator, "header": header}
    is_shards = is_file(index_path(source, split))
    if is_shards or is_folder(source):
        given = [name for name, value in options.items() if value is not None]
        if given:
            what = "shards" if is_shards else "a folder of class folders"
            raise ValueError(f"`{given[0]}` is for a CSV, and {source} is {what}")
        return (read_shards if is_shards else read_folder)(source, split, class_names)
    if not source.lower().endswith(TABLE_SUFFIXES):
        raise ValueError(
            "source must be a folder of class folders or a file ending in .csv, .tsv, .txt or "
            f".shards.json, got {source}."
        )
    return read_csv(source, split, class_names, **options)


def _is_there(path):
    return is_file(path) or is_folder(path)
