"""What differs between the videos that a run began with and those that there are now."""

import dataclasses

#: Changes that are few need no one's consent: this part of the videos, or so many.
_PART, _FEW = 0.05, 5
_NAMED = 3  # videos named of each kind of change


@dataclasses.dataclass(frozen=True)
class DataChange:
    """The difference between two lists of videos.

    Args:
        before: How many videos there were.
        removed: Names of the videos that are gone.
        added: Names of the videos that are new.
        relabelled: Names of the videos that have another class now.
        classes: None, or in words how the classes differ.

    Example:

    >>> change = DataChange(100, removed=("a.mp4",), added=("b.mp4", "c.mp4"))
    >>> str(change), change.is_small
    ("1 of 100 videos is gone ('a.mp4'), 2 are new ('b.mp4', 'c.mp4')", True)
    """

    before: int
    removed: tuple = ()
    added: tuple = ()
    relabelled: tuple = ()
    classes: str | None = None

    @property
    def is_small(self):
        """Whether a training may resume without anyone's consent.

        At most 5 % of the videos differ; or at most 5 videos, and no more than a quarter.
        """
        count = len(self.removed) + len(self.added) + len(self.relabelled)
        few = count <= _FEW and 4 * count <= self.before
        return self.classes is None and (count <= _PART * self.before or few)

    def __str__(self):
        parts, total = [], f" of {self.before} videos"
        for names, one, many in (
            (self.removed, "is gone", "are gone"),
            (self.added, "is new", "are new"),
            (self.relabelled, "has another class", "have another class"),
        ):
            if names:
                shown = ", ".join(map(repr, names[:_NAMED]))
                more = ", ..." if len(names) > _NAMED else ""
                of_all = total if names is not self.added else ""
                words = one if len(names) == 1 else many
                parts.append(f"{len(names)}{of_all} {words} ({shown}{more})")
        return self.classes or ", ".join(parts) or f"the order{total} is another"


def video_list(manifest):
    """Returns the videos of a manifest as JSON values: what `data_change` compares.

    Args:
        manifest: `data.Manifest`.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> video_list(Manifest([VideoRow("a.mp4", 0, end=2.5)], ["run"], "train"))["videos"]
    [['a.mp4', 0, None, 2.5]]
    """
    rows = [[manifest.name_of(row), row.label, row.start, row.end] for row in manifest.rows]
    return {"digest": manifest.digest, "classes": list(manifest.class_names), "videos": rows}


def data_change(before, now):
    """Returns the `DataChange` from one list of videos to another.

    Args:
        before: What `video_list` returned once, read from a file.
        now: What it returns now.

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
        raise ValueError(f"it is no list of videos: {type(error).__name__} {error}") from error
    new, are = _labels(now["videos"]), now["classes"]
    classes = None
    if were != are:
        classes = f"the classes were {_some(were)}, are {_some(are)}"
    return DataChange(
        len(old),
        removed=tuple(_name(key) for key in old if key not in new),
        added=tuple(_name(key) for key in new if key not in old),
        relabelled=tuple(_name(key) for key in new if key in old and old[key] != new[key]),
        classes=classes,
    )


def data_identity(training, validation):
    """Returns which videos a run is of, as `train` takes it.

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
    """{(name, start, end): label}"""
    kinds = (str, int, float | int | None, float | int | None)
    for video in videos:
        if not all(map(isinstance, video, kinds)):
            raise ValueError(f"a video is {video!r}")
    return {(name, start, end): label for name, label, start, end in videos}


def _name(key):
    name, start, end = key
    if start is None and end is None:
        return str(name)
    return f"{name} {start or 0:g}-{'' if end is None else f'{end:g}'} s"


def _some(names):
    shown = ", ".join(map(repr, names[:5]))
    return f"{len(names)} ({shown}{', ...' if len(names) > 5 else ''})"
