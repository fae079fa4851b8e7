"""The greedy choice of every block's kind and group size by accuracy minus cost.

Source: section 3.4, Eq. (6), Figure 5.
"""

import collections
import math

import numpy as np

from keras_mlp3d.search.result import CandidateScore, SearchResult
from keras_mlp3d.search.space import SearchSpace
from keras_mlp3d.search.trace import Trace


def greedy(
    score,
    space,
    depth,
    repeats=3,
    alpha=5e-3,
    seed=0,
    cost=None,
    trace=None,
    identity=None,
    anew=False,
    progress=None,
):
    """Decides the blocks one by one, first to last, several times over.

    Every candidate of the block at hand is scored with the blocks behind it undecided; the one
    with the highest V - α C stays: V its score, C its cost. Of equal ones it is the cheapest, then
    the first in the space. A repeat draws undecided blocks with seeds of its own; all candidates of
    one block are scored with the same seed, so that they meet the same draws. The best repeat is
    the one whose full schedule has the highest V - α C.

    Scores do not depend on `alpha`: another `alpha`, or more repeats, with the trace of a finished
    search takes from it every score that it needs again and computes the others.

    Args:
        score: Function (choices, seed) to a finite number V, such as a `Scorer`. `choices` has a
            `Mixing` for each block, or None where the block is undecided: to be drawn at random,
            from `seed`, at each forward.
        space: `SearchSpace`.
        depth: Number of blocks.
        repeats: How often the search is done.
        alpha: Weight α of the cost, in score for each unit of cost: for GMACs, 5e-3 is half a
            point of accuracy.
        seed: Seed of the repeats' seeds. Where no block is undecided, `score` gets it as it is.
        cost: Function of choices to their cost C, such as a `ScheduleCost`; None for no cost.
        trace: None, or the file that every score is written to as it is made, and that a search
            goes on from; see `Trace`.
        identity: None, or {name: JSON value} of what the scores rest on besides, such as the data;
            a trace of another is refused.
        anew: Whether a trace of another search is moved aside, not refused; or the names in
            `identity` that may differ for that.
        progress: None, or a function that is called with the number of candidates done and of all.

    Returns:
        `SearchResult`

    Raises:
        ValueError: If an argument is wrong, a score is not a finite number, or the trace is of
            another search. Scores made until then are in the trace.

    Source:
        Section 3.4, Eq. (6); α in GMACs, and the order among equals, are our reading.

    Example:

    >>> space = SearchSpace(("shift_token",), (1, 2, 4))
    >>> def score(choices, seed):
    ...     return sum(mixing.group_size == 2 for mixing in choices if mixing) / 3
    >>> result = greedy(score, space, depth=3)
    >>> [str(mixing) for mixing in result.schedule], result.value, result.agreement
    (['shift_token:2', 'shift_token:2', 'shift_token:2'], 1.0, (1.0, 1.0, 1.0))
    """
    _check(space, depth, repeats, alpha, seed)
    if trace is not None:
        searched = {"space": space.to_dict(), "depth": depth, "seed": seed}
        trace = Trace(trace, {**searched, **(identity or {})}, anew)
    total = repeats * depth * len(space.mixings)
    scores, schedules = [], []
    for repeat in range(repeats):
        choices = (None,) * depth
        for block in range(depth):
            block_seed = _seed(seed, repeat, block, depth)
            rows = []
            for mixing in space.mixings:
                candidate = (*choices[:block], mixing, *choices[block + 1 :])
                spent = float(cost(candidate)) if cost else 0.0
                value = _value(score, candidate, block_seed, trace, repeat, block, spent)
                rows.append(CandidateScore(repeat, block, mixing, block_seed, value, spent))
                if progress is not None:
                    progress(len(scores) + len(rows), total)
            kept = _best_of(rows, alpha)
            choices = (*choices[:block], rows[kept].mixing, *choices[block + 1 :])
            scores += [row.marked(place == kept) for place, row in enumerate(rows)]
        schedules.append(choices)
    # The last block's candidates were full schedules: their scores are those of the results.
    ends = [row for row in scores if row.kept and row.block == depth - 1]
    return SearchResult(
        space=space,
        alpha=float(alpha),
        seed=seed,
        schedules=tuple(schedules),
        values=tuple(row.value for row in ends),
        costs=tuple(row.cost for row in ends),
        agreement=_agreement(schedules),
        scores=tuple(scores),
    )


def _best_of(rows, alpha):
    """Place of the highest V - α C; of equal ones the cheapest, then the first."""
    ranks = [(alpha * row.cost - row.value, row.cost, place) for place, row in enumerate(rows)]
    return min(ranks)[2]


def _seed(seed, repeat, block, depth):
    """A seed of the repeat and block; `seed` itself where nothing is left to draw."""
    if block == depth - 1:
        return seed
    return int(np.random.SeedSequence([seed, repeat, block]).generate_state(1)[0])


def _value(score, choices, seed, trace, repeat, block, spent):
    """The score of the trace where it is there, else a new one, which goes into the trace."""
    texts = [None if mixing is None else str(mixing) for mixing in choices]
    known = trace.get(texts, seed) if trace is not None else None
    if known is not None:
        return known
    value = float(score(choices, seed))
    if not math.isfinite(value):
        raise ValueError(
            f"The score of {texts[block]} in block {block + 1} of repeat {repeat + 1} is {value}; "
            "it must be a finite number. The scores before it are kept where there is a trace."
        )
    if trace is not None:
        trace.add(texts, seed, value, repeat=repeat, block=block, cost=spent)
    return value


def _agreement(schedules):
    """For each block the share of the schedules that have what most of them have."""
    counts = (collections.Counter(block).most_common(1) for block in zip(*schedules, strict=True))
    return tuple(count / len(schedules) for [(_, count)] in counts)


def _check(space, depth, repeats, alpha, seed):
    if not isinstance(space, SearchSpace):
        raise ValueError(f"space must be a SearchSpace, got {type(space).__name__}.")
    for name, value, least in (("depth", depth, 1), ("repeats", repeats, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not number or not 0 <= alpha < math.inf:
        raise ValueError(f"alpha must be a number of at least 0, got {alpha!r}.")
