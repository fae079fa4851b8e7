"""What an evaluation on a data set found: accuracies with their intervals, and what they rest on.

A video that could not be read stays in every count. Accuracies are over all expected videos, where
it counts as wrong; those whose name ends in `_of_decoded` leave it out.
"""

import dataclasses
import functools
import json
import math
import pathlib

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole

_Z = 1.959963984540054  # 0.975 quantile of the normal distribution


def wilson_interval(correct, total):
    """Returns the 95 % interval of a fraction, by Wilson's score method.

    Unlike the plain normal interval it stays between 0 and 1 and holds for small counts and for
    fractions near 0 and 1.

    Args:
        correct: How many succeeded.
        total: Out of how many.

    Returns:
        (lower, upper), or None where `total` is 0.

    Raises:
        ValueError: If the counts are no counts, or `correct` exceeds `total`.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:

    >>> [round(bound, 4) for bound in wilson_interval(45, 60)]
    [0.6277, 0.8422]
    """
    for name, count in (("correct", correct), ("total", total)):
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
            raise ValueError(f"{name} must be a whole number from 0, got {count!r}.")
    if correct > total:
        raise ValueError(f"correct must not exceed total, got {correct} of {total}.")
    if not total:
        return None
    fraction, z2 = correct / total, _Z * _Z / total
    middle = (fraction + z2 / 2) / (1 + z2)
    spread = _Z * math.sqrt(fraction * (1 - fraction) / total + z2 / (4 * total)) / (1 + z2)
    # At either end the bound is exact, and rounding must not push it out.
    return (
        0.0 if correct == 0 else max(0.0, middle - spread),
        1.0 if correct == total else min(1.0, middle + spread),
    )


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What a network made of one video of a data set.

    Args:
        path: The video file, as the manifest gives it; of a video in memory, its row's `name`.
        start: Where the clip starts in the file, in seconds; None for its start.
        end: Where it ends, in seconds; None for the file's end.
        label: The right class, as its place in the evaluation's `class_names`.
        best: The class with the highest score; of equal scores the first.
        score: Its score, between 0 and 1.
        rank: Place of the right class among all, from 1.
        source: The video itself where it is no file; else None.

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
    """Result of `evaluate`. Fractions are between 0 and 1, classes in the order of the model.

    Args:
        class_names: Name of each class.
        class_counts: For each class, how many rows the manifest has, int64 (classes,).
        predictions: `VideoResult` of each video that was decoded, in the manifest's order.
        failed: (path, reason) of each video that could not be read, those included that the data
            set lists and its folder has not: of these the class is not known.
        digest: SHA-256 of the manifest, in hexadecimal digits.
        split: Name of the manifest's split, such as "val".
        clips: Clips that were taken of each video.
        crops: Crops of each clip.

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

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "class_names", tuple(self.class_names))
        set_field(self, "class_counts", np.asarray(self.class_counts, "int64"))
        set_field(self, "predictions", tuple(self.predictions))
        set_field(self, "failed", tuple((str(path), str(why)) for path, why in self.failed))
        rows = int(self.class_counts.sum())
        if rows > self.expected or (self.confusion.sum(axis=1) > self.class_counts).any():
            raise ValueError(
                f"Every video must be decoded or failed: the manifest has {rows} rows, "
                f"{self.decoded} were decoded and {len(self.failed)} failed."
            )

    @property
    def expected(self):
        """How many videos there should be: those decoded and those that failed."""
        return self.decoded + len(self.failed)

    @property
    def decoded(self):
        """How many videos could be read."""
        return len(self.predictions)

    @functools.cached_property
    def confusion(self):
        """Decoded videos by right class (row) and best class (column), int64."""
        matrix = np.zeros((len(self.class_names),) * 2, "int64")
        np.add.at(
            matrix, ([v.label for v in self.predictions], [v.best for v in self.predictions]), 1
        )
        return matrix

    @property
    def top1(self):
        """Fraction of the expected videos whose best class is the right one; None without any."""
        return _fraction(self._correct(1), self.expected)

    @property
    def top1_interval(self):
        """95 % Wilson interval of `top1`."""
        return wilson_interval(self._correct(1), self.expected)

    @property
    def top5(self):
        """Fraction of the expected videos whose right class is among the best five."""
        return _fraction(self._correct(5), self.expected)

    @property
    def top5_interval(self):
        """95 % Wilson interval of `top5`."""
        return wilson_interval(self._correct(5), self.expected)

    @property
    def top1_of_decoded(self):
        """`top1` among the decoded videos alone; None where none was decoded."""
        return _fraction(self._correct(1), self.decoded)

    @property
    def top1_of_decoded_interval(self):
        """95 % Wilson interval of `top1_of_decoded`."""
        return wilson_interval(self._correct(1), self.decoded)

    @property
    def top5_of_decoded(self):
        """`top5` among the decoded videos alone; None where none was decoded."""
        return _fraction(self._correct(5), self.decoded)

    @property
    def top5_of_decoded_interval(self):
        """95 % Wilson interval of `top5_of_decoded`."""
        return wilson_interval(self._correct(5), self.decoded)

    @property
    def class_accuracies(self):
        """For each class its `top1`; None for a class of which the manifest has no video."""
        return tuple(map(_fraction, np.diag(self.confusion).tolist(), self.class_counts.tolist()))

    def to_dict(self):
        """Returns all of it as values that JSON knows; what has no value is None, never NaN."""
        content = {
            name: getattr(self, name)
            for name in ("digest", "split", "clips", "crops", "expected", "decoded")
        }
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

    def write_json(self, path):
        """Writes `to_dict()` beside `path` and then moves it there, so that no half file is left.

        Args:
            path: The file; an earlier one is replaced.

        Raises:
            FileNotFoundError: If its directory does not exist.
            IsADirectoryError: If the path is a directory.
            OSError: If the file cannot be written; an earlier one stays.
        """
        path = pathlib.Path(path)
        if path.is_dir():
            raise IsADirectoryError(f"Cannot write {str(path)!r}: it is a directory.")
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"Cannot write {str(path)!r}: the directory {str(path.parent)!r} does not exist."
            )
        # One line a key: readable, and a matrix of 400 classes does not take 160,000 lines.
        lines = [
            f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
            for key, value in self.to_dict().items()
        ]
        write_whole(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))

    def _correct(self, places):
        return sum(video.rank <= places for video in self.predictions)


def _values(video):
    """The fields of a `VideoResult` that JSON knows: all except the video itself."""
    fields = (field.name for field in dataclasses.fields(video))
    return {name: getattr(video, name) for name in fields if name != "source"}


def _fraction(part, whole):
    return part / whole if whole else None
