"""The candidates of a block, and spaces that cannot be."""

import itertools
import json

import numpy as np
import pytest
from reference.grouped_time_mixing import shared

from keras_mlp3d import Mixing
from keras_mlp3d.search import SearchSpace


def test_the_paper_s_kinds_with_one_candidate_for_no_mixing():
    mixings = SearchSpace().mixings
    assert len(mixings) == len(set(mixings)) == 13
    assert [mixing for mixing in mixings if mixing.group_size == 1] == [Mixing("short_range", 1)]
    assert {mixing.kind for mixing in mixings if mixing.group_size == 8} == {
        "short_range",
        "long_range",
        "shift_window",
        "shift_token",
    }


def test_the_first_kind_stands_for_no_mixing_whatever_it_is():
    space = SearchSpace(("shift_token", "long_range"), (4, 1))
    assert list(map(str, space.mixings)) == ["shift_token:4", "shift_token:1", "long_range:4"]
    assert space.max_group_size == 4


@pytest.mark.parametrize("frames", [8, 16, 32])
def test_candidates_are_equal_if_their_layers_are(frames):
    """With one kernel, shared or not, in the slow twin of the layer."""
    time, rng = frames // 4, np.random.default_rng(0)
    sizes = [size for size in (1, 2, 4, 8) if time % size == 0]
    space = SearchSpace(("short_range", "long_range", "shift_window", "shift_token"), sizes)
    x, bias = rng.normal(size=(1, time, 1, 1, 2)), rng.normal(size=2)
    matrices = {size: rng.normal(size=(2 * size - 1, 2, 2)) for size in sizes}

    def output(mixing):
        size = mixing.group_size
        w = {interval: matrices[size][interval + size - 1] for interval in range(1 - size, size)}
        return shared(x, mixing.kind, size, w.get, bias)

    for one, other in itertools.combinations(space.mixings, 2):
        same = one.group_size == other.group_size and np.allclose(output(one), output(other))
        firsts = {space.first_equal(mixing, frames) for mixing in (one, other)}
        assert (len(firsts) == 1) == same, (one, other)


def test_round_trips():
    space = SearchSpace(["long_range", "shift_token"], [2, 8])
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert SearchSpace.parse(str(space)) == space
    assert SearchSpace.parse("/1,2") == SearchSpace(group_sizes=(1, 2))
    assert SearchSpace.parse("shift_token") == SearchSpace(("shift_token",))
    assert hash(space) == hash(SearchSpace(("long_range", "shift_token"), (2, 8)))


@pytest.mark.parametrize("frames", [32, 64, 96])
def test_clips_that_take_every_candidate(frames):
    space = SearchSpace()
    assert all(mixing.divides(frames // 4) for mixing in space.mixings)
    assert space.check(frames) is None


def test_shift_token_takes_any_number_of_tokens():
    assert SearchSpace(("shift_token",), (1, 3, 5)).check(32) is None


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            24,
            r"24 frames, 6 tokens in time, .* candidates short_range:4, .*: 1, 2, 3, 6\.",
        ),
        (
            16,
            r"the candidates short_range:8, long_range:8, shift_window:8; .*: 1, 2, 4\.",
        ),
        (30, "must be a multiple of 4, got 30"),
        (0, "num_frames must be a positive integer, got 0"),
        (32.0, r"got 32\.0"),
    ],
)
def test_clip_lengths_that_the_space_does_not_fit(frames, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace().check(frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), (1,)), "kinds must be a list of at least one entry"),
        ((("shift_token",), ()), "group_sizes must be a list of at least one entry"),
        (("shift_token", (1,)), "kinds must be a list"),
        ((("sideways",), (1,)), "entry of kinds must be one of .*'shift_token'.*, got 'sideways'"),
        ((("full",), (1,)), "got 'full'"),
        ((("shift_token",), (0,)), "positive integer, got 0"),
        ((("shift_token",), (True,)), "got True"),
        ((("shift_token",), ("2",)), "got '2'"),
        ((("shift_token", "shift_token"), (2,)), "kinds must hold every entry once"),
        ((("shift_token",), (2, 4, 2)), "group_sizes must hold every entry once, got 2 twice"),
    ],
)
def test_spaces_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(*arguments)


@pytest.mark.parametrize("text", ["shift_token/two", "shift_token/1,,2", "sideways/1", "a/b/c"])
def test_texts_that_are_no_space(text):
    with pytest.raises(ValueError, match=r"written kind,kind/size,size|kinds must be one of"):
        SearchSpace.parse(text)


def test_json_that_is_no_space():
    for content in ({"kinds": ["shift_token"]}, [1], {**SearchSpace().to_dict(), "depth": 3}):
        with pytest.raises(ValueError, match="A search space is"):
            SearchSpace.from_dict(content)
