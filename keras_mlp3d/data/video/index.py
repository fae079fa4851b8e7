"""Which packets of a stream must be decoded to show some of its pictures."""

import bisect
from typing import NamedTuple

MIN_SKIP = 4  # packets; leaving out fewer costs more than decoding them


class PacketInfo(NamedTuple):
    """A compressed picture as the container describes it, in decoding order."""

    pts: int | None  # time of presentation
    is_key: bool
    is_shown: bool  # false where an edit list cuts the picture out


def packet_runs(packets, indices):
    """Plans the decoding of a few pictures, leaving out packets where that is safe.

    Args:
        packets: Every `PacketInfo` of the stream, in decoding order.
        indices: Numbers of pictures in order of presentation, rising, without repeats.

    Returns:
        `[(first packet, times)]`: decode from that packet until the picture of the last of
        `times` has come; one run from packet 0 where no packets can be left out between runs.
        `None` where the times do not identify the pictures.
    """
    shown = [number for number, packet in enumerate(packets) if packet.is_shown]
    times = [packets[number].pts for number in shown]
    if None in times or len(set(times)) < len(times) or not packets[0].is_key:
        return None
    keys = [n for n, packet in enumerate(packets) if packet.is_key and packet.pts is not None]
    by_time = sorted(shown, key=lambda number: packets[number].pts)
    runs, reached = [], 0
    for index in indices:
        number = by_time[index]
        time = packets[number].pts
        # Pictures stored after a key picture but shown before it lean on the group before.
        at = bisect.bisect_right(keys, number) - 1
        while at > 0 and packets[keys[at]].pts > time:
            at -= 1
        if not runs or keys[at] > reached + MIN_SKIP:
            runs.append((keys[at] if keys[at] > MIN_SKIP else 0, []))
        runs[-1][1].append(time)
        reached = max(reached, number)
    return runs or None
