"""Greedy search with toy scores whose best answer is known."""

import itertools
import json
import math

import numpy as np
import pytest

from keras_mlp3d import Mixing
from keras_mlp3d.search import SearchSpace, greedy

SPACE = SearchSpace(("short_range", "shift_token"), (1, 2, 4))
DEPTH = 4


class Toy:
    """Adds up a worth of each block's choice; undecided blocks are drawn. Counts its calls.

    Worths are multiples of 1/1024, so that sums have no rounding and equal ones are equal.
    """

    def __init__(self, table=0, kill_at=None):
        draws = np.random.default_rng(table).integers(0, 256, (DEPTH, len(SPACE.mixings)))
        self.worth = draws / 1024
        self.calls, self.kill_at = [], kill_at

    def __call__(self, choices, seed):
        if len(self.calls) == self.kill_at:
            raise KeyboardInterrupt
        self.calls.append((choices, seed))
        rng = np.random.default_rng(seed)
        drawn = [int(rng.integers(len(SPACE.mixings))) if c is None else place(c) for c in choices]
        return sum(self.worth[block, candidate] for block, candidate in enumerate(drawn))

    def best(self, alpha):
        """The best of all schedules, by trying all."""
        schedules = itertools.product(SPACE.mixings, repeat=DEPTH)
        return max(
            schedules,
            key=lambda schedule: (
                sum(self.worth[b, place(m)] for b, m in enumerate(schedule))
                - alpha * cost(schedule)
            ),
        )


def place(mixing):
    return SPACE.mixings.index(mixing)


def cost(choices):
    """Blocks differ in what a group size costs; an undecided one counts as S = 2."""
    return sum(2**b * (2 if m is None else m.group_size) for b, m in enumerate(choices)) / 8


@pytest.mark.parametrize("table", range(5))
@pytest.mark.parametrize("alpha", [0.0, 0.0625])
def test_every_repeat_finds_the_known_best(table, alpha):
    toy = Toy(table)
    result = greedy(toy, SPACE, DEPTH, alpha=alpha, seed=table, cost=cost)
    best = toy.best(alpha)
    assert result.schedules == (best,) * 3
    assert result.schedule == best
    assert result.agreement == (1.0,) * DEPTH
    assert result.value == toy(best, 0)
    assert result.cost == cost(best)


@pytest.mark.parametrize("table", range(8))
def test_with_alpha_growing_the_cost_never_grows(table):
    """A theorem for scores that add up: each block's choice moves to cheaper ones alone."""
    costs = [
        greedy(Toy(table), SPACE, DEPTH, alpha=alpha, cost=cost).cost
        for alpha in (0, *np.geomspace(0.001, 4, 12).tolist())
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == cost((Mixing("short_range", 1),) * DEPTH)
    assert costs[0] > costs[-1]


def test_candidates_of_a_block_meet_the_same_draws_and_repeats_others():
    toy = Toy()
    result = greedy(toy, SPACE, DEPTH, repeats=3, seed=5)
    seeds = {(row.repeat, row.block): set() for row in result.scores}
    for row in result.scores:
        seeds[row.repeat, row.block].add(row.seed)
    assert all(len(found) == 1 for found in seeds.values())
    undecided = [found.pop() for (_, block), found in seeds.items() if block < DEPTH - 1]
    assert len(set(undecided)) == 3 * (DEPTH - 1)
    again = greedy(Toy(), SPACE, DEPTH, repeats=3, seed=5)
    assert again == result
    assert {seed for _, seed in toy.calls} == {*undecided, 5}


def test_blocks_are_decided_first_to_last():
    toy = Toy()
    result = greedy(toy, SPACE, DEPTH, repeats=1)
    for block in range(DEPTH):
        rows = toy.calls[block * len(SPACE.mixings) : (block + 1) * len(SPACE.mixings)]
        assert [choices[block] for choices, _ in rows] == list(SPACE.mixings)
        assert {choices[:block] for choices, _ in rows} == {result.schedule[:block]}
        assert {choices[block + 1 :] for choices, _ in rows} == {(None,) * (DEPTH - 1 - block)}
    kept = [row for row in result.scores if row.kept]
    assert [row.mixing for row in kept] == list(result.schedule)
    assert kept[-1].value == result.value


def test_equal_scores_go_to_the_cheaper_and_then_to_the_earlier():
    result = greedy(lambda choices, seed: 0.5, SPACE, 2, alpha=0, cost=cost)
    assert result.schedule == (Mixing("short_range", 1),) * 2
    larger = SearchSpace(("shift_token", "long_range"), (4, 2))
    result = greedy(lambda choices, seed: 0.5, larger, 2, alpha=0, cost=cost)
    assert result.schedule == (Mixing("shift_token", 2),) * 2
    result = greedy(lambda choices, seed: 0.5, larger, 2, alpha=0)
    assert result.schedule == (Mixing("shift_token", 4),) * 2


class Answers:
    """Tells which of 400 clips are right: a share by group size, the first ones of them."""

    def __init__(self, shares, shuffled=False):
        self.shares, self.shuffled, self.calls = shares, shuffled, 0

    def __call__(self, choices, seed):
        self.calls += 1
        [size] = {mixing.group_size for mixing in choices if mixing is not None}
        right = np.arange(400) < round(400 * self.shares[size])
        if self.shuffled:
            np.random.default_rng([seed, size]).shuffle(right)
        return right


@pytest.mark.parametrize(
    ("shares", "shuffled", "tie", "size"),
    [
        ({1: 0.5, 2: 0.51, 4: 0.515}, True, None, 4),
        ({1: 0.5, 2: 0.51, 4: 0.515}, True, 0.95, 1),  # chance, if other clips are right
        ({1: 0.5, 2: 0.51, 4: 0.515}, False, 0.95, 2),  # six clips more and none less are not
        ({1: 0.5, 2: 0.51, 4: 0.515}, False, 0.9999, 1),
        ({1: 0.5, 2: 0.7, 4: 0.71}, True, 0.95, 2),
        ({1: 0.5, 2: 0.7, 4: 0.9}, True, 0.95, 4),
    ],
)
def test_a_lead_that_may_be_chance_is_a_tie(shares, shuffled, tie, size):
    score = Answers(shares, shuffled)
    space = SearchSpace(("shift_token",), (1, 2, 4))
    result = greedy(score, space, 1, alpha=0.0, repeats=1, cost=cost, tie=tie)
    assert [mixing.group_size for mixing in result.schedule] == [size]
    assert result.value == pytest.approx(shares[size])


@pytest.mark.parametrize(
    ("shares", "shuffled", "tie", "share"),
    [
        ({1: 0.5, 2: 0.51, 4: 0.515}, True, None, 1.0),
        ({1: 0.5, 2: 0.51, 4: 0.515}, False, None, 0.5),  # as in the test above
        ({1: 0.5, 2: 0.51, 4: 0.515}, False, 0.9999, 1.0),
        ({1: 0.5, 2: 0.7, 4: 0.9}, True, None, 0.0),
    ],
)
def test_how_many_candidates_tie(shares, shuffled, tie, share):
    space = SearchSpace(("shift_token",), (1, 2, 4))
    result = greedy(Answers(shares, shuffled), space, 1, alpha=0.0, repeats=2, cost=cost, tie=tie)
    assert result.ties == (share,)
    assert result.to_dict()["ties"] == [share]


def test_equal_candidates_and_the_only_one_are_no_ties():
    space = SearchSpace(("short_range", "long_range"), (1, 4))
    score = Answers({1: 0.5, 4: 0.9})
    options = {"alpha": 0.0, "repeats": 1}
    equal = {Mixing("long_range", 4): Mixing("short_range", 4)}
    found = greedy(score, space, 1, **options, equal=lambda mixing: equal.get(mixing, mixing))
    assert found.ties == (0.0,)
    assert greedy(score, space, 1, **options).ties == (0.5,)
    assert greedy(score, SearchSpace(("short_range",), (4,)), 1, **options).ties == (0.0,)
    assert greedy(lambda choices, seed: 0.5, space, 1).to_dict()["ties"] is None


def test_without_a_bool_per_clip_there_are_no_ties():
    with pytest.raises(ValueError, match=r"return a bool for each clip.*float64 of shape \(\)"):
        greedy(lambda choices, seed: 0.5, SPACE, 2, tie=0.95)
    lengths = itertools.count(5)
    with pytest.raises(ValueError, match=r"of as many clips each time, got \[5, 6, 7, 8, 9\]"):
        greedy(lambda choices, seed: np.ones(next(lengths), bool), SPACE, 1, tie=0.95)
    for wrong in (0, 1, -0.5, "high"):
        with pytest.raises(ValueError, match="tie must be"):
            greedy(Answers({1: 0.5, 2: 0.5, 4: 0.5}), SPACE, 1, tie=wrong)


@pytest.mark.parametrize(
    ("score", "came"),
    [
        ([0.5, 1.0], r"float64 of shape \(2,\)"),
        ([[True, False]], r"bool of shape \(1, 2\)"),
        ([], r"float64 of shape \(0,\)"),
    ],
)
def test_scores_of_other_kinds(score, came, tmp_path):
    for trace in (None, tmp_path / "trace.jsonl"):
        with pytest.raises(ValueError, match=f"a number, or a bool for each clip, got {came}"):
            greedy(lambda choices, seed: np.array(score), SPACE, 2, trace=trace)


@pytest.mark.parametrize(("alpha", "size"), [(0.0, 4), (0.1, 1)])
def test_the_cost_counts_in_a_tie(alpha, size):
    """The clips alone tell the two apart; less what the larger one costs, they do not."""
    space = SearchSpace(("shift_token",), (1, 4))
    score = Answers({1: 0.5, 4: 0.54})
    options = {"repeats": 1, "cost": cost, "tie": 0.95}
    found = greedy(score, space, 1, alpha=alpha, **options)
    assert [mixing.group_size for mixing in found.schedule] == [size]
    without = greedy(score, space, 1, alpha=alpha, **{**options, "tie": None})
    assert [mixing.group_size for mixing in without.schedule] == [4]


def test_other_weights_in_each_repeat_have_other_scores(tmp_path):
    """The last block's candidates too, though their schedules have no undecided block."""
    now = []

    def score(choices, seed):
        return 0.5 + now[-1] / 8

    options = {
        "repeats": 2,
        "trace": tmp_path / "trace.jsonl",
        "before_block": lambda repeat, choices: now.append(repeat),
    }
    for _ in range(2):
        assert greedy(score, SPACE, 2, **options).values == (0.5, 0.625)


def test_a_trace_keeps_which_clips_were_right(tmp_path):
    """A search with ties takes them from the trace of one without, and scores what is missing."""
    space = SearchSpace(("shift_token",), (1, 2, 4))
    options = {"alpha": 0.0, "repeats": 1, "cost": cost, "trace": tmp_path / "trace.jsonl"}
    score = Answers({1: 0.5, 2: 0.51, 4: 0.515}, shuffled=True)
    first = greedy(score, space, 1, **options)
    again = greedy(score, space, 1, **options, tie=0.95)
    assert [str(*found.schedule) for found in (first, again)] == ["shift_token:4", "shift_token:1"]
    assert score.calls == 3

    lines = [json.loads(line) for line in options["trace"].read_text().splitlines()]
    old = [{name: line[name] for name in line if name not in ("right", "clips")} for line in lines]
    options["trace"].write_text("".join(json.dumps(line) + "\n" for line in old))
    assert greedy(score, space, 1, **options).schedule == first.schedule
    assert score.calls == 3
    assert greedy(score, space, 1, **options, tie=0.95).schedule == again.schedule
    assert score.calls == 6


@pytest.mark.parametrize(
    "damage", [{"right": "ff"}, {"right": "no"}, {"clips": -4}, {"clips": "4"}]
)
def test_a_damaged_list_of_right_clips(tmp_path, damage):
    space = SearchSpace(("shift_token",), (1,))
    path, score = tmp_path / "trace.jsonl", Answers({1: 0.5})
    greedy(score, space, 1, repeats=1, trace=path)
    first, line = path.read_text().splitlines()
    path.write_text(first + "\n" + json.dumps({**json.loads(line), **damage}) + "\n")
    with pytest.raises(ValueError, match="line 2, is damaged"):
        greedy(score, space, 1, repeats=1, trace=path)


def test_the_best_repeat_and_what_the_repeats_agree_on():
    """The first block's score is nothing but noise; the last depends on what was drawn for it."""

    def score(choices, seed):
        if choices[0] is not None and choices[1] is None:
            rng = np.random.default_rng([seed, place(choices[0])])
            return float(rng.random())
        return {1: 0.25, 2: 0.5, 4: 0.75}[choices[0].group_size] + (choices[1] == SPACE.mixings[3])

    result = greedy(score, SPACE, 2, repeats=5, alpha=0.0, seed=1)
    firsts = [schedule[0] for schedule in result.schedules]
    assert len(set(firsts)) > 1
    most = max(firsts.count(first) for first in firsts)
    assert result.agreement == (most / 5, 1.0)
    assert result.value == max(result.values)
    assert result.best == result.values.index(max(result.values))
    assert result.schedule == result.schedules[result.best]


def test_progress_counts_every_candidate():
    seen = []
    greedy(Toy(), SPACE, DEPTH, repeats=2, progress=lambda *counts: seen.append(counts))
    total = 2 * DEPTH * len(SPACE.mixings)
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_a_result_as_json():
    result = greedy(Toy(), SPACE, DEPTH, cost=cost)
    content = json.loads(json.dumps(result.to_dict()))
    assert content["schedule"] == [str(mixing) for mixing in result.schedule]
    assert SearchSpace.from_dict(content["space"]) == SPACE
    assert len(content["scores"]) == 3 * DEPTH * len(SPACE.mixings)
    assert sum(row["kept"] for row in content["scores"]) == 3 * DEPTH


# The trace ----------------------------------------------------------------------------------------


def search(toy, path, **changes):
    values = {"depth": DEPTH, "alpha": 0.03125, "seed": 2, "cost": cost, **changes}
    return greedy(toy, SPACE, trace=path, **values)


def test_a_killed_search_goes_on_without_scoring_again(tmp_path):
    path, whole = tmp_path / "trace.jsonl", Toy()
    expected = search(whole, tmp_path / "whole.jsonl")
    calls = []
    for kill_at in (0, 1, 7, 20, 11):
        toy = Toy(kill_at=kill_at)
        with pytest.raises(KeyboardInterrupt):
            search(toy, path)
        calls += toy.calls
    toy = Toy()
    assert search(toy, path) == expected
    assert calls + toy.calls == whole.calls
    assert path.read_text() == (tmp_path / "whole.jsonl").read_text()
    again = Toy(kill_at=0)
    assert search(again, path) == expected


def test_every_score_is_written_as_it_is_made(tmp_path):
    path, toy = tmp_path / "trace.jsonl", Toy()
    lines = []

    def score(choices, seed):
        lines.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return toy(choices, seed)

    search(score, path, repeats=1)
    assert lines == [0, *range(2, len(lines) + 1)]
    first = json.loads(path.read_text().splitlines()[1])
    assert first["repeat"] == first["block"] == 0
    assert first["choices"] == ["short_range:1", None, None, None]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_half_written_line_is_dropped(tmp_path, cut, caplog):
    path = tmp_path / "trace.jsonl"
    expected = search(Toy(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    toy = Toy()
    assert search(toy, path) == expected
    assert len(toy.calls) == 1
    assert "truncated" in caplog.text
    assert path.read_bytes() == whole


def test_a_half_written_first_line_is_dropped(tmp_path):
    path = tmp_path / "trace.jsonl"
    expected = search(Toy(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert search(Toy(), path) == expected
    assert path.read_bytes() == whole


def test_another_alpha_takes_the_scores_that_are_the_same(tmp_path):
    path = tmp_path / "trace.jsonl"
    search(Toy(), path)
    toy, plain = Toy(), Toy()
    result = search(toy, path, alpha=0.25)
    assert result == search(plain, None, alpha=0.25)
    assert 0 < len(toy.calls) < len(plain.calls)
    more = Toy()
    assert search(more, path, repeats=5) == search(Toy(), None, repeats=5)
    assert {seed for _, seed in more.calls}.isdisjoint({seed for _, seed in toy.calls} - {2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 3}, "depth was 4, is 3"),
        ({"seed": 3}, "seed was 2, is 3"),
        ({"identity": {"data": "other"}}, "data was 'this', is 'other'"),
        ({"identity": None}, "data was 'this', is None"),
    ],
)
def test_the_trace_of_another_search_is_refused(tmp_path, changes, message):
    path = tmp_path / "trace.jsonl"
    search(Toy(), path, identity={"data": "this"})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"the trace of another search: {message}"):
        search(Toy(), path, **{"identity": {"data": "this"}, **changes})
    assert path.read_bytes() == before


def test_the_trace_of_another_space_is_refused(tmp_path):
    path = tmp_path / "trace.jsonl"
    search(Toy(), path)
    with pytest.raises(ValueError, match=r"space was \{'kinds': .*'group_sizes': \[1, 2, 4\]\}"):
        greedy(Toy(), SearchSpace(), DEPTH, seed=2, trace=path)


@pytest.mark.parametrize(
    ("place", "line", "message"),
    [
        (0, "{}", "is not the trace of a search"),
        (0, "[]", "line 1, is damaged"),
        (3, "{half", "line 4, is damaged"),
        (3, '{"choices": []}', "line 4, is damaged: it has no score"),
        (3, '{"choices": [], "seed": 0, "value": NaN}', "line 4, is damaged"),
    ],
)
def test_a_damaged_trace_is_refused(tmp_path, place, line, message):
    path = tmp_path / "trace.jsonl"
    search(Toy(), path, repeats=1)
    lines = path.read_text().splitlines()
    lines[place] = line
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        search(Toy(), path, repeats=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_an_error_and_the_others_are_kept(tmp_path, bad):
    path, toy = tmp_path / "trace.jsonl", Toy()

    def score(choices, seed):
        return bad if len(toy.calls) == 7 else toy(choices, seed)

    with pytest.raises(ValueError, match=f"score of short_range:4 in block 2 of repeat 1 is {bad}"):
        search(score, path)
    assert len(path.read_text().splitlines()) == 1 + 7
    rest = Toy()
    assert search(rest, path) == search(Toy(), None)
    assert toy.calls[0] not in rest.calls


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": -0.1}, "alpha must be a number of at least 0, got -0.1"),
        ({"alpha": math.nan}, "alpha must be .*, got nan"),
        ({"alpha": math.inf}, "alpha must be .*, got inf"),
        ({"repeats": 0}, "repeats must be a positive integer, got 0"),
        ({"depth": 0}, "depth must be a positive integer, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": True}, "seed must be .*, got True"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        search(Toy(), None, **changes)
    with pytest.raises(ValueError, match="space must be a SearchSpace, got tuple"):
        greedy(Toy(), SPACE.mixings, DEPTH)


def test_equal_candidates_are_scored_once(tmp_path):
    space = SearchSpace(("long_range", "shift_token", "short_range"), (1, 2, 4))
    scored = []

    def score(choices, seed):
        scored.append([str(mixing) for mixing in choices if mixing][-1])
        return len(scored) / 1024

    def equal(mixing):
        return space.first_equal(mixing, num_frames=16)

    result = greedy(score, space, depth=2, repeats=1, equal=equal, trace=tmp_path / "trace")
    each = [str(mixing) for mixing in space.mixings if str(mixing) != "short_range:4"]
    assert scored == 2 * each
    values = {(row.block, str(row.mixing)): row.value for row in result.scores}
    assert len(values) == 2 * len(space.mixings)
    for block in range(2):
        assert values[block, "short_range:4"] == values[block, "long_range:4"]
    again = greedy(score, space, depth=2, repeats=1, equal=equal, trace=tmp_path / "trace")
    assert again.to_dict() == result.to_dict()
    assert len(scored) == 2 * len(each)
