"""What a greedy search found, and every score on the way."""

import dataclasses

from keras_mlp3d.models import Mixing
from keras_mlp3d.search.space import SearchSpace


@dataclasses.dataclass(frozen=True)
class CandidateScore:
    """Score of one candidate of one block, the blocks behind it undecided.

    Args:
        repeat: Number of the repeat, from 0.
        block: Number of the block, from 0.
        mixing: The candidate, a `Mixing`.
        seed: Seed of the draws of undecided blocks.
        value: Its score V, for a `Scorer` the share of clips classified right.
        cost: Its cost C, undecided blocks as `ScheduleCost` counts them.
        kept: Whether it stayed.

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

    def marked(self, kept):
        """Returns the score with `kept` set.

        Args:
            kept: Whether it stayed.
        """
        return dataclasses.replace(self, kept=kept)

    def to_dict(self):
        """Returns the score as JSON has it."""
        return {**dataclasses.asdict(self), "mixing": str(self.mixing)}


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What `greedy` found.

    Args:
        space: The `SearchSpace`.
        alpha: Weight α of the cost.
        seed: Seed of the search.
        schedules: For each repeat its schedule, one `Mixing` for each block.
        values: For each repeat the score V of its schedule.
        costs: For each repeat the cost C of its schedule.
        agreement: For each block the share of repeats that chose what most of them chose.
        scores: A `CandidateScore` for every candidate, in the order of the search.

    Example:

    >>> one, two = ((Mixing("shift_token", size),) for size in (2, 4))
    >>> result = SearchResult(SearchSpace(), 0.25, 0, (one, two), (0.5, 0.75), (1.0, 3.0), (0.5,))
    >>> result.objectives, result.best, str(result.schedule[0])
    ((0.25, 0.0), 0, 'shift_token:2')
    """

    space: SearchSpace
    alpha: float
    seed: int
    schedules: tuple
    values: tuple
    costs: tuple
    agreement: tuple
    scores: tuple = dataclasses.field(default=(), repr=False)

    @property
    def objectives(self):
        """For each repeat V - α C of its schedule."""
        pairs = zip(self.values, self.costs, strict=True)
        return tuple(value - self.alpha * cost for value, cost in pairs)

    @property
    def best(self):
        """Number of the repeat, from 0, with the highest V - α C; of equal ones the cheapest."""
        rows = zip(self.objectives, self.costs, strict=True)
        return min((-objective, cost, repeat) for repeat, (objective, cost) in enumerate(rows))[2]

    @property
    def schedule(self):
        """The schedule of the best repeat."""
        return self.schedules[self.best]

    @property
    def value(self):
        """The score V of the best repeat's schedule."""
        return self.values[self.best]

    @property
    def cost(self):
        """The cost C of the best repeat's schedule."""
        return self.costs[self.best]

    def to_dict(self):
        """Returns the result as JSON has it, a schedule as a list of texts."""
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
            "scores": [score.to_dict() for score in self.scores],
        }
