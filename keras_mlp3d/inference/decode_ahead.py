"""Decodes the views of a data set's videos ahead of their use, in threads and bounded memory."""

import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d.data import ShardError, VideoConverter, VideoError, VideoRow
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.converter import thread_options
from keras_mlp3d.data.video.pictures import cut_views, spread_corners
from keras_mlp3d.data.video.reader import with_right_index
from keras_mlp3d.data.video.sources import open_video

#: Views of some clips of a video, or why it is unreadable; and crops that each view represents.
_Part = tuple[np.ndarray | str, int]

_AHEAD_BYTES = 2**30  # of all views in memory
_PART_BYTES = 2**29  # of the views of one video that are made together, or of its pictures


def decode_ahead(
    rows: Sequence[VideoRow], converter: VideoConverter, clips: int, crops: int, workers: int
) -> Generator[tuple[int, np.ndarray | str, int], None, None]:
    """Yield the views of all rows, in their order.

    A frame is decoded and resized once, however many clips and crops show it. More than 512 MiB of
    views come in several parts, which are cut from the same pictures. Only if these are more than
    512 MiB as well, each part decodes the video again. For an unreadable video, the reason, a
    string, takes the place of the views.

    Args:
        rows: Rows of a manifest.
        converter: `data.VideoConverter`.
        clips: Number of clips per video.
        crops: Number of crops per clip. If all are the same picture, one represents them.
        workers: Number of threads. Each decodes one video; if there are fewer videos than threads,
            several decode one together.

    Returns:
        Iterator of (number of the row, views (V, T, H, W, 3), crops that each view represents).
    """
    clip_bytes = crops * converter.num_frames * math.prod(converter.image_size) * 3
    # Another class of converter need not know `select`.
    known = type(converter) is VideoConverter
    part = max(1, min(clips, _PART_BYTES // clip_bytes)) if known else clips
    ahead = max(1, min(2 * workers, _AHEAD_BYTES // (part * clip_bytes)))
    options: dict[str, Any] = thread_options(converter, max(1, workers // max(1, len(rows))))

    def views(job: tuple[int, VideoRow]) -> tuple[int, Iterator[_Part]]:
        number, row = job
        parts = _parts(converter, row, clips, crops, part, options)
        return number, itertools.chain([next(parts)], parts)  # the first one is made here

    with OrderedMap(views, enumerate(rows), workers, ahead, "keras_mlp3d-decode") as decoded:
        for number, parts in decoded:
            for found, represented in parts:
                yield number, found, represented


def _parts(
    converter: VideoConverter,
    row: VideoRow,
    clips: int,
    crops: int,
    part: int,
    options: dict[str, Any],
) -> Iterator[_Part]:
    """Yield the views of `part` clips of a video after the other, or at last a reason."""
    try:
        cut = _cutter(converter, row, clips, crops, options) if part < clips else None
        for first in range(0, clips, part):
            chosen = range(first, min(first + part, clips))
            if cut is not None:
                views = cut(chosen)
            else:
                select = options | ({"select": chosen} if part < clips else {})
                span: dict[str, Any] = {"start": row.start, "end": row.end}
                views, _ = converter.views(row.path, clips, crops, **span, **select)
            by_clip = views.reshape(len(chosen), crops, *views.shape[1:])
            same = all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops))
            yield (by_clip[:, 0], crops) if same else (views, 1)
    except (VideoError, ShardError, OSError) as error:
        yield reason_of(error), 0


def _cutter(
    converter: VideoConverter, row: VideoRow, clips: int, crops: int, options: dict[str, Any]
) -> Callable[[range], np.ndarray] | None:
    """Decode the pictures of all clips, and return the function that cuts the views of some.

    None if the pictures are too large to be kept.
    """

    def read() -> tuple[np.ndarray, dict[int, np.ndarray]] | None:
        indices = converter.frame_indices(reader, row.start, row.end, clips)
        wanted = np.unique(indices).tolist()
        kept: dict[int, np.ndarray] = {}
        for index, picture in reader.frames(wanted, converter.fit, converter.interpolation):
            if len(wanted) * picture.nbytes > _PART_BYTES:
                return None
            kept[index] = picture
        return indices, kept

    with open_video(row.path, **options) as reader:
        found = with_right_index(read)
    if found is None:
        return None
    indices, kept = found

    def cut(chosen: range) -> np.ndarray:
        shown = indices[list(chosen)]
        pictures = ((index, kept[index]) for index in np.unique(shown).tolist())
        return cut_views(
            pictures, shown, lambda free: spread_corners(free, crops), converter.image_size
        )

    return cut
