"""benchmarks/schedules_compared.py: the table of networks that answer the same clips."""

import sys

import pytest


@pytest.fixture
def schedules_compared(pytestconfig, monkeypatch):
    monkeypatch.syspath_prepend(pytestconfig.rootpath / "benchmarks")
    import schedules_compared

    yield schedules_compared
    sys.modules.pop("schedules_compared", None)


def test_paired_interval(schedules_compared):
    first, second = [True] * 60 + [False] * 40, [True] * 50 + [False] * 50
    difference, low, high = schedules_compared.paired_interval(first, second)
    assert difference == pytest.approx(0.1)
    assert (low, high) == (pytest.approx(0.1 - 1.96 * 0.03), pytest.approx(0.1 + 1.96 * 0.03))
    assert schedules_compared.paired_interval(first, first) == (0, 0, 0)


def test_a_row_has_each_part_all_clips_and_the_paired_difference(schedules_compared, capsys):
    def answers(right, count, macs):
        return {"macs": macs, "labels": [1] * count, "answers": [1] * right + [0] * (count - right)}

    schedules_compared.print_table(
        {
            "searched": {"a": answers(9, 10, 2e6), "b": answers(15, 30, 2e6)},
            "S = 1": {"a": answers(4, 10, 1e6), "b": answers(15, 30, 1e6), "c": answers(0, 5, 1)},
        },
        "person",
    )
    header, _, searched, other = capsys.readouterr().out.splitlines()
    assert header.startswith("| network | MMACs | person a | person b | all |")
    assert searched.startswith("| searched | 2.0 | 0.900 | 0.500 | 0.600 | 0.446 to 0.737 |")
    assert other.startswith("| S = 1 | 1.0 | 0.400 | 0.500 | 0.475 | 0.329 to 0.625 | +0.125 (+")
