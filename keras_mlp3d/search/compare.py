"""The comparison of hand-made schedules with a searched one.

Source: section 3.4, Figure 4.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.search.networks import Network
from keras_mlp3d.search.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class ComparedNetwork:
    """A network of a comparison with its cost and accuracy.

    Args:
        network: The `Network`.
        gmacs: GMACs per clip.
        accuracies: Accuracy per seed.

    Example:

    >>> row = ComparedNetwork(Network("ST", "shift_token:4", 4), 0.012, (0.5, 0.75))
    >>> row.accuracy
    0.625
    """

    network: Network
    gmacs: float
    accuracies: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the seeds."""
        return math.fsum(self.accuracies) / len(self.accuracies)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        schedule = self.network.schedule
        texts = schedule if isinstance(schedule, str | None) else [str(item) for item in schedule]
        return {
            "name": self.network.name,
            "family": self.network.family,
            "group_size": self.network.group_size,
            "schedule": texts,
            "gmacs": self.gmacs,
            "accuracy": self.accuracy,
            "accuracies": list(self.accuracies),
        }


def compare(
    networks: Iterable[Network],
    trainer: Trainer,
    seeds: Iterable[int] = (0,),
    path: StrPath | None = None,
    progress: Callable[[int, int, str | None], None] | None = None,
) -> tuple[ComparedNetwork, ...]:
    """Train networks in the same way and measure their accuracy and cost.

    Args:
        networks: `Network`s, such as `paper_networks()`.
        trainer: `Trainer`, which resumes interrupted trainings. Or any callable of (schedule, seed)
            that returns an accuracy and has a method `gmacs(schedule)`.
        seeds: Seeds; every network is trained once per seed.
        path: None, or a JSON file that is rewritten after every network.
        progress: None, or a function of the number of trainings done, the number of all, and the
            name of the next network or None.

    Returns:
        A `ComparedNetwork` per network.

    Raises:
        ValueError: If there is no network or no seed.

    Source:
        Section 3.4, Figure 4.

    Example:

    >>> class Toy:
    ...     def gmacs(self, schedule):
    ...         return 1.0 if schedule is None else 2.0
    ...     def __call__(self, schedule, seed):
    ...         return 0.25 if schedule is None else 0.5 + 0.25 * seed
    >>> rows = compare([Network("2-D", None), Network("ST", "shift_token:2", 2)], Toy(), (0, 1))
    >>> [(row.network.name, row.gmacs, row.accuracy) for row in rows]
    [('2-D', 1.0, 0.25), ('ST 2', 2.0, 0.625)]
    """
    networks, seeds = tuple(networks), tuple(seeds)
    if not networks or not seeds:
        raise ValueError(
            f"A comparison needs networks and seeds, got {len(networks)} and {len(seeds)}."
        )
    total, rows = len(networks) * len(seeds), []
    costs = [trainer.gmacs(network.schedule) for network in networks]
    for network, gmacs in zip(networks, costs, strict=True):
        accuracies = []
        for seed in seeds:
            if progress is not None:
                progress(len(rows) * len(seeds) + len(accuracies), total, network.name)
            accuracies.append(float(trainer(network.schedule, seed)))
        rows.append(ComparedNetwork(network, gmacs, tuple(accuracies)))
        if path is not None:
            content = {"seeds": list(seeds), "networks": [row.to_dict() for row in rows]}
            text = json.dumps(content, indent=2, allow_nan=False) + "\n"
            write_whole(path, text.encode(), alone=True)
    if progress is not None:
        progress(total, total, None)
    return tuple(rows)
