"""Views of a data set's videos, decoded ahead by threads, in memory that has a bound."""

import math

import numpy as np

from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d.data import ShardError, VideoConverter, VideoError
from keras_mlp3d.data.datasets.check_file import reason_of

_AHEAD_BYTES = 2**30  # views that wait to be scored, of all videos together
_PART_BYTES = 2**28  # views of one video that are decoded at once


def decode_ahead(rows, converter, clips, crops, workers):
    """Yields the views of every row, in the rows' order.

    A video with very many views comes in several parts. An unreadable video has the reason, a
    string, in place of the views.

    Args:
        rows: `data.VideoRow`s.
        converter: `data.VideoConverter`.
        clips: Clips of each video.
        crops: Crops per clip. If all are the same picture, one represents them.
        workers: Threads.

    Returns:
        Iterator of (number of the row, views (V, T, H, W, 3), how many crops each represents).
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

    def views(job):
        number, row, chosen = job
        return number, *_views(converter, row, clips, crops, chosen)

    with OrderedMap(views, jobs, workers, ahead, "keras_mlp3d-decode") as decoded:
        yield from decoded


def _views(converter, row, clips, crops, chosen):
    """The views of some clips of a video, and how many crops each view represents."""
    # A converter of the user's own need not know `select`.
    options = {} if len(chosen) == clips else {"select": chosen}
    options |= {"start": row.start, "end": row.end}
    try:
        views, _ = converter.views(row.path, clips=clips, crops=crops, **options)
    except (VideoError, ShardError, OSError) as error:
        return reason_of(error), 0
    by_clip = views.reshape(len(chosen), crops, *views.shape[1:])
    if all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops)):
        return by_clip[:, 0], crops
    return views, 1
