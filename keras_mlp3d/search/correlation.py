"""How well accuracies with shared weights predict those of networks trained separately.

Source: section 4.3, Figure 6.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.models import Mixing

#: As `parse_schedule` takes it.
Schedule: TypeAlias = str | Sequence[Mixing | str]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation. Equal values share the mean of their ranks.

    Args:
        one: Numbers.
        other: The same number of numbers.

    Returns:
        Correlation from -1 to 1; NaN if all values of one argument are equal.

    Raises:
        ValueError: If there are fewer than two pairs, or the lengths differ.

    Example:

    >>> spearman([0.1, 0.4, 0.2], [1, 3, 2]), spearman([1, 2, 3], [2, 2, 1])
    (1.0, -0.8660254037844387)
    """
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(
            f"one and other must have the same length of at least 2, got {len(one)} and "
            f"{len(other)}."
        )
    ranks = np.array([_ranks(one), _ranks(other)])
    centered = ranks - ranks.mean(axis=1, keepdims=True)
    spread = math.sqrt((centered[0] ** 2).sum() * (centered[1] ** 2).sum())
    return float((centered[0] * centered[1]).sum() / spread) if spread else math.nan


def _ranks(values):
    values = np.asarray(values, "float64")
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Estimated and real accuracies of several schedules.

    Args:
        names: Name per schedule.
        schedules: The schedules, each a text, or a `Mixing` or text per block.
        estimated: Accuracy per schedule with the supernet's weights.
        real: Accuracy per schedule when its network is trained separately.

    Example:

    >>> found = Correlation(("a", "b"), ("shift_token:2", "shift_token:4"), (0.5, 0.6), (0.7, 0.9))
    >>> found.rho
    1.0
    """

    names: tuple[str, ...]
    schedules: tuple[Schedule, ...]
    estimated: tuple[float, ...]
    real: tuple[float, ...]

    @property
    def rho(self) -> float:
        """Spearman's rank correlation; NaN if all estimated or all real accuracies are equal."""
        return spearman(self.estimated, self.real)

    def to_dict(self) -> dict[str, Any]:
        """Return the correlation as JSON values. `rho` is None if it is not defined."""
        rho = self.rho if len(self.names) > 1 else math.nan
        return {
            "rho": None if math.isnan(rho) else rho,
            "networks": [
                {"name": name, "schedule": _text(schedule), "estimated": estimated, "real": real}
                for name, schedule, estimated, real in zip(
                    self.names, self.schedules, self.estimated, self.real, strict=True
                )
            ],
        }


def correlation(
    schedules: Mapping[str, Schedule],
    estimate: Callable[[Any], float],
    measure: Callable[[Any], float],
    path: StrPath | None = None,
    progress: Callable[[int, int, str | None], None] | None = None,
) -> Correlation:
    """Train networks separately and compare their real accuracy with the estimated accuracy.

    Args:
        schedules: {name: schedule}, at least two.
        estimate: Function of a schedule that returns its accuracy with the supernet's weights, such
            as a `Scorer`, for which a schedule is a `Mixing` per block.
        measure: Function of a schedule that returns the accuracy of its network when trained
            separately, such as a `Trainer`, which resumes interrupted trainings.
        path: None, or a JSON file that is rewritten after every schedule.
        progress: None, or a function of the number of schedules done, the number of all, and the
            name of the next schedule or None.

    Returns:
        `Correlation`

    Raises:
        ValueError: If there are fewer than two schedules.

    Source:
        Section 4.3, Figure 6. The measure of correlation is ours.

    Example:

    >>> schedules = {f"ST {size}": f"shift_token:{size}" for size in (2, 4, 8)}
    >>> real = {"shift_token:2": 0.5, "shift_token:4": 0.7, "shift_token:8": 0.6}
    >>> correlation(schedules, lambda schedule: real[schedule] / 2, real.get).rho
    1.0
    """
    if len(schedules) < 2:
        raise ValueError(f"A correlation needs at least two schedules, got {len(schedules)}.")
    names, rows = tuple(schedules), []
    # The estimates first: they take seconds, so that errors come before the long trainings.
    estimated = tuple(float(estimate(schedule)) for schedule in schedules.values())
    for name, schedule in schedules.items():
        if progress is not None:
            progress(len(rows), len(names), name)
        rows.append(float(measure(schedule)))
        done = len(rows)
        found = Correlation(
            names[:done], tuple(schedules.values())[:done], estimated[:done], tuple(rows)
        )
        if path is not None:
            text = json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n"
            write_whole(path, text.encode(), alone=True)
    if progress is not None:
        progress(len(rows), len(names), None)
    return found


def _text(schedule):
    return schedule if isinstance(schedule, str) else [str(mixing) for mixing in schedule]
