"""A data set as a folder with one sub-folder a class."""

import os

from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
from keras_mlp3d.data.datasets.tables import checked_classes, checked_path, is_folder
from keras_mlp3d.data.video import remote
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES


def read_folder(directory, split="train", class_names=None):
    """Reads a folder of class folders, or the sub-folder of it that has the name of the split.

    The videos are the files right in a class folder that are known by their suffix; other files
    and hidden ones are ignored. They come sorted by class, then by name.

    Args:
        directory: The folder; also remote. Where it has a sub-folder `<split>` that itself has
            sub-folders, that one is read: `train/run/a.mp4` besides `run/a.mp4`.
        split: Name of the split.
        class_names: The classes in the order of their labels; by default the sub-folders sorted by
            name. Must name exactly the sub-folders.

    Returns:
        A `Manifest` whose paths begin with `directory`.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It has no class folders, they are not those of `class_names`, or one of them
            holds no video.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train/run", "train/jump"):
    ...         pathlib.Path(folder, name).mkdir(parents=True)
    ...         pathlib.Path(folder, name, "a.mp4").touch()
    ...     manifest = read_folder(folder, "train")
    >>> manifest.class_names, manifest.labels.tolist()
    (('jump', 'run'), [0, 1])
    """
    directory = checked_path("directory", directory, is_folder, "a folder of class folders")
    if isinstance(split, str) and split in _folders(directory):
        inner = os.path.join(directory, split)
        directory = inner if _folders(inner) else directory
    found = _folders(directory)
    if not found:
        raise ValueError(f"`directory` must hold one sub-folder a class: {directory} holds none")
    names = found if class_names is None else list(checked_classes(class_names))
    if sorted(names) != found:
        raise ValueError(
            f"`class_names` must name each sub-folder of {directory} once; "
            f"without a folder: {sorted(set(names) - set(found))}, "
            f"not named: {sorted(set(found) - set(names))}"
        )
    rows = []
    for label, name in enumerate(names):
        videos = _videos(os.path.join(directory, name))
        if not videos:
            raise ValueError(f"the class folder {os.path.join(directory, name)} holds no video")
        rows += [VideoRow(path, label) for path in videos]
    return Manifest(rows, names, split, root=directory)


def _folders(directory):
    if remote.is_remote(directory):
        names = [name for name in remote.names_in(directory) if name[0] != "."]
        return [name for name in names if remote.is_folder(f"{directory}/{name}")]
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")


def _videos(folder):
    if remote.is_remote(folder):
        names = [name for name in remote.names_in(folder) if name[0] != "."]
        return [f"{folder}/{name}" for name in names if name.lower().endswith(VIDEO_SUFFIXES)]
    with os.scandir(folder) as entries:
        return sorted(
            entry.path
            for entry in entries
            if entry.name.lower().endswith(VIDEO_SUFFIXES)
            and entry.name[0] != "."
            and entry.is_file()
        )
