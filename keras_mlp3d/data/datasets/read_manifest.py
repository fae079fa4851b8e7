"""The reader of what a person has: a folder of class folders, a CSV, or shards."""

from keras_mlp3d.data.datasets.csv import read_csv
from keras_mlp3d.data.datasets.folder import read_folder
from keras_mlp3d.data.datasets.shards.read import index_path, read_shards
from keras_mlp3d.data.datasets.tables import checked_path, is_file, is_folder


def read_manifest(source, split="train", class_names=None):
    """Reads a data set: class folders (`read_folder`), a CSV (`read_csv`), shards (`read_shards`).

    Args:
        source: The folder, or the file, whose name ends in `.csv` or `.shards.json`; also remote.
            A folder that holds `<split>.shards.json` is one of shards.
        split: Name of the split; of a folder, the sub-folder of that name is read where it holds
            class folders.
        class_names: The classes in the order of their labels; by default the sorted names. Give
            the model's, or the training split's, where a split may lack some.

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
    if is_file(index_path(source, split)):
        return read_shards(source, split, class_names)
    if is_folder(source):
        return read_folder(source, split, class_names)
    if not source.lower().endswith(".csv"):
        raise ValueError(
            "`source` must be a folder of class folders or a file ending in .csv or .shards.json, "
            f"received {source}"
        )
    return read_csv(source, split, class_names)


def _is_there(path):
    return is_file(path) or is_folder(path)
