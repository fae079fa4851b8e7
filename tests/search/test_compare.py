"""The networks of the comparison, their names, and what is written of them."""

import json

import pytest

from keras_mlp3d import parse_schedule
from keras_mlp3d.search import Network, compare, paper_networks, short_name


class Toy:
    """Accuracy and cost of a schedule without a network."""

    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def gmacs(self, schedule):
        return 1.0 if schedule is None else 2.0

    def __call__(self, schedule, seed):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append((schedule, seed))
        return len(self.calls) / 128


def test_the_networks_of_the_paper():
    searched = parse_schedule("shift_token:2", 4)
    networks = paper_networks(searched=searched)
    assert len(networks) == 2 + 5 * 3 + 1
    assert [network.name for network in networks[:5]] == ["2-D", "S = 1", "SR 2", "SR 4", "SR 8"]
    assert networks[-1] == Network("searched", searched)
    assert len({network.schedule for network in networks}) == len(networks)
    for network in networks[1:-1]:
        assert short_name(network.schedule, 10) == network.name
        sizes = {mixing.group_size for mixing in parse_schedule(network.schedule, 10)}
        assert sizes == {network.group_size}
    assert short_name(None, 10) == "2-D"


def test_some_families():
    names = [network.name for network in paper_networks((1, 4), families=("ST", "SR-SW", "ST"))]
    assert names == ["2-D", "S = 1", "ST 4", "SR-SW 4"]
    with pytest.raises(ValueError, match=r"families must be among SR, LR, .*, got 'SW'"):
        paper_networks(families=("SW",))


def test_a_comparison_trains_each_network_with_each_seed(tmp_path):
    networks, toy, seen = paper_networks((1, 2)), Toy(), []
    path = tmp_path / "comparison.json"
    rows = compare(networks, toy, (3, 4), path, lambda *state: seen.append(state))
    assert toy.calls == [(network.schedule, seed) for network in networks for seed in (3, 4)]
    assert rows[0].accuracies == (1 / 128, 2 / 128)
    assert rows[0].accuracy == 1.5 / 128
    assert [row.gmacs for row in rows] == [1.0] + [2.0] * 6
    assert seen[0] == (0, 14, "2-D")
    assert seen[-1] == (14, 14, None)
    content = json.loads(path.read_text())
    assert content["seeds"] == [3, 4]
    assert content["networks"] == [row.to_dict() for row in rows]


def test_networks_done_before_an_interruption_are_written(tmp_path):
    path = tmp_path / "comparison.json"
    with pytest.raises(KeyboardInterrupt):
        compare(paper_networks((1, 2)), Toy(stop_at=5), (0, 1), path)
    names = [row["name"] for row in json.loads(path.read_text())["networks"]]
    assert names == ["2-D", "S = 1"]


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="needs networks and seeds, got 0 and 1"):
        compare([], Toy())
    with pytest.raises(ValueError, match="got 7 and 0"):
        compare(paper_networks((1, 2)), Toy(), ())
