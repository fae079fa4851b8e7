"""Which packets are decoded to show some frames, and what headers must say for that."""

import numpy as np
import pytest

from keras_mlp3d.data.video.index import (
    Index,
    Picture,
    Unclear,
    difference,
    index_of_pictures,
    index_of_times,
)

# Packets in decoding order: two groups of I P B B, the second open: 10 and 11 lean on 6.
OPEN = np.array([0, 3, 1, 2, 6, 4, 5, 12, 10, 11, 15])
OPEN_KEYS = [0, 7]
ALL_SHOWN = np.ones(9, bool)


@pytest.mark.parametrize(
    ("times", "keys", "shown", "indices", "expected"),
    [
        (OPEN, OPEN_KEYS, OPEN >= 0, [9], [(7, [9])]),
        (OPEN, OPEN_KEYS, OPEN >= 0, [10], [(7, [10])]),
        # 11 is stored after the key picture and needs the group before.
        (OPEN, OPEN_KEYS, OPEN >= 0, [8], [(0, [8])]),
        (OPEN, OPEN_KEYS, OPEN >= 0, [0, 9], [(0, [0]), (7, [9])]),
        # Reached is packet 5, and 7 is too near to skip to.
        (OPEN, OPEN_KEYS, OPEN >= 0, [4, 9], [(0, [4, 9])]),
        (OPEN, OPEN_KEYS, OPEN >= 0, [2], [(0, [2])]),
        (OPEN, OPEN_KEYS, OPEN >= 0, [], []),
        (np.arange(9), range(9), ALL_SHOWN, [7, 8], [(7, [7, 8])]),
        # The first two are cut out by an edit list: frame 4 is packet 6.
        (np.arange(9), range(9), np.arange(9) > 1, [4, 6], [(6, [4, 6])]),
    ],
)
def test_runs(times, keys, shown, indices, expected):
    index = index_of_times(times, keys, shown)
    assert index.runs(indices) == expected
    np.testing.assert_array_equal(times[index.packets], np.sort(times[shown]))


def test_decoding_must_be_able_to_begin_with_the_first_packet():
    with pytest.raises(Unclear, match="begins with a picture that refers to earlier ones"):
        Index(np.arange(4), [2], 4)


def test_frames_of_packets():
    index = index_of_times(OPEN, OPEN_KEYS, OPEN != 3)
    assert [index.frame_of(packet) for packet in (0, 1, 2, 10, 11, -1, None)] == [
        *(0, -1, 1, 9, -1, -1, -1),
    ]


def pictures(orders, entries=(0,)):
    return [Picture(order, number in entries) for number, order in enumerate(orders)]


def test_headers_give_the_order():
    orders = [(0, 0), (0, 6), (0, 2), (0, 4), (1, 0), (1, 2)]
    index = index_of_pictures(pictures(orders), True, np.ones(6, bool))
    assert index.packets.tolist() == [0, 2, 3, 1, 4, 5]
    hidden = index_of_pictures(pictures([(0, 0), None, (0, 1)]), False, np.ones(3, bool))
    assert hidden.packets.tolist() == [0, 2]
    cut = index_of_pictures(pictures(orders), True, np.arange(6) > 0)
    assert cut.packets.tolist() == [2, 3, 1, 4, 5]


@pytest.mark.parametrize(
    ("orders", "is_even", "words"),
    [
        ([(0, 0), (0, 2), (0, 6), (0, 8)], True, "gaps"),
        ([(0, 0), (0, 1), (0, 3)], True, "gaps"),
        ([(0, 0), (0, 4), (0, 8)], True, "gaps"),
        ([(0, 0), (0, 2), (0, 2)], False, "one number"),
        ([None, None], False, "no picture is shown"),
    ],
)
def test_headers_that_contradict_each_other(orders, is_even, words):
    with pytest.raises(Unclear, match=words):
        index_of_pictures(pictures(orders), is_even, np.ones(len(orders), bool))


@pytest.mark.parametrize(
    ("times", "shown", "packets", "words"),
    [
        ([0, 2, 1], [1, 1, 1], [0, 2, 1], None),
        ([0, 2, 1], [1, 0, 1], [0, 2], None),
        ([0, 2, 1], [1, 1, 1], [0, 2], "its 3 packets give 2 frames"),
        ([0, 2, -1], [1, 1, 1], [0, 2, 1], "missing or repeated"),
        ([0, 2, 2], [1, 1, 1], [0, 2, 1], "missing or repeated"),
        ([0, 1, 2], [1, 1, 1], [0, 2, 1], "not in the order of its frames"),
    ],
)
def test_difference_between_a_container_and_its_frames(times, shown, packets, words):
    found = difference(np.array(times), -1, np.array(shown, bool), np.array(packets))
    assert found is None if words is None else words in found
