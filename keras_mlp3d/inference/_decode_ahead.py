"""Views of a data set's videos, decoded ahead by threads, in memory that has a bound."""

import collections
import concurrent.futures
import dataclasses
import math
import os

import numpy as np

from keras_mlp3d.data import ShardError, VideoConverter, VideoError

_AHEAD_BYTES = 2**30  # views that wait to be scored, of all videos together
_PART_BYTES = 2**28  # views of one video that are decoded at once


def default_workers():
    """As many threads as there are processors for this process, eight at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)


def decode_ahead(rows, converter, clips, crops, workers):
    """Yields the views of every row, in the rows' order.

    A video with very many views comes in several parts. In the place of views stands the reason,
    a string, where the video cannot be read.

    Args:
        rows: `data.VideoRow`s.
        converter: `data.VideoConverter`.
        clips: Clips of each video.
        crops: Crops of each clip. Where all are the same picture, one stands for all of them.
        workers: Threads.

    Returns:
        Iterator of (number of the row, views (V, T, H, W, 3), how many crops each stands for).
    """
    clip_bytes = crops * converter.num_frames * math.prod(converter.image_size) * 3
    # A converter of the user's own may mean something else by its clips.
    known = type(converter) is VideoConverter
    part = max(1, min(clips, _PART_BYTES // clip_bytes)) if known else clips
    ahead = max(1, min(2 * workers, _AHEAD_BYTES // (part * clip_bytes)))
    jobs = (
        (number, row, range(first, min(first + part, clips)))
        for number, row in enumerate(rows)
        for first in range(0, clips, part)
    )
    waiting = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers, "keras_mlp3d-decode")
    try:
        while True:
            # The one handed out counts: it is in memory as long as its receiver works on it.
            while len(waiting) < ahead and (job := next(jobs, None)):
                number, row, chosen = job
                waiting.append((number, pool.submit(_views, converter, row, clips, crops, chosen)))
            if not waiting:
                return
            number, future = waiting.popleft()
            yield (number, *future.result())
            del future
    finally:
        pool.shutdown(cancel_futures=True)


@dataclasses.dataclass(frozen=True)
class _SomeClips(VideoConverter):
    """A converter whose `views` gives some of the clips, each as it is among all of them."""

    chosen: range = range(0)

    def _fill(self, pictures, indices, corners_of):
        indices = indices[self.chosen.start : self.chosen.stop]
        wanted = set(indices.flat)
        # All pictures are decoded, so that damage is met, and got round, alike for every part.
        pictures = (pair for pair in pictures if pair[0] in wanted)
        return super()._fill(pictures, indices, corners_of)


def _views(converter, row, clips, crops, chosen):
    """The views of some clips of a video, and how many crops each view stands for."""
    if len(chosen) < clips:
        converter = _SomeClips(**converter.get_config(), chosen=chosen)
    try:
        views, _ = converter.views(row.path, clips=clips, crops=crops, start=row.start, end=row.end)
    except (VideoError, ShardError) as error:
        return error.reason, 0
    except OSError as error:
        return error.strerror or str(error), 0
    by_clip = views.reshape(len(chosen), crops, *views.shape[1:])
    if all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops)):
        return by_clip[:, 0], crops
    return views, 1
