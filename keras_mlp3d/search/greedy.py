"""The greedy choice of every block's kind and group size by accuracy minus cost.

Source: section 3.4, Eq. (6), Figure 5.
"""

import collections
import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from keras import ops

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.models import Mixing
from keras_mlp3d.search.result import CandidateScore, SearchResult
from keras_mlp3d.search.space import SearchSpace
from keras_mlp3d.search.trace import Trace

#: A `Mixing` per block, or None for an undecided block.
Choices: TypeAlias = Sequence[Mixing | None]

#: Confidence with which a lead is told from chance where none is asked for.
_CONFIDENCE = 0.95


def greedy(
    score: Callable[[Choices, int], float | np.ndarray],
    space: SearchSpace,
    depth: int,
    repeats: int = 3,
    alpha: float = 5e-3,
    seed: int = 0,
    cost: Callable[[Choices], float] | None = None,
    trace: StrPath | None = None,
    identity: Mapping[str, Any] | None = None,
    anew: bool | Collection[str] = False,
    progress: Callable[[int, int], None] | None = None,
    equal: Callable[[Mixing], Mixing] | None = None,
    tie: float | None = None,
    before_block: Callable[[int, Choices], None] | None = None,
) -> SearchResult:
    """Decide the blocks one by one, from first to last, and repeat this several times.

    Every candidate of a block is scored while all later blocks are undecided. The candidate with
    the highest V - α C is kept, where V is its score and C its cost. Ties go to the cheapest, then
    to the first in the space. Undecided blocks are sampled with other seeds in each repeat; all
    candidates of a block are scored with the same seed, and so with the same samples. The best
    repeat is the one whose full schedule has the highest V - α C.

    A candidate ties with the best one if the difference of the two on the same clips may be chance.
    `ties` of the result says how many do. With `tie`, the cheapest of all that tie is kept.

    Scores do not depend on `alpha`. With the trace of a finished search, another `alpha` or more
    repeats reuse its scores and compute only the missing ones.

    Args:
        score: Function of (choices, seed) that returns a finite number V, such as a `Scorer`; or,
            such as `Scorer.right`, a bool for each clip, whose mean is V.
            `choices` has a `Mixing` per block, or None for an undecided block, which is sampled
            with `seed` at each forward pass.
        space: `SearchSpace`.
        depth: Number of blocks.
        repeats: Number of repeats.
        alpha: Weight α of the cost, in score per unit of cost. With GMACs, 5e-3 is half a percent
            of accuracy per GMAC.
        seed: Seed from which the repeats' seeds are derived. If no block is undecided, `score`
            gets this seed.
        cost: Function of choices that returns their cost C, such as a `ScheduleCost`; None for no
            cost.
        trace: None, or a file to which every score is written at once, and from which an
            interrupted search is resumed; see `Trace`.
        identity: None, or {name: JSON value} of what else decides the scores, such as the data. A
            trace with another identity is refused.
        anew: Whether the trace of another search is moved aside instead of refused; or only if
            no names other than these differ in `identity`.
        progress: None, or a function of the number of candidates done and the number of all.
        equal: None, or a function that returns the first candidate that is the same layer as
            another one, such as `SearchSpace.first_equal`. Equal candidates are scored once.
        tie: None, or the confidence, between 0 and 1, of the interval of a difference V - α C on
            the same clips: a candidate ties with the best one if the interval holds 0. `score` must
            return a bool for each clip then. With None, `ties` of the result is of 0.95.
        before_block: None, or a function of the number of a repeat and its choices so far, called
            before each block's candidates are scored, such as a `Refinement`.

    Returns:
        `SearchResult`

    Raises:
        ValueError: If an argument is wrong, a score is not finite, or the trace is of another
            search. The scores made until then are in the trace.

    Source:
        Section 3.4, Eq. (6); docs/reading.md (greedy search, units).

    Example:

    >>> space = SearchSpace(("shift_token",), (1, 2, 4))
    >>> def score(choices, seed):
    ...     return sum(mixing.group_size == 2 for mixing in choices if mixing) / 3
    >>> result = greedy(score, space, depth=3)
    >>> [str(mixing) for mixing in result.schedule], result.value, result.agreement
    (['shift_token:2', 'shift_token:2', 'shift_token:2'], 1.0, (1.0, 1.0, 1.0))
    """
    _check(space, depth, repeats, alpha, seed)
    if tie is not None:
        check_number("tie", tie, above=0, below=1)
    journal = None
    if trace is not None:
        searched = {"space": space.to_dict(), "depth": depth, "seed": seed}
        journal = Trace(trace, {**searched, **(identity or {})}, anew)
    total = repeats * depth * len(space.mixings)
    scores, schedules = [], []
    ties: list[list[float | None]] = [[] for _ in range(depth)]
    for repeat in range(repeats):
        choices = (None,) * depth
        for block in range(depth):
            if before_block is not None:
                before_block(repeat, choices)
            block_seed = _seed(seed, repeat, block, depth, before_block is not None)
            rows, right, distinct = [], [], []
            known: dict[Mixing, tuple[float, np.ndarray | None]] = {}
            for mixing in space.mixings:
                candidate = (*choices[:block], mixing, *choices[block + 1 :])
                spent = float(cost(candidate)) if cost else 0.0
                first = equal(mixing) if equal else mixing
                if first not in known:
                    place = {"repeat": repeat, "block": block, "cost": spent}
                    known[first] = _value(score, candidate, block_seed, journal, tie, place)
                    distinct.append(len(rows))
                value, clips = known[first]
                rows.append(CandidateScore(repeat, block, mixing, block_seed, value, spent))
                right.append(clips)
                if progress is not None:
                    progress(len(scores) + len(rows), total)
            kept = best = _best_of(rows, alpha)
            tied = _ties(rows, right, alpha, _CONFIDENCE if tie is None else tie, best)
            ties[block].append(_share(tied, distinct, best))
            if tie is not None:
                kept = min(tied, key=lambda place: (rows[place].cost, tied[place], place))
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
        ties=_means(ties),
        scores=tuple(scores),
    )


def _best_of(rows, alpha):
    """Return the place of the highest V - α C. Ties go to the cheapest, then to the first."""
    ranks = [(alpha * row.cost - row.value, row.cost, place) for place, row in enumerate(rows)]
    return min(ranks)[2]


def _ties(rows, right, alpha, confidence, best):
    """Return {place of a candidate that the clips do not tell from the best: how far behind it is}.

    None if it is not known of every candidate which clips were right.
    """
    if any(clips is None for clips in right):
        return None
    if len({len(clips) for clips in right}) > 1:
        raise ValueError(
            "score must return a bool for each clip, of as many clips each time, got "
            f"{sorted({len(clips) for clips in right})}."
        )
    deviations = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    found = {}
    for place, row in enumerate(rows):
        difference = right[best].astype(int) - right[place]
        behind = rows[best].value - row.value - alpha * (rows[best].cost - row.cost)
        if behind <= deviations * difference.std() / math.sqrt(len(difference)):
            found[place] = behind
    return found


def _share(tied, distinct, best):
    """Return the share of the other candidates that tie with the best one; None if unknown."""
    if tied is None:
        return None
    others = [place in tied for place in distinct if place != best]
    return sum(others) / len(others) if others else 0.0


def _seed(seed, repeat, block, depth, repeats_differ):
    """Return the seed of a repeat and block.

    It is `seed` itself if no block is undecided: the score is then the same in all repeats, and the
    trace holds it once. With other weights in each repeat it is not.
    """
    if block == depth - 1 and not repeats_differ:
        return seed
    return int(np.random.SeedSequence([seed, repeat, block]).generate_state(1)[0])


def _value(score, choices, seed, trace, tie, place):
    """Return (V, a bool per clip or None): from the trace, or new and then added to it."""
    texts = [None if mixing is None else str(mixing) for mixing in choices]
    if trace is not None:
        value, right = trace.get(texts, seed), trace.right(texts, seed)
        if value is not None and (tie is None or right is not None):
            return value, right
    found = score(choices, seed)
    if not isinstance(found, float | int | np.generic | np.ndarray):
        found = ops.convert_to_numpy(found)
    found = np.asarray(found)
    whether = found.ndim == 1 and found.dtype == bool and len(found) > 0
    if not whether and (tie is not None or found.ndim):
        needed = (
            "a bool for each clip, such as Scorer.right"
            if tie is not None
            else ("a number, or a bool for each clip")
        )
        raise ValueError(f"score must return {needed}, got {found.dtype} of shape {found.shape}.")
    right = found if whether else None
    value, block = float(found.mean()), place["block"]
    if not math.isfinite(value):
        raise ValueError(
            f"The score of {texts[block]} in block {block + 1} of repeat {place['repeat'] + 1} is "
            f"{value}; it must be a finite number. A trace keeps the scores before it."
        )
    if trace is not None:
        trace.add(texts, seed, value, right, **place)
    return value, right


def _agreement(schedules):
    """Return per block, the share of the schedules that have the most frequent choice."""
    counts = (collections.Counter(block).most_common(1) for block in zip(*schedules, strict=True))
    return tuple(count / len(schedules) for [(_, count)] in counts)


def _means(ties):
    """Return per block, the mean over the repeats; None if one is not known."""
    if any(share is None for shares in ties for share in shares):
        return None
    return tuple(sum(shares) / len(shares) for shares in ties)


def _check(space, depth, repeats, alpha, seed):
    if not isinstance(space, SearchSpace):
        raise ValueError(f"space must be a SearchSpace, got {type(space).__name__}.")
    check_integer("depth", depth)
    check_integer("repeats", repeats)
    check_integer("seed", seed, minimum=0)
    check_number("alpha", alpha, minimum=0)
