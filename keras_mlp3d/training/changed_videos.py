"""The difference between the videos that a run began with and the present videos."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_mlp3d.data import Manifest

#: A change needs no consent up to this share of the videos, or up to this number.
_PART, _FEW = 0.05, 5
_NAMED = 3  # videos named per kind of change


@dataclasses.dataclass(frozen=True)
class DataChange:
    """The difference between two lists of videos.

    Args:
        before: Number of videos in the first list.
        removed: Names of the videos that are gone.
        added: Names of the videos that are new.
        relabeled: Names of the videos whose class changed.
        classes: None, or a description of how the classes differ.

    Example:

    >>> change = DataChange(100, removed=("a.mp4",), added=("b.mp4", "c.mp4"))
    >>> str(change), change.is_small
    ("1 of 100 videos is gone ('a.mp4'), 2 are new ('b.mp4', 'c.mp4')", True)
    """

    before: int
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    relabeled: tuple[str, ...] = ()
    classes: str | None = None

    @property
    def is_small(self) -> bool:
        """Whether a training may resume without consent.

        The change is small if at most 5 % of the videos differ, or at most 5 videos that are at
        most a quarter.
        """
        count = len(self.removed) + len(self.added) + len(self.relabeled)
        few = count <= _FEW and 4 * count <= self.before
        return self.classes is None and (count <= _PART * self.before or few)

    def __str__(self) -> str:
        parts, total = [], f" of {self.before} videos"
        for names, one, many in (
            (self.removed, "is gone", "are gone"),
            (self.added, "is new", "are new"),
            (self.relabeled, "has another class", "have another class"),
        ):
            if names:
                shown = ", ".join(map(repr, names[:_NAMED]))
                more = ", ..." if len(names) > _NAMED else ""
                of_all = total if names is not self.added else ""
                words = one if len(names) == 1 else many
                parts.append(f"{len(names)}{of_all} {words} ({shown}{more})")
        return self.classes or ", ".join(parts) or f"the order{total} changed"


def video_list(manifest: Manifest) -> dict[str, Any]:
    """Return the videos of a manifest as JSON values, for `data_change`.

    Args:
        manifest: `data.Manifest`.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> video_list(Manifest([VideoRow("a.mp4", 0, end=2.5)], ["run"], "train"))["videos"]
    [['a.mp4', 0, None, 2.5]]
    """
    rows = [[manifest.name_of(row), row.label, row.start, row.end] for row in manifest.rows]
    return {"digest": manifest.digest, "classes": list(manifest.class_names), "videos": rows}


def data_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> DataChange:
    """Return the `DataChange` from one list of videos to another.

    Args:
        before: An earlier result of `video_list`, read from a file.
        now: The present result of `video_list`.

    Raises:
        ValueError: If `before` is damaged.

    Example:

    >>> before = {"classes": ["run"], "videos": [["a.mp4", 0, None, None]]}
    >>> now = {"classes": ["run"], "videos": [["b.mp4", 0, None, None]]}
    >>> str(data_change(before, now))
    "1 of 1 videos is gone ('a.mp4'), 1 is new ('b.mp4')"
    """
    try:
        old, were = _labels(before["videos"]), [str(name) for name in before["classes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is not a list of videos: {type(error).__name__} {error}") from error
    new, are = _labels(now["videos"]), now["classes"]
    classes = None
    if were != are:
        classes = f"the classes were {_some(were)}, are {_some(are)}"
    return DataChange(
        len(old),
        removed=tuple(_name(key) for key in old if key not in new),
        added=tuple(_name(key) for key in new if key not in old),
        relabeled=tuple(_name(key) for key in new if key in old and old[key] != new[key]),
        classes=classes,
    )


def data_identity(training: Manifest, validation: Manifest | None) -> dict[str, Any]:
    """Return the part of the `identity` of `train` that says which videos it uses.

    Args:
        training: `data.Manifest`.
        validation: None, or a `data.Manifest`.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> identity = data_identity(Manifest([VideoRow("a.mp4", 0)], ["run"], "train"), None)
    >>> identity["training"]["videos"], identity["validation"]
    ([['a.mp4', 0, None, None]], None)
    """
    return {
        "training": video_list(training),
        "validation": None if validation is None else video_list(validation),
    }


def _labels(videos):
    """Return {(name, start, end): label}"""
    kinds = (str, int | list | tuple, float | int | None, float | int | None)
    for video in videos:
        if not all(map(isinstance, video, kinds)):
            raise ValueError(f"a video is {video!r}")
    return {
        (name, start, end): label if isinstance(label, int) else tuple(label)
        for name, label, start, end in videos
    }


def _name(key):
    name, start, end = key
    if start is None and end is None:
        return str(name)
    return f"{name} {start or 0:g}-{'' if end is None else f'{end:g}'} s"


def _some(names):
    shown = ", ".join(map(repr, names[:5]))
    return f"{len(names)} ({shown}{', ...' if len(names) > 5 else ''})"
