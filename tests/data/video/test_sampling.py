"""Frame numbers, worked out by hand, and what must hold for all of them."""

import itertools

import numpy as np
import pytest

from keras_mlp3d.data.video.sampling import (
    clip_indices,
    dense_indices,
    span_frames,
    uniform_indices,
)


@pytest.mark.parametrize(
    ("n", "frames", "clip", "clips", "expected"),
    [
        # One clip: the middle of every segment, floor((i + 1/2) n / T).
        (1, 1, 0, 1, [0]),
        (2, 1, 0, 1, [1]),
        (9, 1, 0, 1, [4]),
        (8, 8, 0, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
        (8, 4, 0, 1, [1, 3, 5, 7]),
        (10, 4, 0, 1, [1, 3, 6, 8]),
        (100, 4, 0, 1, [12, 37, 62, 87]),
        (7, 3, 0, 1, [1, 3, 5]),
        # Fewer frames than asked for: each repeats in order.
        (1, 4, 0, 1, [0, 0, 0, 0]),
        (2, 4, 0, 1, [0, 0, 1, 1]),
        (3, 4, 0, 1, [0, 1, 1, 2]),
        (3, 8, 0, 1, [0, 0, 0, 1, 1, 2, 2, 2]),
        (6, 8, 0, 1, [0, 1, 1, 2, 3, 4, 4, 5]),
        # Several clips: floor((i + (c + 1/2) / C) n / T).
        (8, 4, 0, 2, [0, 2, 4, 6]),
        (8, 4, 1, 2, [1, 3, 5, 7]),
        (16, 4, 0, 4, [0, 4, 8, 12]),
        (16, 4, 1, 4, [1, 5, 9, 13]),
        (16, 4, 3, 4, [3, 7, 11, 15]),
        (10, 5, 2, 3, [1, 3, 5, 7, 9]),
        (8, 8, 3, 4, [0, 1, 2, 3, 4, 5, 6, 7]),
        (300, 3, 1, 3, [50, 150, 250]),
    ],
)
def test_uniform_rows(n, frames, clip, clips, expected):
    assert uniform_indices(n, frames, clip, clips).tolist() == expected


@pytest.mark.parametrize(
    ("n", "frames", "stride", "clip", "clips", "expected"),
    [
        # One clip: in the middle of what is free.
        (10, 4, 1, 0, 1, [3, 4, 5, 6]),
        (11, 4, 1, 0, 1, [3, 4, 5, 6]),
        (10, 4, 2, 0, 1, [1, 3, 5, 7]),
        (7, 4, 2, 0, 1, [0, 2, 4, 6]),
        (5, 1, 3, 0, 1, [2]),
        (1, 1, 1, 0, 1, [0]),
        # Several: the first starts at the beginning, the last ends at the end.
        (10, 4, 2, 0, 2, [0, 2, 4, 6]),
        (10, 4, 2, 1, 2, [3, 5, 7, 9]),
        (20, 3, 1, 0, 3, [0, 1, 2]),
        (20, 3, 1, 1, 3, [8, 9, 10]),
        (20, 3, 1, 2, 3, [17, 18, 19]),
        (12, 3, 2, 1, 4, [2, 4, 6]),
        (12, 3, 2, 3, 4, [7, 9, 11]),
        # Shorter than the span: the frames start over.
        (4, 4, 2, 0, 1, [0, 2, 0, 2]),
        (5, 4, 2, 0, 1, [0, 2, 4, 1]),
        (3, 5, 1, 0, 1, [0, 1, 2, 0, 1]),
        (3, 5, 1, 2, 3, [0, 1, 2, 0, 1]),
        (1, 3, 4, 0, 1, [0, 0, 0]),
        (6, 3, 5, 0, 2, [0, 5, 4]),
    ],
)
def test_dense_rows(n, frames, stride, clip, clips, expected):
    assert dense_indices(n, frames, stride, clip, clips).tolist() == expected


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 16, 17, 100, 12345])
@pytest.mark.parametrize("frames", [1, 3, 8, 16])
@pytest.mark.parametrize("clips", [1, 2, 3])
def test_what_holds_for_all(n, frames, clips):
    rows = clip_indices("uniform", n, frames, clips=clips)
    assert rows.shape == (clips, frames)
    assert rows.dtype == np.int64
    assert rows.min() >= 0
    assert rows.max() < n
    assert (np.diff(rows, axis=1) >= 0).all()
    assert (np.diff(rows, axis=0) >= 0).all()
    for segment, taken in enumerate(rows.T):  # every clip takes its frame from the same segment
        assert (taken * frames < (segment + 1) * n).all()
        assert ((taken + 1) * frames > segment * n).all()
    counts = np.bincount(rows[0], minlength=n)
    if n >= frames:
        assert counts.max() == 1
    else:
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 1

    dense = clip_indices("dense", n, frames, stride=3, clips=clips)
    assert dense.shape == (clips, frames)
    assert ((dense >= 0) & (dense < n)).all()
    assert ((np.diff(dense, axis=1) - 3) % n == 0).all()
    span = 3 * (frames - 1) + 1
    if clips > 1 and n >= span:
        assert dense[0, 0] == 0
        assert dense[-1, -1] == n - 1


@pytest.mark.parametrize(("sampling", "stride"), [("uniform", 1), ("dense", 2)])
def test_random_rows(sampling, stride):
    rng = np.random.default_rng(1)
    rows = clip_indices(sampling, 40, 8, stride, clips=300, rng=rng)
    assert rows.shape == (300, 8)
    assert rows.min() == 0
    assert rows.max() == 39
    if sampling == "uniform":  # a frame from each segment of five, and every frame of it at times
        assert [sorted(set(column)) for column in rows.T] == [
            list(range(5 * i, 5 * i + 5)) for i in range(8)
        ]
    else:
        assert (np.diff(rows, axis=1) == 2).all()
        assert set(rows[:, 0]) == set(range(26))
    again = clip_indices(sampling, 40, 8, stride, clips=300, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(rows, again)


def test_random_rows_of_short_videos_stay_inside():
    rng = np.random.default_rng(2)
    for sampling in ("uniform", "dense"):
        rows = clip_indices(sampling, 3, 7, 2, clips=50, rng=rng)
        assert set(rows.ravel()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("random", 8, 4), "sampling must be one of.*got 'random'"),
        (("uniform", 0, 4), "num_video_frames.*got 0"),
        (("uniform", 8, -1), "num_frames.*got -1"),
        (("uniform", 8, 2.0), r"num_frames.*got 2\.0"),
        (("uniform", True, 2), "num_video_frames.*got True"),
        (("dense", 8, 4, 0), "stride.*got 0"),
        (("dense", 8, 4, 1, 0), "clips.*got 0"),
        (("dense", 8, 4, 1, 1, 7), r"rng must be a numpy\.random\.Generator or None, got 7"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        clip_indices(*arguments)


@pytest.mark.parametrize("clip", [2, -1, 0.5])
def test_a_clip_that_is_none_of_the_clips(clip):
    with pytest.raises(ValueError, match=f"clip must be an integer from 0 to 1.*{clip}"):
        uniform_indices(8, 4, clip, clips=2)
    with pytest.raises(ValueError, match="clip must be an integer from 0"):
        dense_indices(8, 4, 1, clip, clips=2)


# Stretches in seconds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "fps", "start", "end", "expected"),
    [
        # Frame i is shown from i / fps to (i + 1) / fps.
        (100, 25.0, None, None, (0, 100)),
        (100, None, None, None, (0, 100)),
        (100, 25.0, 1.0, 2.0, (25, 50)),
        (100, 25.0, 1.0, None, (25, 100)),
        (100, 25.0, None, 2.0, (0, 50)),
        (100, 25.0, 1.03, 1.05, (25, 27)),
        (100, 10.0, 0.05, 0.06, (0, 1)),
        (100, 10.0, 0.05, 0.15, (0, 2)),
        # Past the end of the video.
        (100, 25.0, 3.0, 10.0, (75, 100)),
        (10, 1.0, 9.99, 12.0, (9, 10)),
        (1, 25.0, 0.0, 10.0, (0, 1)),
        # Seconds that are not exact in binary: 0.07 * 100 = 7.000000000000001, 0.29 * 100 < 29.
        (100, 100.0, 0.0, 0.07, (0, 7)),
        (100, 100.0, 0.29, 0.57, (29, 57)),
        (300, 30000 / 1001, 1.001, 2.002, (30, 60)),
        (300, 30000 / 1001, np.float32(1), 2, (29, 60)),
        (5, 0.5, 3.0, 4.0, (1, 2)),
        (5, 25.0, 0.0, 1e-9, (0, 1)),
    ],
)
def test_span_frames(n, fps, start, end, expected):
    assert span_frames(n, fps, start, end) == range(*expected)


def test_stretches_side_by_side_share_no_frame_and_lose_none():
    for fps in (7.5, 12.0, 24000 / 1001, 25.0, 29.97, 60.0):
        for frames in (1, 2, 5, 7):
            edges = [k * frames / fps for k in range(60 // frames)]
            spans = [span_frames(60, fps, a, b) for a, b in itertools.pairwise(edges)]
            assert [len(span) for span in spans] == [frames] * len(spans)
            assert [i for span in spans for i in span] == list(range(len(spans) * frames))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, None, 1.0, 2.0), "must be None if nothing says the frames per second"),
        ((10, 25.0, 2.0, 1.0), "end must be after start, got start 2.0 and end 1.0"),
        ((10, 25.0, None, 0.0), "end must be after"),
        ((10, 25.0, -1.0, None), "start must be a number of at least 0"),
        ((10, 25.0, 0.0, np.nan), "end must be a number"),
        ((10, 25.0, "1", None), "start must be a number"),
        ((10, 25.0, 0.4, 1.0), r"got 0.4 s: its 10 frames last 0.4 s"),
        ((0, 25.0, 0.4, 1.0), "num_video_frames"),
    ],
)
def test_wrong_stretches(arguments, message):
    with pytest.raises(ValueError, match=message):
        span_frames(*arguments)
