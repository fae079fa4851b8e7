"""Chooses the frames of a clip: arithmetic on frame numbers and times. No file is read."""

import math

import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_integer, check_number

SAMPLINGS = ("uniform", "dense")
_FRAME_PART = 1e-3  # of a frame: tolerance for times given in seconds
_ROUNDING = 1e-6  # seconds
_SECONDS = 1e-4  # the same tolerance if frames are not equally long


def uniform_indices(
    num_video_frames: int,
    num_frames: int,
    clip: int = 0,
    clips: int = 1,
    *,
    rng: np.random.Generator | None = None,
    edges: np.ndarray | None = None,
) -> np.ndarray:
    """Return frames spread over the whole video: one from each of `num_frames` equal segments.

    Frame i of clip c is floor((i + (c + 1/2) / clips) * n / T): a single clip takes the middle of
    each segment, several clips take evenly spaced positions in it. Of a video of T frames, all are
    taken; a shorter video repeats its frames in order. With `edges`, the segments have equal
    lengths in time, and a position is the frame that is shown at that time. If all frames are shown
    equally long, both ways give the same frames.

    Source: section 3.4 (64 uniformly sampled frames); docs/reading.md (place in a segment).

    Args:
        num_video_frames: Number of frames in the video, n.
        num_frames: Number of frames in the clip, T.
        clip: Number of the clip, from 0 to `clips - 1`.
        clips: Number of clips taken from the video.
        rng: None, or a `numpy.random.Generator` that samples the position in each segment; `clip`
            then has no effect.
        edges: None, or the seconds at which frames begin and at which the last one ends, float64
            `(num_video_frames + 1,)`, in ascending order.

    Returns:
        int64 array `(num_frames,)` of frame numbers in ascending order.

    Raises:
        ValueError: If a count is below 1, or `clip` is not one of the clips.

    Example:

    >>> uniform_indices(10, 4).tolist()
    [1, 3, 6, 8]
    >>> uniform_indices(3, 6).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    n = check_integer("num_video_frames", num_video_frames)
    frames = check_integer("num_frames", num_frames)
    clip, clips = _clip(clip, clips)
    segment = np.arange(frames, dtype="int64")
    if _generator(rng) is not None:
        places = (segment + rng.random(frames)) / frames
    elif edges is None:
        return (2 * clips * segment + 2 * clip + 1) * n // (2 * clips * frames)
    else:
        places = (2 * clips * segment + 2 * clip + 1) / (2 * clips * frames)
    if edges is None:
        return np.minimum(np.floor(places * n).astype("int64"), n - 1)
    seconds = edges[0] + places * (edges[-1] - edges[0])
    if rng is None:
        seconds += _ROUNDING  # a tie between two frames goes to the second, as by number
    return np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, n - 1)


def dense_indices(
    num_video_frames: int,
    num_frames: int,
    stride: int,
    clip: int = 0,
    clips: int = 1,
    *,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return frames that are `stride` apart.

    A clip spans (T - 1) * stride + 1 frames. A single clip is in the middle of the video. Several
    clips are evenly spaced: the first begins with the video, and the last ends with it. In a video
    that is shorter than a clip, frame numbers wrap around (modulo n).

    Args:
        num_video_frames: Number of frames in the video, n.
        num_frames: Number of frames in the clip, T.
        stride: Distance of two clip frames in video frames.
        clip: Number of the clip, from 0 to `clips - 1`.
        clips: Number of clips taken from the video.
        rng: None, or a `numpy.random.Generator` that samples the start; `clip` then has no effect.

    Returns:
        int64 array `(num_frames,)` of frame numbers.

    Raises:
        ValueError: If a count is below 1, or `clip` is not one of the clips.

    Example:

    >>> dense_indices(20, 4, stride=2).tolist()
    [6, 8, 10, 12]
    >>> dense_indices(5, 4, stride=2).tolist()
    [0, 2, 4, 1]
    """
    n = check_integer("num_video_frames", num_video_frames)
    frames = check_integer("num_frames", num_frames)
    stride = check_integer("stride", stride)
    clip, clips = _clip(clip, clips)
    free = max(n - ((frames - 1) * stride + 1), 0)
    if _generator(rng) is not None:
        start = int(rng.integers(free + 1))
    elif clips == 1:
        start = free // 2
    else:
        start = clip * free // (clips - 1)
    return (start + stride * np.arange(frames, dtype="int64")) % n


def clip_indices(
    sampling: str,
    num_video_frames: int,
    num_frames: int,
    stride: int = 1,
    clips: int = 1,
    rng: np.random.Generator | None = None,
    edges: np.ndarray | None = None,
) -> np.ndarray:
    """Return the frames of all clips of a video.

    Args:
        sampling: `"uniform"` (see `uniform_indices`) or `"dense"` (see `dense_indices`).
        num_video_frames: Number of frames in the video.
        num_frames: Number of frames per clip.
        stride: Distance of two clip frames in video frames, for `"dense"`.
        clips: Number of clips.
        rng: None, or a `numpy.random.Generator` for random clips in training.
        edges: None, or the times of the frames (see `uniform_indices`), for `"uniform"`.

    Returns:
        int64 array `(clips, num_frames)`.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> clip_indices("dense", 10, 3, stride=2, clips=2).tolist()
    [[0, 2, 4], [5, 7, 9]]
    """
    check_choice("sampling", sampling, SAMPLINGS)
    clips = check_integer("clips", clips)
    if sampling == "uniform":
        rows = [
            uniform_indices(num_video_frames, num_frames, c, clips, rng=rng, edges=edges)
            for c in range(clips)
        ]
    else:
        rows = [
            dense_indices(num_video_frames, num_frames, stride, c, clips, rng=rng)
            for c in range(clips)
        ]
    return np.stack(rows)


def span_frames(
    num_video_frames: int,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    *,
    edges: np.ndarray | None = None,
) -> range:
    """Return the frames that are shown between two times. All seconds become frames here.

    Frame i is shown from i / fps to (i + 1) / fps, or as `edges` say. All frames that are shown at
    any time from `start` up to `end` are returned.

    Args:
        num_video_frames: Number of frames in the video.
        fps: Mean frames per second of the video, needed if `start` or `end` is given.
        start: Seconds from the video's beginning, or None for the beginning.
        end: Seconds, after `start`, or None for the video's end. May be after the video's end.
        edges: None, or the seconds at which frames begin and at which the last one ends, float64
            `(num_video_frames + 1,)`, for a video whose rate varies; `fps` is then not needed.

    Returns:
        A `range` of frame numbers, never empty.

    Raises:
        ValueError: If an argument is not as above, or `start` is after the video's end.

    Example:

    >>> span_frames(100, 25.0, start=1.0, end=2.0)
    range(25, 50)
    >>> span_frames(100, 25.0, end=0.01)
    range(0, 1)
    """
    n = check_integer("num_video_frames", num_video_frames)
    if start is None and end is None:
        return range(n)
    if fps is None and edges is None:
        raise ValueError("start and end must be None if nothing says the frames per second.")
    for name, value in (("fps", fps), ("start", start), ("end", end)):
        if value is not None:
            check_number(name, value, minimum=0)
    start = 0.0 if start is None else start
    if end is not None and end <= start:
        raise ValueError(f"end must be after start, got start {start} and end {end}.")
    if edges is not None:
        return _span_of_times(edges, start, end)
    # Seconds are rounded numbers: 0.12 s at 25 fps is frame 3, not 2.9999999999999996.
    first = math.floor(start * fps + _FRAME_PART)
    stop = n if end is None else min(n, math.ceil(end * fps - _FRAME_PART))
    if first >= n:
        raise ValueError(
            f"start must be within the video, got {start:g} s: its {n} frames last "
            f"{n / fps if fps else 0:g} s"
        )
    return range(first, max(stop, first + 1))


def _span_of_times(edges, start, end):
    n = len(edges) - 1
    if start >= edges[-1]:
        raise ValueError(
            f"start must be within the video, got {start:g} s: its {n} frames last {edges[-1]:g} s"
        )
    first = int(np.searchsorted(edges, start + _SECONDS, side="right")) - 1
    stop = n if end is None else int(np.searchsorted(edges[:-1], end - _SECONDS, side="left"))
    first = min(max(first, 0), n - 1)
    return range(first, min(max(stop, first + 1), n))


def _clip(clip, clips):
    clips = check_integer("clips", clips)
    return check_integer("clip", clip, 0, clips - 1), clips


def _generator(rng):
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator or None, got {rng!r}.")
    return rng
