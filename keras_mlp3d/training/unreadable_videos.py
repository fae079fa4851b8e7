"""The videos that a run could not read: counted every epoch, named, and in a file of the run."""

import csv
import dataclasses
import io
import logging
import math

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data.video.sources import is_path
from keras_mlp3d.distribution import current_distribution

_logger = logging.getLogger("keras_mlp3d")

UNREADABLE = "unreadable.csv"
_ELSEWHERE = "another process of the training could not read it"
_NAMED = 3  # videos named in a line of the log


@dataclasses.dataclass(frozen=True)
class UnreadableVideo:
    """A video that could not be read in some epochs of a run.

    In training another video takes its place. In validation it counts as wrong, as in
    `inference.evaluate`, and does not enter the loss.

    Args:
        split: "training" or "validation".
        path: The file, as the manifest gives it; the name and the row of a video in memory.
        start: Second at which its stretch begins; None for the file's start.
        end: Second at which it ends; None for the file's end.
        first_epoch: The first epoch in which it could not be read, from 1.
        last_epoch: The last one.
        epochs: How many they were.
        reason: Why it could not be read, the last time.

    Example:

    >>> UnreadableVideo("validation", "a.mp4", None, None, 3, 5, 2, "it is empty").epochs
    2
    """

    split: str
    path: str
    start: float | None
    end: float | None
    first_epoch: int
    last_epoch: int
    epochs: int
    reason: str


class UnreadableVideos:
    """Counts the unreadable videos of each epoch, and makes its validation metrics honest.

    Args:
        training: Data set to train on. If it is a `data.VideoLoader`, its source says what could
            not be read; nothing is known of other data sets.
        validation: None, or that to validate on.
        known: What `to_state` returned before a kill.

    Example:

    >>> videos = UnreadableVideos(training=[], validation=None)
    >>> videos.after_epoch(0, {"loss": 0.5}), videos.videos
    ({}, ())
    """

    def __init__(self, training, validation=None, known=()):
        sources = {"training": training, "validation": validation}
        sources = {split: getattr(data, "source", None) for split, data in sources.items()}
        self._sources = {
            split: source for split, source in sources.items() if hasattr(source, "failed")
        }
        self._known = {tuple(row[:4]): UnreadableVideo(*row) for row in known}
        self._before = {}

    @property
    def videos(self):
        """Tuple of `UnreadableVideo`."""
        return tuple(self._known.values())

    @property
    def counts_validation(self):
        """Whether validation goes on without the videos that cannot be read."""
        return getattr(self._sources.get("validation"), "counts", False)

    def to_state(self):
        """Returns what is known, as JSON has it."""
        return [list(dataclasses.astuple(video)) for video in self.videos]

    def write_csv(self, folder):
        """Writes a row for each video into `unreadable.csv`, if there is any.

        Args:
            folder: Folder of the run, a `pathlib.Path`.
        """
        if not self._known:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(UnreadableVideo)])
        writer.writerows(dataclasses.astuple(video) for video in self.videos)
        content = text.getvalue().encode("utf-8", "surrogateescape")
        write_whole(folder / UNREADABLE, content, alone=True)

    def after_epoch(self, epoch, logs):
        """Notes the videos that an epoch could not read, and corrects its validation metrics.

        Keras computes them with weight 0 for these videos: accuracy over the others, and a loss
        whose sum lacks them while its count does not. All processes must call it together.

        Args:
            epoch: Number of the epoch, from 0.
            logs: What Keras logs of it. `val_accuracy` becomes the share of all videos, and
                `val_loss` the mean over the readable ones: NaN if there was none.

        Returns:
            {} if validation videos are not counted, else a dict of `val_unreadable`, how many
            could not be read, and `read`, the share of the others.
        """
        for split, source in self._sources.items():
            self._note(split, source, epoch)
        if not self.counts_validation:
            return {}
        source, distribution = self._sources["validation"], current_distribution()
        processes = distribution.shard[1]  # each of them evaluates all videos
        failed, rows = distribution.sum(len(source.failed)) / processes, len(source.manifest)
        if failed:
            whole = rows - failed
            if "val_loss" in logs:
                logs["val_loss"] = logs["val_loss"] * rows / whole if whole else math.nan
            if "val_accuracy" in logs:
                logs["val_accuracy"] = logs["val_accuracy"] * whole / rows
            logs["val_unreadable"] = failed
        return {"val_unreadable": failed, "read": 1 - failed / rows}

    def _note(self, split, source, epoch):
        failed = _of_all_processes(source)
        for number, reason in sorted(failed.items()):
            row = source.manifest.rows[number]
            # Videos in memory may have one name.
            name = row.name if is_path(row.path) else f"{row.name} (row {number + 1})"
            key = (split, name, row.start, row.end)
            before = self._known.get(key)
            first, times = (before.first_epoch, before.epochs) if before else (epoch + 1, 0)
            self._known[key] = UnreadableVideo(*key, first, epoch + 1, times + 1, reason)
        if failed.keys() != self._before.get(split, {}).keys():
            self._log(split, source, epoch, failed)
        self._before[split] = failed

    def _log(self, split, source, epoch, failed):
        if not current_distribution().is_chief:
            return
        rows = source.manifest.rows
        if not failed:
            _logger.warning("Epoch %d: all %s videos could be read again", epoch + 1, split)
            return
        reasons = list(failed.items())[:_NAMED]
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        _logger.warning(
            "Epoch %d: %d of %d %s videos could not be read and %s: %s%s",
            *(epoch + 1, len(failed), len(rows), split),
            "were replaced by others" if split == "training" else "count as wrong",
            "; ".join(f"{rows[number].name!r} ({reason})" for number, reason in reasons),
            more,
        )


def _of_all_processes(source):
    """{row: reason} of the rows that some process could not read."""
    distribution, failed = current_distribution(), dict(source.failed)
    if distribution.add_up is None:
        return failed
    anywhere = np.zeros(len(source.manifest), "float32")
    anywhere[list(failed)] = 1
    numbers = np.flatnonzero(distribution.add_up(anywhere)).tolist()
    return {number: failed.get(number, _ELSEWHERE) for number in numbers}
