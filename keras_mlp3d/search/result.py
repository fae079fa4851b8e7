"""The result of a greedy search, with all of its scores."""

import dataclasses
from typing import Any

from keras_mlp3d.models import Mixing
from keras_mlp3d.search.space import SearchSpace


@dataclasses.dataclass(frozen=True)
class CandidateScore:
    """Score of one candidate of one block, with all later blocks undecided.

    Args:
        repeat: Number of the repeat, from 0.
        block: Number of the block, from 0.
        mixing: The candidate, a `Mixing`.
        seed: Seed with which undecided blocks are sampled.
        value: Its score V; for a `Scorer` the share of correctly classified clips.
        cost: Its cost C, with undecided blocks as in `ScheduleCost`.
        kept: Whether it was chosen.

    Example:

    >>> CandidateScore(0, 2, Mixing("short_range", 4), 7, 0.5, 1.25).to_dict()["mixing"]
    'short_range:4'
    """

    repeat: int
    block: int
    mixing: Mixing
    seed: int
    value: float
    cost: float
    kept: bool = False

    def marked(self, kept: bool) -> "CandidateScore":
        """Return a copy with `kept` set.

        Args:
            kept: Whether the candidate was chosen.
        """
        return dataclasses.replace(self, kept=kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        return {**dataclasses.asdict(self), "mixing": str(self.mixing)}


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The result of `greedy`.

    Args:
        space: The `SearchSpace`.
        alpha: Weight α of the cost.
        seed: Seed of the search.
        schedules: Per repeat, its schedule with a `Mixing` per block.
        values: Per repeat, the score V of its schedule.
        costs: Per repeat, the cost C of its schedule.
        agreement: Per block, the share of repeats that made the most frequent choice.
        ties: Per block, the share of the other candidates whose difference from the best one may be
            chance, on average over the repeats. Where it is near 1, chance decided. None if the
            scores are numbers alone.
        scores: A `CandidateScore` per candidate, in the order of the search.

    Example:

    >>> one, two = ((Mixing("shift_token", size),) for size in (2, 4))
    >>> result = SearchResult(SearchSpace(), 0.25, 0, (one, two), (0.5, 0.75), (1.0, 3.0), (0.5,))
    >>> result.objectives, result.best, str(result.schedule[0])
    ((0.25, 0.0), 0, 'shift_token:2')
    """

    space: SearchSpace
    alpha: float
    seed: int
    schedules: tuple[tuple[Mixing, ...], ...]
    values: tuple[float, ...]
    costs: tuple[float, ...]
    agreement: tuple[float, ...]
    ties: tuple[float, ...] | None = None
    scores: tuple[CandidateScore, ...] = dataclasses.field(default=(), repr=False)

    @property
    def objectives(self) -> tuple[float, ...]:
        """Per repeat, V - α C of its schedule."""
        pairs = zip(self.values, self.costs, strict=True)
        return tuple(value - self.alpha * cost for value, cost in pairs)

    @property
    def best(self) -> int:
        """Number of the repeat, from 0, with the highest V - α C. Ties go to the cheapest."""
        rows = zip(self.objectives, self.costs, strict=True)
        return min((-objective, cost, repeat) for repeat, (objective, cost) in enumerate(rows))[2]

    @property
    def schedule(self) -> tuple[Mixing, ...]:
        """The schedule of the best repeat."""
        return self.schedules[self.best]

    @property
    def value(self) -> float:
        """The score V of the best repeat's schedule."""
        return self.values[self.best]

    @property
    def cost(self) -> float:
        """The cost C of the best repeat's schedule."""
        return self.costs[self.best]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, with schedules as lists of texts."""
        return {
            "space": self.space.to_dict(),
            "alpha": self.alpha,
            "seed": self.seed,
            "schedule": [str(mixing) for mixing in self.schedule],
            "value": self.value,
            "cost": self.cost,
            "best": self.best,
            "schedules": [[str(mixing) for mixing in schedule] for schedule in self.schedules],
            "values": list(self.values),
            "costs": list(self.costs),
            "agreement": list(self.agreement),
            "ties": None if self.ties is None else list(self.ties),
            "scores": [score.to_dict() for score in self.scores],
        }
