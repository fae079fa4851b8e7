"""The reader of what a person has: a folder of class folders, or a CSV."""

import os

from keras_mlp3d.data.readers._files import local_path
from keras_mlp3d.data.readers.csv import read_csv
from keras_mlp3d.data.readers.folder import read_folder


def read_manifest(source, split="train", class_names=None):
    """Reads a folder of class folders (`read_folder`) or a CSV (`read_csv`).

    Args:
        source: The folder, or the file, whose name ends in `.csv`.
        split: Name of the split; of a folder, the sub-folder of that name is read where it holds
            class folders.
        class_names: The classes in the order of their labels; by default the sorted names. Give
            the model's, or the training split's, where a split may lack some.

    Returns:
        A `Manifest`.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: It is neither a folder nor a CSV, or something in it is wrong.

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
    source = local_path("source", source, os.path.exists, "a folder of class folders or a CSV")
    if os.path.isdir(source):
        return read_folder(source, split, class_names)
    if not source.lower().endswith(".csv"):
        raise ValueError(
            "`source` must be a folder of class folders or a file ending in .csv, "
            f"received {source}"
        )
    return read_csv(source, split, class_names)
