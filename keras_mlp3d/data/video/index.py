"""The index of a video: the packet of each frame, what must be decoded to show it, and when."""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MIN_SKIP = 4  # packets; to skip fewer takes longer than to decode them
#: Largest distance by which a mere reordering moves a frame.
_MAX_REORDER = 32
_LONGEST_STEP = 10.0  # seconds; a longer step is a jump, if the clock is known to jump
#: Stands for the time of a packet that has none.
NO_TIME = -(2**63)


class Unclear(Exception):
    """The headers of a file do not say for sure which pictures it shows in which order.

    Attributes:
        counts: Whether the file has one packet per picture, as far as is known.
    """

    def __init__(self, reason: str, counts: bool = True):
        super().__init__(reason)
        self.counts = counts


class Picture(NamedTuple):
    """The picture that a packet holds.

    Args:
        order: Pair of integers. Pictures are shown in ascending order of it. None for a picture
            that is never shown.
        is_entry: Whether decoding may begin here: this picture and all that are shown after it are
            then the same as if decoding had begun at the first packet.
    """

    order: tuple[int, int] | None
    is_entry: bool


class Index:
    """Frames of a video by number, with the packets that they come from.

    Args:
        packets: int64 `(frames,)`: number of each frame's packet, in the order in which frames
            are shown.
        entries: Numbers of the packets at which decoding may begin, in ascending order, from 0 on.
        num_packets: Number of packets in the stream.
    """

    def __init__(self, packets: np.ndarray, entries: Sequence[int], num_packets: int):
        self.packets = packets
        self.frames = np.full(num_packets, -1, "int64")  # the frame of each packet, or -1
        self.frames[packets] = np.arange(len(packets))
        # A picture that an edit list cuts out is an entry only if it is the first.
        self.entries = [entry for entry in entries if not entry or self.frames[entry] >= 0]
        if not self.entries or self.entries[0]:
            raise Unclear("it begins with a picture that refers to earlier ones")

    def frame_of(self, packet: int | None) -> int:
        """Return the number of the frame that a packet holds, or -1."""
        known = packet is not None and 0 <= packet < len(self.frames)
        return int(self.frames[packet]) if known else -1

    def runs(self, indices: Sequence[int], min_skip: int = MIN_SKIP) -> list[tuple[int, list[int]]]:
        """Plan the decoding of a few frames without the packets that none of them needs.

        Args:
            indices: Frame numbers in ascending order.
            min_skip: Fewest packets to skip between two runs; with fewer, they are one run. 0: as
                many runs as there are.

        Returns:
            `[(first packet, frames)]`: decode from the first packet on, up to the last frame.
        """
        runs, reached = [], 0
        for index in indices:
            packet = int(self.packets[index])
            at = bisect.bisect_right(self.entries, packet) - 1
            # Pictures stored after an entry but shown before it refer to pictures before it.
            while at > 0 and self.frames[self.entries[at]] > index:
                at -= 1
            entry = self.entries[at]
            if not runs or entry > reached + min_skip:
                runs.append((entry if entry > MIN_SKIP else 0, []))
            runs[-1][1].append(index)
            reached = max(reached, packet)
        return runs


def index_of_pictures(
    pictures: Sequence[Picture], has_even_steps: bool, is_shown: np.ndarray
) -> Index:
    """Return the `Index` of a stream, from its pictures' headers.

    Args:
        pictures: `Picture` of each packet, in decoding order.
        has_even_steps: Whether shown pictures are numbered in equal steps, so that a gap means a
            missing picture.
        is_shown: bool `(packets,)`: False for packets that an edit list cuts out.

    Raises:
        Unclear: If the headers contradict each other.
    """
    shown = [number for number, picture in enumerate(pictures) if picture.order is not None]
    if not shown:
        raise Unclear("no picture is shown")
    orders = np.array([pictures[number].order for number in shown], "int64")
    places = np.lexsort((orders[:, 1], orders[:, 0]))
    epochs, counts = orders[places].T
    steps, same = np.diff(counts), np.diff(epochs) == 0
    if (steps[same] == 0).any():
        raise Unclear("two of its pictures have one number")
    kinds = set(steps[same].tolist())
    if has_even_steps and (len(kinds) > 1 or not kinds <= {1, 2}):
        raise Unclear("the numbers of its pictures have gaps")
    packets = np.array(shown, "int64")[places]
    packets = packets[np.asarray(is_shown, bool)[packets]]
    entries = [number for number, picture in enumerate(pictures) if picture.is_entry]
    return Index(packets, entries, len(pictures))


def index_of_times(times: np.ndarray, entries: Sequence[int], is_shown: np.ndarray) -> Index:
    """Return the `Index` of a file whose container is known to be right.

    Args:
        times: int64 `(packets,)`: time of presentation of each packet.
        entries: Numbers of the packets at which decoding may begin, in ascending order.
        is_shown: bool `(packets,)`: False for packets that an edit list cuts out.
    """
    shown = np.flatnonzero(is_shown)
    packets = shown[np.argsort(times[shown], kind="stable")]
    return Index(packets, entries, len(times))


def difference(
    times: np.ndarray, no_time: int, is_shown: np.ndarray, packets: np.ndarray
) -> str | None:
    """Return how a container differs from what was decoded, in words, or None.

    Args:
        times: int64 `(packets,)`: time of presentation of each packet.
        no_time: Number that stands for a missing time.
        is_shown: bool `(packets,)`: False for packets that an edit list cuts out.
        packets: int64 `(frames,)`: number of the packet of each decoded frame.
    """
    shown = np.flatnonzero(is_shown)
    times = times[shown]
    if len(shown) != len(packets):
        return f"its {len(shown)} packets give {len(packets)} frames"
    if (times == no_time).any() or len(np.unique(times)) < len(times):
        return "some of its times are missing or repeated"
    if (shown[np.argsort(times)] != packets).any():
        return "its times are not in the order of its frames"
    return None


# The clock --------------------------------------------------------------------------------------


def frame_edges(
    ticks: np.ndarray,
    tick: float,
    fps: float | None,
    last: int = 0,
    may_jump: bool = False,
) -> np.ndarray | None:
    """Return the seconds at which the frames of a video begin and at which the last one ends.

    The first frame begins at 0. Missing times are interpolated. If the times are not ascending,
    they are sorted if that moves each by a few places only: they are then the right times in
    decoding order. Otherwise the clock was set back, and that step gets the usual length.

    Args:
        ticks: int64 `(frames,)`: time of each frame in the order in which frames are shown, or
            `NO_TIME`.
        tick: Length of one tick in seconds.
        fps: Mean frames per second, or None.
        last: Ticks for which the last frame is shown, according to the container; 0 if unknown. It
            is shown at least as long as the frame before it, as writers seldom know better; unless
            that one was shown for longer than most of the last five, as before a pause.
        may_jump: Whether the clock may jump forward, as in broadcasts: a frame that would be shown
            for more than ten seconds is then shown as long as usual.

    Returns:
        float64 `(frames + 1,)` in ascending order, or None if the times are unknown.
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
    lately = np.diff(times)[-5:]
    before = min(lately[-1], float(np.median(lately))) if len(lately) else 0.0
    return np.append(times, times[-1] + (max(before, last * tick) or usual))


def _mended(times, may_jump):
    """Return ascending times: sorted if that moves none of them far, else without jumps."""
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


def has_constant_rate(edges: np.ndarray, tick: float) -> bool:
    """Return whether all frames are shown equally long, up to the rounding of their times.

    The last frame does not count: how long it is shown is often a guess.

    Args:
        edges: Result of `frame_edges`.
        tick: Length of one tick in seconds.
    """
    times = edges[:-1]
    if len(times) < 3:
        return True
    even, step = np.linspace(times[0], times[-1], len(times), retstep=True)
    # Where a frame is a tick or two, as in AVI, times are not rounded, and a tick is a lost frame.
    rounding = 1.001 * tick if tick < 0.4 * step else 0.001 * tick
    return bool(np.abs(times - even).max() <= rounding)
