"""Which packet holds which frame of a video, and which packets must be decoded to show some."""

import bisect
from typing import NamedTuple

import numpy as np

MIN_SKIP = 4  # packets; leaving out fewer costs more than decoding them


class Unclear(Exception):
    """Nothing says for sure which pictures a file shows in which order.

    Attributes:
        counts: Whether the packets of the file are as many as its pictures, as far as is known.
    """

    def __init__(self, reason, counts=True):
        super().__init__(reason)
        self.counts = counts


class Picture(NamedTuple):
    """The picture that a packet holds.

    Args:
        order: Pictures are shown by rising `order`, a pair of integers; None for a picture that is
            never shown.
        is_entry: Whether decoding may begin here: this picture and all that are shown after it
            then come out as if decoding had begun at the first packet.
    """

    order: tuple[int, int] | None
    is_entry: bool


class Index:
    """Frames of a video by number, with the packets that they come from.

    Args:
        packets: int64 `(frames,)`: the number of each frame's packet, in the order in which frames
            are shown.
        entries: Rising numbers of packets at which decoding may begin; the first is 0.
        num_packets: Packets in the stream.
    """

    def __init__(self, packets, entries, num_packets):
        self.packets = packets
        self.frames = np.full(num_packets, -1, "int64")  # the frame of each packet, or -1
        self.frames[packets] = np.arange(len(packets))
        # A picture that an edit list cuts out is an entry only if there is nothing before it.
        self.entries = [entry for entry in entries if not entry or self.frames[entry] >= 0]
        if not self.entries or self.entries[0]:
            raise Unclear("it begins with a picture that leans on earlier ones")

    def frame_of(self, packet):
        """The frame that a packet holds, or -1."""
        known = packet is not None and 0 <= packet < len(self.frames)
        return int(self.frames[packet]) if known else -1

    def runs(self, indices):
        """Plans the decoding of a few frames, leaving out packets that none of them needs.

        Args:
            indices: Rising frame numbers.

        Returns:
            `[(first packet, frames)]`: decode from that packet on until the last of the frames has
            come.
        """
        runs, reached = [], 0
        for index in indices:
            packet = int(self.packets[index])
            at = bisect.bisect_right(self.entries, packet) - 1
            # Pictures stored after an entry but shown before it lean on those before it.
            while at > 0 and self.frames[self.entries[at]] > index:
                at -= 1
            entry = self.entries[at]
            if not runs or entry > reached + MIN_SKIP:
                runs.append((entry if entry > MIN_SKIP else 0, []))
            runs[-1][1].append(index)
            reached = max(reached, packet)
        return runs


def index_of_pictures(pictures, has_even_steps, is_shown):
    """The `Index` of what the headers of a stream say.

    Args:
        pictures: The `Picture` of each packet, in decoding order.
        has_even_steps: Whether shown pictures are numbered in equal steps, so that a gap tells of
            a missing one.
        is_shown: bool `(packets,)`: false for packets that an edit list cuts out.

    Raises:
        Unclear: They contradict each other.
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


def index_of_times(times, entries, is_shown):
    """The `Index` of a file whose container is known to be right.

    Args:
        times: int64 `(packets,)`: time of presentation of each packet.
        entries: Rising numbers of packets at which decoding may begin.
        is_shown: bool `(packets,)`.
    """
    shown = np.flatnonzero(is_shown)
    packets = shown[np.argsort(times[shown], kind="stable")]
    return Index(packets, entries, len(times))


def difference(times, no_time, is_shown, packets):
    """How a container's account of its frames differs from what decoding gave, or None.

    Args:
        times: int64 `(packets,)`: time of presentation of each packet.
        no_time: What stands for a missing time.
        is_shown: bool `(packets,)`.
        packets: int64 `(frames,)`: number of the packet of each frame that decoding gave.
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
