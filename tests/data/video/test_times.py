"""The clock of a file, and what a broken one becomes."""

import numpy as np
import pytest

from keras_mlp3d.data.video.index import NO_TIME, frame_edges, has_constant_rate
from keras_mlp3d.data.video.sampling import span_frames, uniform_indices


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3, 4]),
        ([5, 6, 7], [0, 1, 2, 3]),
        ([-3, -2, -1, 0], [0, 1, 2, 3, 4]),
        ([0, 1, 5, 6], [0, 1, 5, 6, 7]),  # a varying rate
        ([0, 2, 2, 4], [0, 2, 2, 4, 6]),  # repeated
        ([0, 2, 1, 3], [0, 1, 2, 3, 4]),  # times of the order of decoding
        ([0, NO_TIME, 2, 3], [0, 1, 2, 3, 4]),
        ([NO_TIME, 1, 2, NO_TIME, NO_TIME], [0, 1, 2, 3, 4, 5]),
        ([*range(50), *range(50)], range(101)),  # the clock was set back
    ],
)
def test_edges(ticks, expected):
    edges = frame_edges(np.array(ticks), 1.0, None)
    np.testing.assert_allclose(edges, list(expected))


@pytest.mark.parametrize(
    ("ticks", "last", "shown"),
    [
        ([0, 1, 2, 3, 4, 194], 1, 1),  # a recording that ends with a pause
        ([0, 1, 2, 3, 4, 194], 0, 1),
        ([0, 190, 191, 381, 382, 572], 1, 190),  # pauses are usual
        ([0, 1, 2, 3, 10, 17, 24], 1, 7),  # slower towards the end
        ([0, 1, 2, 3, 4, 5], 9, 9),
        ([0, 30], 1, 30),
    ],
)
def test_how_long_the_last_frame_is_shown(ticks, last, shown):
    edges = frame_edges(np.array(ticks), 1.0, None, last=last)
    assert edges[-1] - edges[-2] == shown


def test_nothing_tells_the_time():
    assert frame_edges(np.array([NO_TIME] * 3), 1.0, None) is None
    np.testing.assert_allclose(frame_edges(np.array([NO_TIME] * 3), 1.0, 4.0), [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(frame_edges(np.array([7]), 0.1, 4.0), [0, 0.25])
    np.testing.assert_allclose(frame_edges(np.array([7]), 0.1, 4.0, last=8), [0, 0.8])


def test_jumps_of_a_clock_that_may_jump():
    ticks = np.array([0, 1, 2, 5000, 5001, 5002])
    np.testing.assert_allclose(frame_edges(ticks, 1.0, None, may_jump=True), range(7))
    assert frame_edges(ticks, 1.0, None)[-1] == 5003


def test_rates():
    milliseconds = np.round(np.arange(100) * 1000 / 30)  # as Matroska rounds them
    edges = frame_edges(milliseconds.astype("int64"), 1e-3, 30.0)
    assert has_constant_rate(edges, 1e-3)
    assert not has_constant_rate(frame_edges(np.array([0, 1, 2, 9]), 1.0, None), 1.0)
    assert has_constant_rate(frame_edges(np.array([0, 4]), 1.0, None), 1.0)


@pytest.mark.parametrize("tick", [0.04, 0.02])
def test_a_lost_frame_where_a_frame_is_a_tick_or_two(tick):
    """AVI counts time in frames, so that nothing is rounded."""
    steps = round(0.04 / tick)
    ticks = steps * np.r_[0:50, 51:91]
    assert not has_constant_rate(frame_edges(ticks, tick, 25.0), tick)
    assert has_constant_rate(frame_edges(steps * np.arange(91), tick, 25.0), tick)


def test_equal_frames_give_the_same_by_time_as_by_number():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, frames, clips = (int(x) for x in rng.integers(1, [300, 65, 5]))
        edges = np.arange(n + 1) / 25
        for clip in range(clips):
            by_number = uniform_indices(n, frames, clip, clips)
            by_time = uniform_indices(n, frames, clip, clips, edges=edges)
            np.testing.assert_array_equal(by_time, by_number)
        first = np.random.default_rng(5)
        second = np.random.default_rng(5)
        drawn = uniform_indices(n, frames, rng=first)
        np.testing.assert_array_equal(drawn, uniform_indices(n, frames, rng=second, edges=edges))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, 1.0, range(1)),
        (0.0, 1.5, range(2)),
        (1.0, 2.0, range(1, 2)),
        (4.9, None, range(2, 4)),
        (5.0, 5.5, range(3, 4)),
        (2.5, 2.6, range(2, 3)),
    ],
)
def test_stretches_of_a_varying_rate(start, end, expected):
    edges = np.array([0.0, 1.0, 2.0, 5.0, 6.0])
    assert span_frames(4, None, start, end, edges=edges) == expected


def test_a_stretch_behind_the_end():
    with pytest.raises(ValueError, match="got 6 s: its 4 frames last 6 s"):
        span_frames(4, None, 6.0, edges=np.array([0.0, 1.0, 2.0, 5.0, 6.0]))
