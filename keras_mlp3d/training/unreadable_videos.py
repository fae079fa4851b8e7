"""The unreadable videos of a run: counted per epoch, named in the log, and listed in a file."""

import csv
import dataclasses
import io
import logging
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data.video.sources import is_path
from keras_mlp3d.distribution import current_distribution

_logger = logging.getLogger("keras_mlp3d")

UNREADABLE = "unreadable.csv"
_ELSEWHERE = "another process of the training could not read it"
_NAMED = 3  # videos named per line of the log


@dataclasses.dataclass(frozen=True)
class UnreadableVideo:
    """A video that was unreadable in some epochs of a run.

    In training another video replaces it. In validation it counts as wrong, as in
    `inference.evaluate`, and is not part of the loss.

    Args:
        split: "training" or "validation".
        path: The file, as in the manifest. For a video in memory, its name and row.
        start: Second at which the video's part of the file begins; None for the file's start.
        end: Second at which it ends; None for the file's end.
        first_epoch: The first epoch in which it was unreadable, from 1.
        last_epoch: The last such epoch.
        epochs: Number of such epochs. Of an epoch that was interrupted and resumed, what was before
            the interruption does not count.
        reason: Why it was unreadable the last time.

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
    """Counts the unreadable videos of each epoch, and corrects its validation metrics for them.

    Args:
        training: Data set to train on. Only a `data.VideoLoader` reports its unreadable videos.
        validation: None, or the data set to validate on.
        known: The result of `to_state` in the checkpoint of a run that is resumed.

    Example:

    >>> videos = UnreadableVideos(training=[], validation=None)
    >>> videos.after_epoch(0, {"loss": 0.5}), videos.videos
    ({}, ())
    """

    def __init__(self, training: Any, validation: Any = None, known: Iterable[Sequence] = ()):
        sources = {"training": training, "validation": validation}
        sources = {split: getattr(data, "source", None) for split, data in sources.items()}
        self._sources = {
            split: source for split, source in sources.items() if hasattr(source, "failed")
        }
        self._known = {tuple(row[:4]): UnreadableVideo(*row) for row in known}
        self._before = {}
        for source in self._sources.values():
            source.failed_lately.clear()

    @property
    def videos(self) -> tuple[UnreadableVideo, ...]:
        """The unreadable videos of all epochs so far."""
        return tuple(self._known.values())

    @property
    def counts_validation(self) -> bool:
        """Whether validation continues without its unreadable videos."""
        return getattr(self._sources.get("validation"), "counts", False)

    def to_state(self) -> list[list]:
        """Return the unreadable videos as JSON values."""
        return [list(dataclasses.astuple(video)) for video in self.videos]

    def write_csv(self, folder: pathlib.Path) -> None:
        """Write a row per video to `unreadable.csv`, if there are any.

        Args:
            folder: Folder of the run.
        """
        if not self._known:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(UnreadableVideo)])
        writer.writerows(dataclasses.astuple(video) for video in self.videos)
        content = text.getvalue().encode("utf-8", "surrogateescape")
        write_whole(folder / UNREADABLE, content, alone=True)

    def after_epoch(self, epoch: int, logs: dict[str, float]) -> dict[str, float]:
        """Record the unreadable videos of an epoch, and correct its validation metrics.

        These videos have the weight 0, and so have the clips that fill up the last batch where
        several processes share the videos. Keras's accuracy is then that of the readable videos,
        and its loss is their sum divided by the number of all clips. All processes must call this.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Keras's logs of it, changed in place. `val_accuracy` becomes the share of all
                videos, and `val_loss` the mean over the readable videos, NaN if there are none.

        Returns:
            {} if validation does not count unreadable videos. Else `val_unreadable`, their number,
            and `read`, the share of readable videos.
        """
        for split, source in self._sources.items():
            self._note(split, source, epoch)
        if not self.counts_validation:
            return {}
        source, distribution = self._sources["validation"], current_distribution()
        # How many processes see the same videos: all, or none if each evaluates its own part.
        times = distribution.shard[1] / getattr(source, "shard", (0, 1))[1]
        failed, rows = distribution.sum(len(source.failed)) / times, len(source.manifest)
        whole, clips = rows - failed, getattr(source, "num_clips", rows)
        if "val_loss" in logs and clips != whole:
            logs["val_loss"] = logs["val_loss"] * clips / whole if whole else math.nan
        if failed:
            if "val_accuracy" in logs:
                logs["val_accuracy"] = logs["val_accuracy"] * whole / rows
            logs["val_unreadable"] = failed
        return {"val_unreadable": failed, "read": 1 - failed / rows}

    def _note(self, split, source, epoch):
        # Of a training set, an epoch may leave out some rows.
        lately = _of_all_processes(source, source.failed_lately)
        source.failed_lately.clear()
        for number, reason in sorted(lately.items()):
            row = source.manifest.rows[number]
            # Several videos in memory may have the same name.
            name = row.name if is_path(row.path) else f"{row.name} (row {number + 1})"
            key = (split, name, row.start, row.end)
            before = self._known.get(key)
            first, times = (before.first_epoch, before.epochs) if before else (epoch + 1, 0)
            self._known[key] = UnreadableVideo(*key, first, epoch + 1, times + 1, reason)
        failed = _of_all_processes(source, source.failed)
        if failed.keys() != self._before.get(split, {}).keys():
            self._log(split, source, epoch, failed)
        self._before[split] = failed

    def _log(self, split, source, epoch, failed):
        if not current_distribution().is_chief:
            return
        rows = source.manifest.rows
        if not failed:
            _logger.warning("Epoch %d: all %s videos are readable again", epoch + 1, split)
            return
        reasons = list(failed.items())[:_NAMED]
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        _logger.warning(
            "Epoch %d: %d of %d %s videos are unreadable and %s: %s%s",
            *(epoch + 1, len(failed), len(rows), split),
            "were replaced by other videos" if split == "training" else "count as wrong",
            "; ".join(f"{rows[number].name!r} ({reason})" for number, reason in reasons),
            more,
        )


def _of_all_processes(source, failed):
    """Return {row: reason} of the rows that any process could not read."""
    distribution, failed = current_distribution(), dict(failed)
    if distribution.add_up is None:
        return failed
    anywhere = np.zeros(len(source.manifest), "float32")
    anywhere[list(failed)] = 1
    numbers = np.flatnonzero(distribution.add_up(anywhere)).tolist()
    return {number: failed.get(number, _ELSEWHERE) for number in numbers}
