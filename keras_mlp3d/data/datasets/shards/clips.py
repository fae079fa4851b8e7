"""Reads videos and encodes them as records, several at a time."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d._utils.remote import is_remote, read_bytes
from keras_mlp3d._utils.tf_example import encode_example
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.shards.jpeg import jpegs
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.reader import with_right_index
from keras_mlp3d.data.video.records import HEADER_BYTES, MAX_RECORD_BYTES
from keras_mlp3d.data.video.sources import LazySource, is_path, open_video

_MOST = MAX_RECORD_BYTES - 2**20  # of pictures or of a file; the rest of a record is small


@dataclasses.dataclass(frozen=True)
class Clip:
    """A future record: its row, its content or None, and what is wrong with it, or ""."""

    row: tuple
    data: bytes | None
    reason: str = ""


def make_clips(
    manifest: Manifest,
    numbers: Iterable[int],
    options: dict[str, Any],
    unreadable: str,
    workers: int,
) -> OrderedMap[Clip]:
    """Return an `OrderedMap` that yields the clips of some rows in order."""
    make = functools.partial(_clip, manifest, options, unreadable)
    return OrderedMap(make, numbers, workers, name="keras_mlp3d-shard")


def _clip(manifest, options, unreadable, number):
    video = manifest.rows[number]
    name = os.fsencode(manifest.name_of(video)).decode("utf-8", "backslashreplace")
    row = number, name, video.label, (video.start, video.end)
    try:
        features, damage = _features(video, options)
    except (VideoError, FileNotFoundError) as error:
        if unreadable == "error":
            raise
        return Clip(row, None, getattr(error, "reason", None) or str(error))
    labels = video.label if isinstance(video.label, tuple) else (video.label,)
    features |= {"name": [name.encode()]} | ({"label": [*labels]} if labels else {})
    for key in ("start", "end"):
        if getattr(video, key) is not None:
            features[key] = [getattr(video, key)]
    return Clip(row, encode_example(features), damage)


def _features(video, options):
    """Return `(features, damage)`: the pictures of a record, and what is wrong with them, or ""."""
    with open_video(video.path) as reader:
        fps = {} if reader.fps is None else {"fps": [reader.fps]}
        if options["store"] == "video":
            reader.span(video.start, video.end)
            return {"video": [_file(video, video.name)], **fps}, ""
        features = with_right_index(lambda: _frames(reader, video, options))
        damage = reader.too_few(reader.num_frames).reason if reader.damage else ""
    return features | fps, damage


def _frames(reader, video, options):
    """Return the JPEG pictures of a row and, unless the rate says it, when each is shown."""
    pictures, total = [], 0
    span = reader.span(video.start, video.end)
    for picture in jpegs(reader, list(span), options["short_side"], options["quality"]):
        pictures.append(picture)
        total += len(picture) + HEADER_BYTES
        if total > _MOST:
            raise _too_large(video.name)
    edges = reader.edges
    if edges is None or reader.exact_rate:
        return {"frames": pictures}
    edges = edges[span.start : span.stop + 1] - edges[span.start]
    return {
        "frames": pictures,
        "times": np.round(1e6 * edges).astype("int64").tolist(),
        "constant_rate": [int(reader.has_constant_rate)],
    }


def _file(video, name):
    """Return the bytes of a row's video file."""
    path = video.path
    if isinstance(path, LazySource):
        return _file(dataclasses.replace(video, path=path.load()), name)
    if isinstance(path, bytes):
        if len(path) > _MOST:
            raise _too_large(name)
        return path
    if not is_path(path):
        raise VideoError(name, "it is frames in memory; store='video' takes files alone")
    if os.path.isdir(path):
        raise VideoError(path, "it is a folder of pictures; store='video' takes files alone")
    if is_remote(path):
        return read_bytes(path, max_bytes=_MOST)
    if os.path.getsize(path) > _MOST:
        raise _too_large(path)
    return pathlib.Path(path).read_bytes()


def _too_large(path):
    return VideoError(
        path,
        f"its record would take more than {MAX_RECORD_BYTES} bytes; shorten it by start and end, "
        "or store smaller frames",
    )
