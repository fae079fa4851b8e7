"""Decodes the views of a data set's videos ahead of their use, in threads and bounded memory."""

import math
from collections.abc import Generator, Sequence

import numpy as np

from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d.data import ShardError, VideoConverter, VideoError, VideoRow
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.converter import thread_options

_AHEAD_BYTES = 2**30  # of all views in memory
_PART_BYTES = 2**29  # of the views of one video that are decoded together


def decode_ahead(
    rows: Sequence[VideoRow], converter: VideoConverter, clips: int, crops: int, workers: int
) -> Generator[tuple[int, np.ndarray | str, int], None, None]:
    """Yield the views of all rows, in their order.

    A frame is decoded and resized once, however many clips and crops show it. Only a video of more
    than 512 MiB of views comes in several parts, and each part decodes it again. For an unreadable
    video, the reason, a string, takes the place of the views.

    Args:
        rows: Rows of a manifest.
        converter: `data.VideoConverter`.
        clips: Number of clips per video.
        crops: Number of crops per clip. If all are the same picture, one represents them.
        workers: Number of threads. Each decodes one video; if there are fewer videos than threads,
            several decode parts of one.

    Returns:
        Iterator of (number of the row, views (V, T, H, W, 3), crops that each view represents).
    """
    clip_bytes = crops * converter.num_frames * math.prod(converter.image_size) * 3
    # Another class of converter need not know `select`.
    known = type(converter) is VideoConverter
    part = max(1, min(clips, _PART_BYTES // clip_bytes)) if known else clips
    ahead = max(1, min(2 * workers, _AHEAD_BYTES // (part * clip_bytes)))
    jobs = (
        (number, row, range(first, min(first + part, clips)))
        for number, row in enumerate(rows)
        for first in range(0, clips, part)
    )

    threads = max(1, workers // max(1, len(rows) * -(-clips // part)))
    options = thread_options(converter, threads)

    def views(job):
        number, row, chosen = job
        return number, *_views(converter, row, clips, crops, chosen, options)

    with OrderedMap(views, jobs, workers, ahead, "keras_mlp3d-decode") as decoded:
        yield from decoded


def _views(converter, row, clips, crops, chosen, options):
    """Return views of some clips of a video, and how many crops each of them represents."""
    options = options | ({} if len(chosen) == clips else {"select": chosen})
    options |= {"start": row.start, "end": row.end}
    try:
        views, _ = converter.views(row.path, clips=clips, crops=crops, **options)
    except (VideoError, ShardError, OSError) as error:
        return reason_of(error), 0
    by_clip = views.reshape(len(chosen), crops, *views.shape[1:])
    if all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops)):
        return by_clip[:, 0], crops
    return views, 1
