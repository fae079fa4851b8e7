"""The description of a run in its folder: what is trained, how, and on which videos."""

import itertools
import json
import logging
import os
import pathlib
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.hub.files import read_json
from keras_mlp3d.training.changed_videos import data_change
from keras_mlp3d.training.recipe import WORDS, Recipe
from keras_mlp3d.version import __version__

_logger = logging.getLogger("keras_mlp3d")

_DESCRIPTION, _VIDEOS = "run.json", "videos.json"
_MAX_VIDEOS_BYTES = 2**28  # some millions of videos
#: Entries of run.json that must agree to resume a run. All other entries are for the reader.
_DECISIVE = ("recipe", "model", "training", "validation")
_ANEW = (
    "Use another folder, or start from scratch in this one (--anew on the command line, anew=True "
    "in Python), which moves the files of that run into a sub-folder"
)
_ACCEPT = (
    "Or resume with the present videos: --accept-changed-data on the command line, "
    "accept_changed_data=True in Python"
)

#: The runs of services that track the training, by `track.tracked`.
TRACKING = "tracking.json"

#: What a training made, which another one must not replace.
_RESULTS = (
    *("checkpoint-*.npz", "best*.npz", "history.csv", "preset", "evaluation.json"),
    "adapters.lora.h5",
)
#: The files of a run. Its description is moved last: until then the folder is recognized as its.
_OF_A_RUN = (
    *(*_RESULTS, "logs", "curves.png", "confusion.png", "average_precision.png", "wrong.png"),
    *("videos.json", "unreadable.csv", TRACKING, "run.json"),
)


class RunFolder:
    """The folder of a run, compared with the training that is about to start in it.

    `run.json` describes the run, `videos.json` lists its videos. Nothing is written before `begin`,
    so that several processes can compare before one of them writes.

    Args:
        folder: The existing folder.
        recipe: The `Recipe`.
        identity: {"model": ..., "training": ..., "validation": ...}, JSON values. The videos that
            `data_identity` lists may change a little; everything else must stay the same.
        anew: Whether to move another run into a sub-folder instead of refusing the folder.
        accept_changed_data: Whether any change of the videos is accepted.

    Attributes:
        changes: {"training" or "validation": description of how the videos changed}, of a run that
            is resumed with changed videos.

    Raises:
        ValueError: If the folder holds another run; the difference is named.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> from keras_mlp3d.training import Recipe, data_identity
    >>> recipe, rows = Recipe("unmeasured", "mine"), [VideoRow(f"{k}.mp4", 0) for k in range(40)]
    >>> one, other = (
    ...     data_identity(Manifest(part, ["run"], "train"), None) for part in (rows, rows[1:])
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     RunFolder(pathlib.Path(folder), recipe, one).begin()
    ...     pathlib.Path(folder, "checkpoint-000001.npz").touch()
    ...     RunFolder(pathlib.Path(folder), recipe, other).changes
    {'training': "1 of 40 videos is gone ('0.mp4')"}
    """

    def __init__(
        self,
        folder: pathlib.Path,
        recipe: Recipe,
        identity: Mapping[str, Any],
        anew: bool = False,
        accept_changed_data: bool = False,
    ):
        self._folder, self._path = folder, folder / _DESCRIPTION
        self._before: dict[str, Any] | None = None
        self._other: str | None = None
        self._content, self._videos, self.changes = {"recipe": recipe.to_dict()}, {}, {}
        for entry, value in json.loads(json.dumps(identity)).items():
            if isinstance(value, dict) and "videos" in value:
                self._videos[entry] = value
                value = {"clips": len(value["videos"]), "digest": value["digest"]}
            self._content[entry] = value
        # A run that failed before its first checkpoint holds nothing to keep: it begins again.
        if not self._path.exists() or not any(any(folder.glob(name)) for name in _RESULTS):
            return
        reason, acceptable = self._compared(accept_changed_data)
        if reason is None:
            return
        if not anew:
            raise ValueError(f"{reason}. {_ANEW}.{f' {_ACCEPT}.' if acceptable else ''}")
        self._other, self._before, self.changes = reason, None, {}

    @property
    def is_new(self) -> bool:
        """Whether no earlier training is resumed."""
        return self._before is None

    def begin(self) -> None:
        """Write the description of a new run, after moving another run into a sub-folder."""
        if self._other is not None:
            aside = set_aside(self._folder, _OF_A_RUN)
            _logger.warning("%s. Its files are now in %s", self._other, aside)
        if self._before is None:
            self._content["versions"] = {
                "keras_mlp3d": __version__,
                "keras": keras.__version__,
                "backend": keras.config.backend(),
                "python": platform.python_version(),
            }
            self._write_videos()
            _write_json(self._path, self._content)
        elif not self.changes and self._videos and not (self._folder / _VIDEOS).exists():
            self._write_videos()  # a run of an earlier version

    def accept_changes(self, epochs: int) -> None:
        """Write the present videos as those of the run.

        Args:
            epochs: Number of epochs done before.
        """
        for split, words in self.changes.items():
            _logger.warning("The %s videos of %s changed: %s", split, self._folder, words)
        changes = [*self._before.get("changes", ()), {"epochs_done": epochs, **self.changes}]
        self._write_videos()
        _write_json(self._path, {**self._before, **self._content, "changes": changes})

    def _write_videos(self):
        if self._videos:
            _write_json(self._folder / _VIDEOS, self._videos, indent=None)

    def _compared(self, accept):
        """Return why the folder is of another run, or None; and whether only its videos differ."""
        try:
            before = read_json(self._path)
        except ValueError as error:
            return str(error).removesuffix("."), False
        self._before, reasons, acceptable = before, [], True
        for entry in _DECISIVE:
            old, new = before.get(entry), self._content.get(entry)
            if old == new:
                continue
            if entry in self._videos and isinstance(old, dict):
                words, small, same_classes = self._change(entry, old.get("digest"))
                if same_classes and (small or accept):
                    self.changes[entry] = words
                else:
                    reasons.append(f"{entry}: {words}")
                    acceptable &= same_classes
            else:
                differences = _differences(entry, old, new)
                reasons += differences
                acceptable &= not differences
        if not reasons:
            return None, False
        return f"{self._folder} holds another run: {'; '.join(reasons)}", acceptable

    def _change(self, split, digest):
        """Return how the videos changed, if only a little, and if the classes are the same."""
        now, before = self._videos[split], self._stored_videos().get(split)
        if before is not None and before.get("digest") == now["digest"]:
            return "as was accepted before", True, True  # killed between writing two files
        if before is None or before.get("digest") != digest:
            known = "the earlier videos are not known"
            return f"the digest was {digest!r}, is {now['digest']!r}; {known}", False, True
        change = data_change(before, now)
        return str(change), change.is_small, change.classes is None

    def _stored_videos(self):
        path = self._folder / _VIDEOS
        try:
            content = read_json(path, _MAX_VIDEOS_BYTES)
            for split, now in self._videos.items():
                if content.get(split) is not None:
                    data_change(content[split], now)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            _logger.warning("%s is not used: %s", path, error)
            return {}
        return content


def _differences(entry, old, new):
    if isinstance(old, dict) and isinstance(new, dict):
        keys = {*old, *new} - (WORDS if entry == "recipe" else set())
        keys = sorted(key for key in keys if old.get(key) != new.get(key))
        return [f"{entry} {key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys]
    return [f"{entry} was {old!r}, is {new!r}"]


def _write_json(path, content, indent=2):
    text = json.dumps(content, indent=indent, allow_nan=False) + "\n"
    write_whole(path, text.encode(), alone=True)


def set_aside(folder: pathlib.Path, patterns: Iterable[str]) -> pathlib.Path:
    """Move the files of a run into a new sub-folder `before-1`, `before-2` ..., and return it."""
    numbers = itertools.count(1)
    aside = next(path for n in numbers if not (path := folder / f"before-{n}").exists())
    aside.mkdir()
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            os.replace(path, aside / path.name)
    return aside
