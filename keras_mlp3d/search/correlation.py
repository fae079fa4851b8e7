"""How well accuracies estimated with shared weights follow real ones.

Source: section 4.3, Figure 6.
"""

import dataclasses
import json
import math

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole


def spearman(one, other):
    """Returns Spearman's rank correlation; equal values share the mean of their ranks.

    Args:
        one: Numbers.
        other: As many numbers.

    Returns:
        Correlation from -1 to 1; NaN where all values of a side are equal.

    Raises:
        ValueError: If there are less than two pairs, or the sides differ in length.

    Example:

    >>> spearman([0.1, 0.4, 0.2], [1, 3, 2]), spearman([1, 2, 3], [2, 2, 1])
    (1.0, -0.8660254037844387)
    """
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(
            f"Expected two sides of one length, at least two, got {len(one)} and {len(other)}."
        )
    ranks = np.array([_ranks(one), _ranks(other)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = math.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float((centred[0] * centred[1]).sum() / spread) if spread else math.nan


def _ranks(values):
    values = np.asarray(values, "float64")
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Estimated and real accuracies of some schedules.

    Args:
        names: Name of each schedule.
        schedules: The schedules, one `Mixing` or text for each block, or a text.
        estimated: Accuracy of each with the supernet's weights.
        real: Accuracy of each when trained by itself.

    Example:

    >>> found = Correlation(("a", "b"), ("shift_token:2", "shift_token:4"), (0.5, 0.6), (0.7, 0.9))
    >>> found.rho
    1.0
    """

    names: tuple
    schedules: tuple
    estimated: tuple
    real: tuple

    @property
    def rho(self):
        """Spearman's rank correlation; NaN where all values of a side are equal."""
        return spearman(self.estimated, self.real)

    def to_dict(self):
        """Returns all of it as JSON has it, `rho` being None where there is none."""
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


def correlation(schedules, estimate, measure, path=None, progress=None):
    """Trains some schedules by themselves and compares their real accuracy to the estimated one.

    Args:
        schedules: {name: schedule}, at least two.
        estimate: Function of a schedule to its accuracy with the supernet's weights, such as a
            `Scorer` on one `Mixing` for each block.
        measure: Function of a schedule to its accuracy when trained by itself, such as a
            `Trainer`, which goes on with what was cut short.
        path: None, or a JSON file, written anew after every schedule.
        progress: None, or a function that is called with the schedules done, all, and the name of
            the next or None.

    Returns:
        `Correlation`

    Raises:
        ValueError: If there are less than two schedules.

    Source:
        Section 4.3, Figure 6; the measure of correlation is ours.

    Example:

    >>> schedules = {f"ST {size}": f"shift_token:{size}" for size in (2, 4, 8)}
    >>> real = {"shift_token:2": 0.5, "shift_token:4": 0.7, "shift_token:8": 0.6}
    >>> correlation(schedules, lambda schedule: real[schedule] / 2, real.get).rho
    1.0
    """
    if len(schedules) < 2:
        raise ValueError(f"A correlation needs at least two schedules, got {len(schedules)}.")
    names, rows = tuple(schedules), []
    # The estimates first: they take seconds, and what fails then fails before the trainings.
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
