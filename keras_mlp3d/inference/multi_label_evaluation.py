"""The result of an evaluation on videos that may have several labels: mean average precision."""

import dataclasses
import functools
from typing import Any, NoReturn

import numpy as np

from keras_mlp3d.inference.average_precision import (
    average_precision,
    mean_average_precision_interval,
)
from keras_mlp3d.inference.evaluation import Evaluation

_DIGITS = 6  # of the scores in a file


@dataclasses.dataclass(frozen=True, eq=False)
class MultiLabelResult:
    """Scores of a network for one video that may have several labels.

    Args:
        path: The video file, as in the manifest, or the `name` of the row of a video in memory.
        start: Second at which the row begins in the file, or None for the file's beginning.
        end: Second at which it ends, or None for the file's end.
        labels: True classes, as indices into the evaluation's `class_names`.
        scores: Score of each class, from 0 to 1, float64 (classes,).
        source: The video itself if it is no file, else None.

    Example:

    >>> MultiLabelResult("a.mp4", None, None, labels=(0, 2), scores=np.array([0.9, 0.1, 0.8]))
    MultiLabelResult(path='a.mp4', start=None, end=None, labels=(0, 2), scores=array([0.9, 0.1, \
0.8]))
    """

    path: str
    start: float | None
    end: float | None
    labels: tuple[int, ...]
    scores: np.ndarray
    source: object = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, eq=False)
class MultiLabelEvaluation(Evaluation):
    """Result of `evaluate` if videos may have several labels, or none.

    A class's average precision is the mean precision at the ranks of its videos, ranked by its
    score; see `average_precision`. An unreadable video counts as never found. Accuracies and the
    confusion matrix of `Evaluation` need one class per video, and are errors that say so.

    Args:
        class_names: Names of the classes.
        class_counts: Number of the manifest's rows with each class, int64 (classes,).
        predictions: `MultiLabelResult` of each decoded video, in the order of the manifest.
        failed: (path, reason) of each unreadable video, including videos that the data set lists
            and its folder lacks.
        digest: SHA-256 of the manifest, in hexadecimal digits.
        split: Name of the manifest's split, such as "val".
        clips: Number of clips per video.
        crops: Number of crops per clip.
        failed_labels: True classes of the unreadable videos, the first ones of `failed`. The labels
            of the videos that the folder lacks are not known, and they do not count.

    Raises:
        ValueError: If `class_counts` are not those of the labels.

    Source:
        M. Everingham et al., "The PASCAL visual object classes challenge", 2010, section 4.2, with
        the precision at every rank.

    Example:

    >>> results = [
    ...     MultiLabelResult("a.mp4", None, None, (0, 1), np.array([0.9, 0.2])),
    ...     MultiLabelResult("b.mp4", None, None, (), np.array([0.3, 0.4])),
    ... ]
    >>> evaluation = MultiLabelEvaluation(("run", "fast"), np.array([1, 1]), results, ())
    >>> evaluation.average_precisions, evaluation.mean_average_precision
    ((1.0, 0.5), 0.75)
    """

    predictions: tuple[MultiLabelResult, ...] = dataclasses.field(repr=False)  # type: ignore[assignment]
    failed_labels: tuple[tuple[int, ...], ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self) -> None:
        self._set_fields()
        object.__setattr__(self, "failed_labels", tuple(map(tuple, self.failed_labels)))
        labels = self._labels
        if len(self.failed_labels) > len(self.failed):
            raise ValueError(
                f"failed_labels must be those of the {len(self.failed)} failed videos, got "
                f"{len(self.failed_labels)}."
            )
        if not np.array_equal(labels.sum(axis=0), self.class_counts):
            raise ValueError(
                "class_counts must be the numbers of videos with each class, "
                f"{labels.sum(axis=0).tolist()}, got {self.class_counts.tolist()}."
            )

    @functools.cached_property
    def _labels(self) -> np.ndarray:
        """bool (decoded videos, then failed ones, classes)."""
        rows = [*(video.labels for video in self.predictions), *self.failed_labels]
        labels = np.zeros((len(rows), len(self.class_names)), bool)
        for number, row in enumerate(rows):
            labels[number, list(row)] = True
        return labels

    @functools.cached_property
    def _scores(self) -> np.ndarray:
        """float64 (decoded videos, classes)."""
        scores = np.zeros((self.decoded, len(self.class_names)))
        for number, video in enumerate(self.predictions):
            scores[number] = video.scores
        return scores

    @functools.cached_property
    def average_precisions(self) -> tuple[float | None, ...]:
        """Average precision of each class; None for a class without videos in the manifest."""
        unscored = self._labels[self.decoded :].sum(axis=0)
        return tuple(
            average_precision(self._labels[: self.decoded, k], self._scores[:, k], int(unscored[k]))
            for k in range(len(self.class_names))
        )

    @functools.cached_property
    def average_precisions_of_decoded(self) -> tuple[float | None, ...]:
        """`average_precisions` among the decoded videos."""
        return tuple(
            average_precision(self._labels[: self.decoded, k], self._scores[:, k])
            for k in range(len(self.class_names))
        )

    @property
    def mean_average_precision(self) -> float | None:
        """Mean of `average_precisions` over the classes that have videos; None without any."""
        return _mean(self.average_precisions)

    @property
    def mean_average_precision_of_decoded(self) -> float | None:
        """`mean_average_precision` among the decoded videos."""
        return _mean(self.average_precisions_of_decoded)

    @functools.cached_property
    def mean_average_precision_interval(self) -> tuple[float, float] | None:
        """95 % interval of `mean_average_precision`: 1,000 samples of the videos, bootstrapped."""
        scores = np.zeros(self._labels.shape)
        scores[: self.decoded] = self._scores
        is_scored = np.arange(len(scores)) < self.decoded
        return mean_average_precision_interval(self._labels, scores, is_scored)

    @functools.cached_property
    def mean_average_precision_of_decoded_interval(self) -> tuple[float, float] | None:
        """95 % interval of `mean_average_precision_of_decoded`."""
        everywhere = np.ones(self.decoded, bool)
        labels = self._labels[: self.decoded]
        return mean_average_precision_interval(labels, self._scores, everywhere)

    @property
    def classes_without_videos(self) -> tuple[str, ...]:
        """Names of the classes that no video of the manifest has; no mean includes them."""
        counts = zip(self.class_names, self.class_counts.tolist(), strict=True)
        return tuple(name for name, count in counts if not count)

    @property
    def confusion(self) -> NoReturn:
        """An error: a video with several labels has no row in a confusion matrix."""
        self._refuse("a confusion matrix")

    @property
    def class_accuracies(self) -> NoReturn:
        """An error; see `average_precisions`."""
        self._refuse("an accuracy")

    def _correct(self, places: int) -> NoReturn:
        self._refuse("an accuracy")

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise ValueError(
            f"{what} needs one class per video, and these videos may have several, or none: use "
            "average_precisions and mean_average_precision."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as values that JSON knows. Missing values are None, never NaN."""
        content = self._counts_of_videos()
        for name in ("mean_average_precision", "mean_average_precision_of_decoded"):
            interval = getattr(self, f"{name}_interval")
            content[name] = getattr(self, name)
            content[f"{name}_interval"] = None if interval is None else list(interval)
        content["classes_without_videos"] = list(self.classes_without_videos)
        content["failed"] = [{"path": path, "reason": reason} for path, reason in self.failed]
        decoded = self._labels[: self.decoded].sum(axis=0).tolist()
        content["classes"] = [
            {
                "name": name,
                "expected": int(self.class_counts[place]),
                "decoded": decoded[place],
                "average_precision": self.average_precisions[place],
                "average_precision_of_decoded": self.average_precisions_of_decoded[place],
            }
            for place, name in enumerate(self.class_names)
        ]
        content["predictions"] = [
            {
                "path": video.path,
                "start": video.start,
                "end": video.end,
                "labels": [self.class_names[label] for label in video.labels],
                "scores": [round(score, _DIGITS) for score in video.scores.tolist()],
            }
            for video in self.predictions
        ]
        return content


def _mean(values):
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
