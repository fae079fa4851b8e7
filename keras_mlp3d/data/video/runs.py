"""Decodes the runs of a file that hold wanted frames, one after the other or several at a time.

A run begins at a picture that refers to no earlier one, so runs can be decoded independently: each
thread has a decoder of its own, with its own open file, and takes the next run. No frame is decoded
twice, and the frames come in their order, the same as from a single decoder.

This bounds what threads add: decoders that run together share the largest picture that one alone
may have; frames that wait for their turn take at most `_WAITING_BYTES`; and all calls of a process
that do not ask for a number of threads share one set of them, as many as there are processors.
"""

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import av

from keras_mlp3d._utils.ordered_map import OrderedMap, default_workers
from keras_mlp3d.data.video.container import MAX_PIXELS, VideoError, why
from keras_mlp3d.data.video.index import Index
from keras_mlp3d.data.video.packets import Packets

#: Largest number of threads that read one video if the caller does not say.
MAX_THREADS = 8
#: Pixels, of all pictures of all runs together, from which on several threads are worth starting.
MIN_PIXELS = 2**26
_WAITING_BYTES = 2**28
_PADDING = 128  # of a picture's sides in a decoder, at most
# Pictures to which no other refers are marked, and the decoder can drop them exactly.
_DROPPABLE_CODECS = frozenset({"h264"})
_DISORDER = "its frames are not in the order of its headers"
# Threads beyond the caller's own, for all calls that do not ask for a number.
_spare = threading.BoundedSemaphore(default_workers(MAX_THREADS) - 1)


class Distrusted(Exception):
    """The index of a file is wrong; the text says why."""


def decode_frames(
    packets: Packets, index: Index, frames: Sequence[int], threads: int | None
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield `(number, decoded frame)` of some frames by the index, in ascending order.

    Args:
        packets: The open file.
        index: Its index.
        frames: Frame numbers in ascending order.
        threads: Largest number of decoders at a time. None: as many as there are processors, at
            most eight, for all calls of the process together.

    Raises:
        Distrusted: If what is decoded differs from the index, or cannot be decoded.
        VideoError: If the file cannot be opened again.
    """
    runs = index.runs(frames, min_skip=0)  # adjoining runs are divided too
    with (
        _allowed(threads, _most(packets, index, runs)) as count,
        contextlib.ExitStack() as opened,
    ):
        decoders = _decoders(packets, count, opened)
        if len(decoders) > 1:
            yield from _together(packets, decoders, index, runs)
            return
    for start, wanted in index.runs(frames):
        yield from _decode(packets, index, start, wanted)


def _decode(packets, index, start, frames, end=None, stop=None):
    """Yield the wanted frames of a run, and compare each decoded frame with the index.

    Args:
        packets: `Packets`.
        index: Their `Index`.
        start: Number of the packet at which the run begins.
        frames: Wanted frames in ascending order.
        end: Number of the packet at which the next run begins, or None. It is left to the decoder
            of that run if no frame before the last wanted one needs it.
        stop: None, or an event that ends the decoding.
    """
    entry = expected = index.frame_of(start) if start else 0
    waiting = iter(frames)
    target, wanted = next(waiting), None
    if end is not None and index.packets[entry : frames[-1] + 1].max() >= end:
        end = None
    if packets.codec in _DROPPABLE_CODECS:
        wanted = {start, *index.packets[[entry, *frames]].tolist()}
    try:
        for decoded in packets.decoded(start, wanted, end):
            if stop is not None and stop.is_set():
                return
            frame = index.frame_of(decoded.pts)
            if 0 <= frame < entry:
                continue  # it refers to a picture before the entry
            is_exact = wanted is None or expected == entry
            late = frame < expected or frame > target
            if late or (is_exact and frame != expected) or decoded.is_corrupt:
                raise Distrusted(_DISORDER)
            expected = frame + 1
            if frame == target:
                yield frame, decoded
                target = next(waiting, None)
                if target is None:
                    return
    except (Distrusted, VideoError):
        raise
    except Exception as error:
        raise Distrusted(f"a frame cannot be decoded ({why(error)})") from error
    raise Distrusted(_DISORDER)


# Several at a time --------------------------------------------------------------------------------


def _decoders(packets, count, opened):
    """Open the file several times; fewer times, or not at all, if it cannot be opened again."""
    decoders = []
    for _ in range(count if count > 1 else 0):
        try:
            decoders.append(packets.another(MAX_PIXELS // count))
        except VideoError:
            break  # such as a file that was removed; what is open can still be read
        opened.callback(decoders[-1].close)
    return decoders


def _together(packets, decoders, index, runs):
    """Yield the wanted frames of all runs, decoded in threads."""
    if packets.context.is_open:
        packets.context.flush_buffers()  # what it holds would come on top of the new decoders
    stop, free = threading.Event(), queue.SimpleQueue()
    for decoder in decoders:
        free.put(decoder)
    limit = min(2 * len(decoders), _waiting_runs(packets, runs))

    def decode(job):
        (start, frames), end = job
        decoder = free.get()
        try:
            return list(_decode(decoder, index, start, frames, end, stop))
        finally:
            free.put(decoder)

    jobs = zip(runs, [*(start for start, _ in runs[1:]), None], strict=True)
    name = "keras_mlp3d-run"
    with OrderedMap(decode, jobs, len(decoders), limit, name, stop.set) as results:
        for frames in results:
            yield from frames
            frames.clear()  # so that this list does not keep them until the next is done


def _most(packets, index, runs):
    """Return the largest number of decoders that this work needs and that memory allows."""
    width, height = packets.context.width, packets.context.height
    pictures = sum(int(index.packets[frames].max()) + 1 - start for start, frames in runs)
    if pictures * width * height < MIN_PIXELS:
        return 1
    by_pixels = MAX_PIXELS // ((width + _PADDING) * (height + _PADDING))
    return min(len(runs), by_pixels, _waiting_runs(packets, runs))


def _waiting_runs(packets, runs):
    """Return the number of runs whose wanted frames may wait in memory."""
    form: Any = packets.context.format
    if form is None:
        return 1
    width, height = packets.context.width + _PADDING, packets.context.height + _PADDING
    frame_bytes = width * height * max(form.padded_bits_per_pixel, 8) // 8
    return _WAITING_BYTES // (frame_bytes * max(len(frames) for _, frames in runs))


@contextlib.contextmanager
def _allowed(threads, most):
    """Yield the number of threads that a call may use, less those that others use at the time."""
    if threads is not None:
        yield min(threads, most)
        return
    taken = 0
    try:
        while taken + 1 < most and _spare.acquire(blocking=False):
            taken += 1
        yield 1 + taken
    finally:
        for _ in range(taken):
            _spare.release()
