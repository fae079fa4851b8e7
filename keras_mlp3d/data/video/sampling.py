"""Which frames of a video make a clip: arithmetic on frame numbers and times, nothing is read."""

import math
import numbers
import operator

import numpy as np

from keras_mlp3d._utils.checks import checked_whole

SAMPLINGS = ("uniform", "dense")
_FRAME_PART = 1e-3  # of a frame: nearer than this is on it
_ROUNDING = 1e-6  # seconds
_SECONDS = 1e-4  # the same where frames are not equally long


def uniform_indices(num_video_frames, num_frames, clip=0, clips=1, *, rng=None, edges=None):
    """Frames spread over the whole video: one from each of `num_frames` equal segments.

    Frame i of clip c is floor((i + (c + 1/2) / clips) * n / T): one clip takes the middle of every
    segment, several clips take evenly spaced places in it. A video of T frames is taken whole; a
    shorter one repeats its frames in order. With `edges`, segments are equally long in time, and a
    place in one is the frame shown then; frames that are shown equally long give the same either
    way.

    Source: section 3.4 (64 uniformly sampled frames); the place in the segment is our reading.

    Args:
        num_video_frames: Frames in the video, n.
        num_frames: Frames in the clip, T.
        clip: Which of the `clips` clips, from 0.
        clips: How many clips are taken from the video.
        rng: A `numpy.random.Generator`; where given, the place in every segment is drawn at
            random instead, and `clip` has no effect.
        edges: None, or the seconds at which frames begin and the last one ends, float64
            `(num_video_frames + 1,)`, never falling.

    Returns:
        int64 array `(num_frames,)`, never falling, from 0 to `num_video_frames - 1`.

    Raises:
        ValueError: A count is below 1, or `clip` is not one of the clips.

    Example:

    >>> uniform_indices(10, 4).tolist()
    [1, 3, 6, 8]
    >>> uniform_indices(3, 6).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    n, frames = (
        checked_whole("num_video_frames", num_video_frames),
        checked_whole("num_frames", num_frames),
    )
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
        seconds += _ROUNDING  # right between two frames is on the second, as it is by number
    return np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, n - 1)


def dense_indices(num_video_frames, num_frames, stride, clip=0, clips=1, *, rng=None):
    """Frames `stride` apart from one stretch of the video.

    The stretch spans (T - 1) * stride + 1 frames. One clip lies in the middle of the video; the
    starts of several are evenly spaced, the first at its beginning and the last at its end. Past
    the end of a video shorter than the span the frames start over (modulo n).

    Args:
        num_video_frames: Frames in the video, n.
        num_frames: Frames in the clip, T.
        stride: Video frames from one clip frame to the next.
        clip: Which of the `clips` clips, from 0.
        clips: How many clips are taken from the video.
        rng: A `numpy.random.Generator`; where given, the start is drawn at random instead, and
            `clip` has no effect.

    Returns:
        int64 array `(num_frames,)` with values from 0 to `num_video_frames - 1`.

    Raises:
        ValueError: A count is below 1, or `clip` is not one of the clips.

    Example:

    >>> dense_indices(20, 4, stride=2).tolist()
    [6, 8, 10, 12]
    >>> dense_indices(5, 4, stride=2).tolist()
    [0, 2, 4, 1]
    """
    n, frames = (
        checked_whole("num_video_frames", num_video_frames),
        checked_whole("num_frames", num_frames),
    )
    stride = checked_whole("stride", stride)
    clip, clips = _clip(clip, clips)
    free = max(n - ((frames - 1) * stride + 1), 0)
    if _generator(rng) is not None:
        start = int(rng.integers(free + 1))
    elif clips == 1:
        start = free // 2
    else:
        start = clip * free // (clips - 1)
    return (start + stride * np.arange(frames, dtype="int64")) % n


def clip_indices(sampling, num_video_frames, num_frames, stride=1, clips=1, rng=None, edges=None):
    """The frames of every clip taken from a video.

    Args:
        sampling: `"uniform"` (see `uniform_indices`) or `"dense"` (see `dense_indices`).
        num_video_frames: Frames in the video.
        num_frames: Frames in a clip.
        stride: Video frames from one clip frame to the next; `"uniform"` has no use for it.
        clips: How many clips.
        rng: A `numpy.random.Generator` for random training offsets, drawn for each clip.
        edges: None, or when frames are shown (see `uniform_indices`); `"dense"` counts frames.

    Returns:
        int64 array `(clips, num_frames)`.

    Raises:
        ValueError: An argument is not as above.

    Example:

    >>> clip_indices("dense", 10, 3, stride=2, clips=2).tolist()
    [[0, 2, 4], [5, 7, 9]]
    """
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {SAMPLINGS}, got {sampling!r}.")
    clips = checked_whole("clips", clips)
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


def span_frames(num_video_frames, fps=None, start=None, end=None, *, edges=None):
    """The frames that a stretch of a video shows: the one place that turns seconds into frames.

    Frame i is shown from i / fps to (i + 1) / fps, or as `edges` say; frames that are shown at any
    time from `start` up to `end` belong to the stretch. It ends with the video at the latest.

    Args:
        num_video_frames: Frames in the video.
        fps: Its mean frames a second; needed for a stretch that is not the whole video.
        start: Seconds from the video's beginning; None for the beginning.
        end: Seconds, after `start`; None for the video's end.
        edges: None, or the seconds at which frames begin and the last one ends, float64
            `(num_video_frames + 1,)`, for a video whose rate varies; `fps` is then not needed.

    Returns:
        A `range` of frame numbers, never empty.

    Raises:
        ValueError: An argument is not as above, or the stretch begins after the video's end.

    Example:

    >>> span_frames(100, 25.0, start=1.0, end=2.0)
    range(25, 50)
    >>> span_frames(100, 25.0, end=0.01)
    range(0, 1)
    """
    n = checked_whole("num_video_frames", num_video_frames)
    if start is None and end is None:
        return range(n)
    if fps is None and edges is None:
        raise ValueError("start and end must be None if nothing says the frames per second.")
    for name, value in (("fps", fps), ("start", start), ("end", end)):
        if value is not None and not (isinstance(value, numbers.Real) and 0 <= value < np.inf):
            raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")
    start = 0.0 if start is None else start
    if end is not None and end <= start:
        raise ValueError(f"end must lie after `start`, got start {start} and end {end}.")
    if edges is not None:
        return _span_of_times(edges, start, end)
    # Seconds written with a few digits: 0.12 s at 25 a second is frame 3, not 2.9999999999999996.
    first = math.floor(start * fps + _FRAME_PART)
    stop = n if end is None else min(n, math.ceil(end * fps - _FRAME_PART))
    if first >= n:
        raise ValueError(
            f"start must lie within the video, got {start:g} s: its {n} frames last "
            f"{n / fps if fps else 0:g} s"
        )
    return range(first, max(stop, first + 1))


def _span_of_times(edges, start, end):
    n = len(edges) - 1
    if start >= edges[-1]:
        raise ValueError(
            f"start must lie within the video, got {start:g} s: its {n} frames last "
            f"{edges[-1]:g} s"
        )
    first = int(np.searchsorted(edges, start + _SECONDS, side="right")) - 1
    stop = n if end is None else int(np.searchsorted(edges[:-1], end - _SECONDS, side="left"))
    first = min(max(first, 0), n - 1)
    return range(first, min(max(stop, first + 1), n))


def _clip(clip, clips):
    clips = checked_whole("clips", clips)
    if isinstance(clip, bool) or not hasattr(clip, "__index__") or not 0 <= clip < clips:
        raise ValueError(f"clip must be a whole number from 0 to {clips - 1}, got {clip!r}.")
    return operator.index(clip), clips


def _generator(rng):
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator or None, got {rng!r}.")
    return rng
