"""Costs of schedules against the count of the network that has them."""

import numpy as np
import pytest

from keras_mlp3d import MLP3D, MLP3DBackbone, cost
from keras_mlp3d.search import ScheduleCost, SearchSpace

SPACE = SearchSpace(group_sizes=(1, 2, 4))
SHAPE = (16, 32, 48, 3)


def network(schedule):
    return MLP3D(MLP3DBackbone((8, 8, 16, 24), (1, 2, 1, 1), 2, schedule), 3)


@pytest.fixture(scope="module")
def schedule_cost():
    return ScheduleCost(network("shift_token:4"), SPACE, SHAPE)


def test_the_cost_of_a_schedule_is_that_of_its_network(schedule_cost):
    rng = np.random.default_rng(0)
    for _ in range(5):
        schedule = tuple(SPACE.mixings[i] for i in rng.integers(len(SPACE.mixings), size=5))
        counted = cost.count(network(schedule), SHAPE)
        assert schedule_cost(schedule) == counted.macs / 1e9


def test_an_undecided_block_costs_what_a_draw_costs_on_average(schedule_cost):
    fixed = SPACE.mixings[3:7]
    costs = [schedule_cost((*fixed[:2], mixing, *fixed[2:])) for mixing in SPACE.mixings]
    assert schedule_cost((*fixed[:2], None, *fixed[2:])) == pytest.approx(np.mean(costs), rel=1e-12)


def test_kinds_of_one_group_size_cost_exactly_the_same(schedule_cost):
    for size in (2, 4):
        candidates = [mixing for mixing in SPACE.mixings if mixing.group_size == size]
        assert len({schedule_cost((None, mixing, None, None, None)) for mixing in candidates}) == 1


def test_one_choice_for_each_block(schedule_cost):
    with pytest.raises(ValueError, match="choices must have one entry for each of 5 blocks, got 4"):
        schedule_cost((None,) * 4)
