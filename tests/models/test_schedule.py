import dataclasses

import pytest

from keras_mlp3d import Mixing, parse_schedule


def rows(schedule, depth):
    return [(mixing.kind, mixing.group_size) for mixing in parse_schedule(schedule, depth)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short_range:4", [("short_range", 4)] * 5),
        ("full", [("full", None)] * 5),
        (
            "short_range:4+shift_window:2",
            [("short_range", 4), ("shift_window", 2)] * 2 + [("short_range", 4)],
        ),
        (
            " short_range : 4 + full ",
            [("short_range", 4), ("full", None)] * 2 + [("short_range", 4)],
        ),
        (
            "short_range:1+long_range:2+shift_window:4+shift_token:8+full",
            [
                ("short_range", 1),
                ("long_range", 2),
                ("shift_window", 4),
                ("shift_token", 8),
                ("full", None),
            ],
        ),
    ],
)
def test_strings_take_turns_from_the_first_block(text, expected):
    assert rows(text, 5) == expected


@pytest.mark.parametrize(
    "schedule",
    [
        [("short_range", 4), ("shift_token", 2), ("full", None)],
        [["short_range", 4], ["shift_token", 2], ["full", None]],
        ("short_range:4", "shift_token:2", "full"),
        (Mixing("short_range", 4), "shift_token:2", ["full", None]),
    ],
)
def test_lists_have_one_entry_for_each_block(schedule):
    assert rows(schedule, 3) == [("short_range", 4), ("shift_token", 2), ("full", None)]


def test_one_mixing_stands_for_all_blocks():
    assert rows(Mixing("long_range", 2), 3) == [("long_range", 2)] * 3


def test_parsed_schedule_reads_again_in_every_form():
    schedule = parse_schedule("short_range:4+full+shift_token:16", 7)
    assert isinstance(schedule, tuple)
    assert parse_schedule(schedule, 7) == schedule
    assert parse_schedule([str(mixing) for mixing in schedule], 7) == schedule


@pytest.mark.parametrize("entries", [0, 2, 4])
def test_wrong_length_is_named(entries):
    with pytest.raises(ValueError) as error:
        parse_schedule([("short_range", 2)] * entries, depth=3)
    assert "3 blocks" in str(error.value)
    assert f"got {entries}" in str(error.value)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "Unknown kind of time mixing ''"),
        ("short_range", "group_size of kind 'short_range' must be a positive integer, got None"),
        ("short_range:", "Cannot read 'short_range:'"),
        ("short_range:4+", "Unknown kind of time mixing ''"),
        ("short_range:four", "Cannot read 'short_range:four'"),
        ("short_range:-4", "Cannot read 'short_range:-4'"),
        ("short_range:4.0", "Cannot read 'short_range:4.0'"),
        ("short_range:0", "must be a positive integer, got 0"),
        ("short_range:2:4", "Cannot read 'short_range:2:4'"),
        ("full:4", "group_size must be None, got 4"),
        ("mid_range:2", "Unknown kind of time mixing 'mid_range'"),
        ("Short_Range:2", "Unknown kind of time mixing 'Short_Range'"),
        ("full+full+full+full", "alternates 4 kinds, the network has 3 blocks"),
        (None, "schedule must be a string .* got None"),
        (4, "schedule must be a string .* got 4"),
        ({"kind": "full"}, "schedule must be a string"),
        ([("short_range", 2), 7, "full"], "got 7"),
        ([("short_range", 2, 3), "full", "full"], r"got \('short_range', 2, 3\)"),
        ([("short_range", "2"), "full", "full"], "must be a positive integer, got '2'"),
    ],
)
def test_unreadable_schedules(schedule, message):
    with pytest.raises(ValueError, match=message):
        parse_schedule(schedule, depth=3)


def test_mixing_is_frozen_and_compares_by_value():
    mixing = Mixing("shift_token", 4)
    assert mixing == Mixing(group_size=4, kind="shift_token")
    assert len({mixing, Mixing("shift_token", 4), Mixing("shift_token", 2)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        mixing.group_size = 2


@pytest.mark.parametrize(
    ("mixing", "takes"),
    [
        (Mixing("short_range", 4), [4, 8, 12]),
        (Mixing("long_range", 3), [3, 6, 9, 12]),
        (Mixing("shift_window", 5), [5, 10]),
        (Mixing("shift_token", 5), list(range(1, 13))),
        (Mixing("full"), list(range(1, 13))),
    ],
)
def test_numbers_of_tokens_that_a_mixing_takes(mixing, takes):
    assert [time for time in range(1, 13) if mixing.divides(time)] == takes
