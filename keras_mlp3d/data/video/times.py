"""When the frames of a video are shown: the clock of a file, mended where it is broken."""

import numpy as np

#: Positions by which frames may be out of the order of their times and still be a mere reordering.
_MAX_REORDER = 32
_LONGEST_STEP = 10.0  # seconds; longer ones are jumps of a clock that is known to jump
#: Time of a packet that has none.
NO_TIME = -(2**63)


def frame_edges(ticks, tick, fps, last=0, may_jump=False):
    """The seconds at which the frames of a video begin, and the second at which the last one ends.

    The first frame begins at 0. Times that are missing are put between their neighbors. Times in
    another order than the frames are sorted if they are the right ones in the order of decoding;
    otherwise the clock was set back, and goes on with a step of the usual length there.

    Args:
        ticks: int64 `(frames,)`: time of each frame in the order in which frames are shown, or
            `NO_TIME`.
        tick: Seconds of one tick.
        fps: Mean frames per second, or None.
        last: Ticks that the container gives the last frame; 0 if unknown. It is shown as long as
            the frame before it at least: writers seldom know better.
        may_jump: Whether the clock may jump forward, as that of broadcasts does: a frame that would
            be shown for more than ten seconds is then shown as long as usual.

    Returns:
        float64 `(frames + 1,)`, never falling, or None if nothing tells the time.
    """
    ticks = np.asarray(ticks, "int64")
    known = np.flatnonzero(ticks != NO_TIME)
    if not len(known) or (len(ticks) > 1 and len(known) == 1):
        return None if not fps else np.arange(len(ticks) + 1) / fps
    times = _mended(ticks[known].astype("float64") * tick, may_jump)
    steps = np.diff(times) / np.diff(known)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / fps if fps else tick
    places = np.arange(len(ticks))
    if len(known) < len(ticks):
        before, after = known[0] - places, places - known[-1]
        times = np.interp(places, known, times)
        times += usual * (np.maximum(after, 0) - np.maximum(before, 0))
    times = times - times[0]
    before = times[-1] - times[-2] if len(times) > 1 else 0.0
    return np.append(times, times[-1] + (max(before, last * tick) or usual))


def _mended(times, may_jump):
    """Times that never fall: sorted if that moves none of them far, else without the jumps."""
    steps = np.diff(times)
    if (steps < 0).any():
        order = np.argsort(times, kind="stable")
        if np.abs(order - np.arange(len(times))).max() <= _MAX_REORDER:
            times, steps = times[order], np.diff(times[order])
        else:
            may_jump = True
    if not may_jump:
        return times
    forward = steps[steps > 0]
    usual = float(np.median(forward)) if len(forward) else 0.0
    is_jump = (steps < 0) | (steps > max(_LONGEST_STEP, 100 * usual))
    return times[0] + np.concatenate([[0.0], np.cumsum(np.where(is_jump, usual, steps))])


def has_constant_rate(edges, tick):
    """Whether all frames are shown equally long, up to the rounding of their times.

    Args:
        edges: What `frame_edges` gave.
        tick: Seconds of one tick.
    """
    times = edges[:-1]
    if len(times) < 3:
        return True
    even = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(times - even).max() <= 1.001 * tick)
