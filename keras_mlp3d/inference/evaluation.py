"""The result of an evaluation: accuracies with their intervals, and a result per video.

Accuracies are over all expected videos: an unreadable video counts as wrong. Accuracies whose name
ends in `_of_decoded` leave unreadable videos out.
"""

import dataclasses
import functools
import json
import math
import pathlib
from typing import Any

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import StrPath

_Z = 1.959963984540054  # 0.975 quantile of the normal distribution


def wilson_interval(correct: int, total: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a fraction, by Wilson's score method.

    Unlike the normal interval, it stays between 0 and 1 and is valid for small counts and for
    fractions near 0 and 1.

    Args:
        correct: Number of successes.
        total: Number of trials.

    Returns:
        (lower, upper), or None if `total` is 0.

    Raises:
        ValueError: If the counts are no counts, or `correct` exceeds `total`.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:

    >>> [round(bound, 4) for bound in wilson_interval(45, 60)]
    [0.6277, 0.8422]
    """
    for name, count in (("correct", correct), ("total", total)):
        check_integer(name, count, 0)
    if correct > total:
        raise ValueError(f"correct must not exceed total, got {correct} of {total}.")
    if not total:
        return None
    fraction, z2 = correct / total, _Z * _Z / total
    middle = (fraction + z2 / 2) / (1 + z2)
    spread = _Z * math.sqrt(fraction * (1 - fraction) / total + z2 / (4 * total)) / (1 + z2)
    # At both ends the bound is exact: no rounding may move it.
    return (
        0.0 if correct == 0 else max(0.0, middle - spread),
        1.0 if correct == total else min(1.0, middle + spread),
    )


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """Result of a network for one video of a data set.

    Args:
        path: The video file, as in the manifest, or the `name` of the row of a video in memory.
        start: Second at which the row begins in the file, or None for the file's beginning.
        end: Second at which it ends, or None for the file's end.
        label: True class, as an index into the evaluation's `class_names`.
        best: Class with the highest score; ties go to the first.
        score: Score of that class, from 0 to 1.
        rank: Rank of the true class, from 1.
        source: The video itself if it is no file, else None.

    Example:

    >>> VideoResult("a.mp4", None, None, label=2, best=0, score=0.5, rank=3).rank
    3
    """

    path: str
    start: float | None
    end: float | None
    label: int
    best: int
    score: float
    rank: int
    source: object = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of `evaluate`. Accuracies are from 0 to 1; classes are in the order of the model.

    Args:
        class_names: Names of the classes.
        class_counts: Number of the manifest's rows per class, int64 (classes,).
        predictions: `VideoResult` of each decoded video, in the order of the manifest.
        failed: (path, reason) of each unreadable video, including videos that the data set lists
            and its folder lacks. The class of the latter is not known.
        digest: SHA-256 of the manifest, in hexadecimal digits.
        split: Name of the manifest's split, such as "val".
        clips: Number of clips per video.
        crops: Number of crops per clip.

    Raises:
        ValueError: If a row of the manifest is neither among the predictions nor among the
            failed.

    Example:

    >>> results = [VideoResult("a.mp4", None, None, label=0, best=0, score=0.75, rank=1)]
    >>> evaluation = Evaluation(("run", "jump"), np.array([1, 1]), results, [("b.mp4", "empty")])
    >>> evaluation.top1, evaluation.top1_of_decoded, evaluation.expected, evaluation.decoded
    (0.5, 1.0, 2, 1)
    >>> evaluation.confusion.tolist()
    [[1, 0], [0, 0]]
    """

    class_names: tuple[str, ...]
    class_counts: np.ndarray = dataclasses.field(repr=False)
    predictions: tuple[VideoResult, ...] = dataclasses.field(repr=False)
    failed: tuple[tuple[str, str], ...]
    digest: str = ""
    split: str = ""
    clips: int = 1
    crops: int = 1

    def __post_init__(self) -> None:
        self._set_fields()
        rows = int(self.class_counts.sum())
        if rows > self.expected or (self.confusion.sum(axis=1) > self.class_counts).any():
            raise ValueError(
                f"Every video must be decoded or failed: the manifest has {rows} rows, "
                f"{self.decoded} were decoded and {len(self.failed)} failed."
            )

    def _set_fields(self):
        set_field = object.__setattr__
        set_field(self, "class_names", tuple(self.class_names))
        set_field(self, "class_counts", np.asarray(self.class_counts, "int64"))
        set_field(self, "predictions", tuple(self.predictions))
        set_field(self, "failed", tuple((str(path), str(why)) for path, why in self.failed))

    @property
    def expected(self) -> int:
        """Number of all videos, decoded and failed."""
        return self.decoded + len(self.failed)

    @property
    def decoded(self) -> int:
        """Number of decoded videos."""
        return len(self.predictions)

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """Numbers of decoded videos by true class (row) and best class (column), int64."""
        matrix = np.zeros((len(self.class_names),) * 2, "int64")
        np.add.at(
            matrix, ([v.label for v in self.predictions], [v.best for v in self.predictions]), 1
        )
        return matrix

    @property
    def top1(self) -> float | None:
        """Fraction of the expected videos whose best class is the true one; None without any."""
        return _fraction(self._correct(1), self.expected)

    @property
    def top1_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of `top1`."""
        return wilson_interval(self._correct(1), self.expected)

    @property
    def top5(self) -> float | None:
        """Fraction of the expected videos whose true class is among the best five."""
        return _fraction(self._correct(5), self.expected)

    @property
    def top5_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of `top5`."""
        return wilson_interval(self._correct(5), self.expected)

    @property
    def top1_of_decoded(self) -> float | None:
        """`top1` among the decoded videos; None without any."""
        return _fraction(self._correct(1), self.decoded)

    @property
    def top1_of_decoded_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of `top1_of_decoded`."""
        return wilson_interval(self._correct(1), self.decoded)

    @property
    def top5_of_decoded(self) -> float | None:
        """`top5` among the decoded videos; None without any."""
        return _fraction(self._correct(5), self.decoded)

    @property
    def top5_of_decoded_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of `top5_of_decoded`."""
        return wilson_interval(self._correct(5), self.decoded)

    @property
    def class_accuracies(self) -> tuple[float | None, ...]:
        """`top1` of each class; None for a class without videos in the manifest."""
        return tuple(map(_fraction, np.diag(self.confusion).tolist(), self.class_counts.tolist()))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as values that JSON knows. Missing values are None, never NaN."""
        content = self._counts_of_videos()
        for name in ("top1", "top5", "top1_of_decoded", "top5_of_decoded"):
            interval = getattr(self, f"{name}_interval")
            content[name] = getattr(self, name)
            content[f"{name}_interval"] = None if interval is None else list(interval)
        content["failed"] = [{"path": path, "reason": reason} for path, reason in self.failed]
        decoded = self.confusion.sum(axis=1)
        content["classes"] = [
            {
                "name": name,
                "expected": int(self.class_counts[place]),
                "decoded": int(decoded[place]),
                "correct": int(self.confusion[place, place]),
                "accuracy": self.class_accuracies[place],
                "accuracy_of_decoded": _fraction(
                    int(self.confusion[place, place]), int(decoded[place])
                ),
            }
            for place, name in enumerate(self.class_names)
        ]
        content["confusion"] = self.confusion.tolist()
        names = self.class_names
        content["predictions"] = [
            {**_values(video), "label": names[video.label], "best": names[video.best]}
            for video in self.predictions
        ]
        return content

    def _counts_of_videos(self):
        names = ("digest", "split", "clips", "crops", "expected", "decoded")
        return {name: getattr(self, name) for name in names}

    def write_json(self, path: StrPath) -> None:
        """Write `to_dict()` to a file, which is complete or unchanged.

        Args:
            path: The file. An earlier one is replaced.

        Raises:
            FileNotFoundError: If its directory does not exist.
            IsADirectoryError: If the path is a directory.
            OSError: If the file cannot be written.
        """
        path = pathlib.Path(path)
        if path.is_dir():
            raise IsADirectoryError(f"Cannot write {str(path)!r}: it is a directory.")
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"Cannot write {str(path)!r}: the directory {str(path.parent)!r} does not exist."
            )
        # One line per key is readable, and a matrix of 400 classes does not take 160,000 lines.
        lines = [
            f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
            for key, value in self.to_dict().items()
        ]
        write_whole(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))

    def _correct(self, places):
        return sum(video.rank <= places for video in self.predictions)


def _values(video):
    """Return all fields of a `VideoResult` except the video itself."""
    fields = (field.name for field in dataclasses.fields(video))
    return {name: getattr(video, name) for name in fields if name != "source"}


def _fraction(part, whole):
    return part / whole if whole else None
