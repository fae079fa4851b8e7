"""Reads Something-Something, versions 1 and 2, in their original files."""

import os

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
from keras_mlp3d.data.datasets.tables import (
    composed,
    first_file,
    line_error,
    load_json,
    local_path,
    simple_name,
    table,
)

_SPLITS = {"train": "train", "val": "validation", "validation": "validation"}


def read_something_v2(annotations: StrPath, videos: StrPath, split: str = "train") -> Manifest:
    """Read Something-Something V2: `train.json`, `validation.json`, `labels.json`, webm files.

    The class of a video is its template without square brackets. Files may also be named
    `something-something-v2-train.json` and so on. A missing video has no row;
    `Manifest.not_found` lists its number.

    Args:
        annotations: The folder of the JSON files.
        videos: The folder of `<id>.webm`.
        split: `"train"`, or `"val"` or `"validation"`. The test split has no labels.

    Returns:
        `Manifest` with the classes in the order of `labels.json`.

    Raises:
        FileNotFoundError: If a folder or a JSON file does not exist.
        ValueError: If a file is damaged, a template is not among the labels, a video is listed
            twice, or no video is found. Errors about an entry give its number, from 1.

    Example:

    >>> import json, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     folder = pathlib.Path(folder)
    ...     entries = [{"id": "7", "template": "Holding [something]"}]
    ...     _ = (folder / "labels.json").write_text(json.dumps({"Holding something": "0"}))
    ...     _ = (folder / "train.json").write_text(json.dumps(entries))
    ...     (folder / "7.webm").touch()
    ...     manifest = read_something_v2(folder, folder)
    >>> manifest.class_names, manifest.labels.tolist()
    (('Holding something',), [0])
    """
    annotations, videos = _folders(annotations, videos)
    name = _file_of(split)
    labels = first_file(annotations, ("labels.json", "something-something-v2-labels.json"))
    path = first_file(annotations, (f"{name}.json", f"something-something-v2-{name}.json"))
    label_of = _v2_labels(labels)
    entries = []
    for number, entry in enumerate(load_json(path, list), start=1):
        entry = entry if isinstance(entry, dict) else {}
        video, template = entry.get("id"), entry.get("template")
        if not isinstance(template, str):
            raise line_error(path, number, "(counted in entries) has no template")
        video = str(video) if isinstance(video, int) else video
        entries.append((number, video, composed(template.replace("[", "").replace("]", ""))))
    return _manifest(path, entries, label_of, videos, ".webm", split)


def read_something_v1(annotations: StrPath, videos: StrPath, split: str = "train") -> Manifest:
    """Read Something-Something V1: CSVs with semicolons, folders of numbered JPEG frames.

    Files are `something-something-v1-train.csv` (lines `id;class`), `-validation.csv` and
    `-labels.csv` (one class per line), with or without the prefix. A missing video has no row;
    `Manifest.not_found` lists its number.

    Args:
        annotations: The folder of the CSVs.
        videos: The folder that has a folder `<id>` of `00001.jpg`, `00002.jpg`, ... per video.
        split: `"train"`, or `"val"` or `"validation"`. The test split has no labels.

    Returns:
        `Manifest` with the classes in the order of the labels file. Its paths are folders, which
        `read_video` and `VideoConverter` read like videos.

    Raises:
        FileNotFoundError: If a folder or a CSV does not exist.
        ValueError: If a file is damaged, a class is not among the labels, a video is listed twice,
            or no video is found. Errors about a line name it.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     folder = pathlib.Path(folder)
    ...     _ = (folder / "labels.csv").write_text("Holding something\\nTurning something\\n")
    ...     _ = (folder / "train.csv").write_text("7;Turning something\\n")
    ...     (folder / "7").mkdir()
    ...     manifest = read_something_v1(folder, folder)
    >>> manifest.class_names, manifest.labels.tolist()
    (('Holding something', 'Turning something'), [1])
    """
    annotations, videos = _folders(annotations, videos)
    name = _file_of(split)
    labels = first_file(annotations, ("labels.csv", "something-something-v1-labels.csv"))
    path = first_file(annotations, (f"{name}.csv", f"something-something-v1-{name}.csv"))
    label_of = {}
    for line, fields in table(labels, ";"):
        name = composed(fields[0].strip())
        if len(fields) != 1 or not name or name in label_of:
            raise line_error(labels, line, f"must be one class, not there yet, and is {fields}")
        label_of[name] = len(label_of)
    entries = []
    for line, fields in table(path, ";"):
        if len(fields) != 2:
            raise line_error(path, line, f"must be `id;class` and has {len(fields)} fields")
        entries.append((line, fields[0].strip(), composed(fields[1].strip())))
    return _manifest(path, entries, label_of, videos, "", split)


def _folders(annotations, videos):
    return (
        local_path("annotations", annotations, os.path.isdir, "a folder of annotations"),
        local_path("videos", videos, os.path.isdir, "a folder of videos"),
    )


def _file_of(split):
    if split not in _SPLITS:
        raise ValueError(
            f"split must be one of {tuple(_SPLITS)}, got {split!r}; the test split of "
            "Something-Something has no labels"
        )
    return _SPLITS[split]


def _v2_labels(path):
    """Return {class: label} of `labels.json`, whose values are the numbers 0, 1, ... as text."""
    labels = {composed(name): str(label) for name, label in load_json(path, dict).items()}
    if sorted(labels.values()) != sorted(str(label) for label in range(len(labels))):
        raise ValueError(
            f"{path} must give each class one of the numbers 0 to {len(labels) - 1}, none twice"
        )
    return {name: int(label) for name, label in labels.items()}


def _manifest(path, entries, label_of, videos, suffix, split):
    there = set(os.listdir(videos))
    rows, not_found, seen = [], [], {}
    for line, video, label in entries:
        simple_name(path, line, "id", video)
        before = seen.setdefault(video, line)
        if before != line:
            raise line_error(path, line, f"repeats line {before}: the video {video}")
        if label not in label_of:
            raise line_error(
                path, line, f"has the class {label!r}, which is none of the {len(label_of)} labels"
            )
        if f"{video}{suffix}" in there:
            rows.append(VideoRow(os.path.join(videos, f"{video}{suffix}"), label_of[label]))
        else:
            not_found.append(video)
    class_names = sorted(label_of, key=label_of.get)
    return Manifest(rows, class_names, split, root=videos, not_found=not_found)
