"""Writes a data set as shards of TFRecords, which training reads faster than single files."""

import dataclasses
import json
import os
import pathlib
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from keras_mlp3d._utils.atomic_write import write_whole, written_beside
from keras_mlp3d._utils.checks import check_choice, check_integer
from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.manifest import Manifest, check_manifest
from keras_mlp3d.data.datasets.shards.clips import make_clips
from keras_mlp3d.data.datasets.shards.read import (
    INDEX_FORMAT,
    INDEX_VERSION,
    MULTI_LABEL_VERSION,
    check_shard,
    index_path,
    read_index,
    sha256_of,
)
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.records import ShardError

STORES = ("frames", "video")
_CLIPS_PER_SHARD = 500
_SAFE = "The earlier shards are complete: with space on the disk, the same call resumes."
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """Result of `write_shards`.

    Args:
        index: The index, for `read_shards`.
        clips: Number of records in all shards.
        written: Number of shards written by this call.
        kept: Number of shards written by an earlier call.
        left_out: `(name, reason)` of unreadable videos, which have no record.
        damaged: `(name, reason)` of partly readable videos, whose readable part is stored.

    Example:

    >>> ShardReport("shards/train.shards.json", 10, 2, 0).left_out
    ()
    """

    index: str
    clips: int
    written: int
    kept: int
    left_out: tuple[tuple[str, str], ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()


def write_shards(
    manifest: Manifest,
    folder: StrPath,
    name: str | None = None,
    num_shards: int | None = None,
    store: str = "frames",
    short_side: int | None = 256,
    quality: int = 3,
    unreadable: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ShardReport:
    """Write the videos of a manifest to TFRecord files, and an index for `read_shards`.

    The files are `<name>-00003-of-00016.tfrecord`, each record a `tf.train.Example` with `frames`
    or `video`, `fps`, `label`, `start`, `end` and `name`, so that `tf.data.TFRecordDataset` reads
    them too; the index is `<name>.shards.json`. `label` holds all labels of a video that may have
    several, and is absent if it has none. Where `fps` does not say when each frame is shown, as
    in a video of a varying rate, `times` does, in microseconds. Videos are distributed to the
    shards in turn. A shard is complete or absent: if the call is repeated after a crash or a kill,
    it keeps the finished shards, after a comparison of their SHA-256, and resumes. A shard that
    lacks a video which can be read by now is written again; other changes of videos are not seen.

    Frames are stored as JPEG pictures, so that a clip decodes only its own frames, from smaller
    pictures. They take more space than the video, and they are lossy: see `quality`. The pictures
    of Something-Something V1 are copied if they are not reduced.

    Args:
        manifest: `Manifest`.
        folder: Folder to write to, created if it does not exist.
        name: Beginning of the files' names. Defaults to the manifest's split.
        num_shards: Number of files. Defaults to one per 500 videos.
        store: `"frames"`: the frames of each row as JPEG pictures. `"video"`: the bytes of the
            file.
        short_side: Short side in pixels to which larger frames are reduced, as by `resize` of a
            `VideoConverter`. Pass the converter's, or more. None: frames keep their size.
        quality: FFmpeg's quantizer for the pictures, from 1, the best and largest, to 31.
        unreadable: `"skip"`: leave out unreadable videos and list them in the index. `"error"`:
            stop at the first. Defaults to `"skip"` in a split named `"train"`, else to `"error"`.
        workers: Number of threads that decode and encode. Defaults to the number of processors.
        progress: None, or a function that is called after each clip with the number of clips done
            and the number of all clips.

    Raises:
        ImportError: If google-crc32c, TFRecord's checksum, is not installed (extra `shards`).
        ValueError: If an argument is not as above, or the folder holds shards of the same name of
            another manifest or with other options. The error says what differs.
        VideoError: If a video is unreadable and not skipped, or all are.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import Manifest, VideoRow, motion_shapes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = motion_shapes.write_motion_shapes(folder, num_clips=20)
    ...     videos = sorted(pathlib.Path(folder).rglob("*.mp4"))[:4]
    ...     rows = [VideoRow(str(path), 0) for path in videos]
    ...     report = write_shards(Manifest(rows, ["x"], "train"), f"{folder}/to", num_shards=2)
    ...     print(sorted(path.name for path in pathlib.Path(folder, "to").iterdir()))
    ['train-00000-of-00002.tfrecord', 'train-00001-of-00002.tfrecord', 'train.shards.json']
    """
    name = manifest.split if name is None and isinstance(manifest, Manifest) else name
    num_shards = _checked(manifest, name, num_shards, store, short_side, quality, unreadable)
    checksum, folder = _crc32c(), pathlib.Path(folder)
    if unreadable is None:
        unreadable = "skip" if manifest.split == "train" else "error"
    options = {"num_shards": num_shards, "store": store}
    if store == "frames":
        options |= {"short_side": short_side, "quality": quality}
    shards: dict[str, Any] = {}
    index: dict[str, Any] = {
        "format": INDEX_FORMAT,
        "version": MULTI_LABEL_VERSION if manifest.multi_label else INDEX_VERSION,
        "complete": False,
        "split": manifest.split,
        "class_names": list(manifest.class_names),
        "manifest": manifest.digest,
        "options": options,
        "shards": shards,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(index_path(folder, name))
    finished = _finished(path, index)
    workers = default_workers() if workers is None else check_integer("workers", workers)
    total, done, kept = len(manifest), 0, 0
    for number in range(num_shards):
        shard = f"{name}-{number:05d}-of-{num_shards:05d}.tfrecord"
        numbers = range(number, total, num_shards)
        entry = finished.get(shard)
        if _is_finished(folder / shard, entry) and _is_still_so(
            entry, manifest, options, unreadable, workers
        ):
            shards[shard], kept = finished[shard], kept + 1
            done += len(numbers)
            continue
        with make_clips(manifest, numbers, options, unreadable, workers) as clips:
            entry = _write_shard(folder / shard, _counted(clips, done, total, progress), checksum)
        done += len(numbers)
        shards[shard] = entry
        write_whole(path, json.dumps(index).encode("ascii"))
    return _report(path, index, kept)


def _report(path, index, kept):
    shards = index["shards"].values()
    clips = sum(len(shard["records"]) for shard in shards)
    left_out = tuple((name, reason) for shard in shards for _, name, reason in shard["left_out"])
    if not clips:
        raise VideoError(*left_out[0])
    damaged = tuple((name, reason) for shard in shards for _, name, reason in shard["damaged"])
    write_whole(path, json.dumps({**index, "complete": True}).encode("ascii"))
    return ShardReport(str(path), clips, len(shards) - kept, kept, left_out, damaged)


# Shards of an earlier call ---------------------------------------------------------------------


def _finished(path, index):
    """Return the shards of an earlier call; an error if that had other arguments."""
    if not path.exists():
        return {}
    before = read_index(path)
    for key, what in (
        ("manifest", "another manifest, whose digest is"),
        ("split", "another split,"),
        ("class_names", "other classes,"),
        ("options", "other options,"),
    ):
        if before.get(key) != index[key]:
            raise ValueError(
                f"{path} is of {what} {_difference(before.get(key), index[key])}; write to another "
                "folder, or under another name."
            )
    return before["shards"]


def _difference(before, now):
    if not isinstance(before, dict):
        return f"{before!r} and not {now!r}"
    return " and ".join(
        f"{key} {before.get(key)!r} and not {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    )


def _is_finished(path, entry):
    if entry is None:
        return False
    try:
        check_shard(str(path), entry)
    except ShardError:
        return False
    return True


def _is_still_so(entry, manifest, options, unreadable, workers):
    """Return whether the videos that a shard lacks, or has in part, still cannot be read."""
    left_out = {row for row, *_ in entry["left_out"]}
    odd = sorted({*left_out, *(row for row, *_ in entry["damaged"])})
    with make_clips(manifest, odd, options, unreadable, workers) as clips:
        return all(
            clip.data is None if clip.row[0] in left_out else bool(clip.reason) for clip in clips
        )


# Writing ---------------------------------------------------------------------------------------


def _write_shard(path, clips, checksum):
    """Write one shard, which is complete or absent, and return its entry in the index."""
    entry, offset = {"records": [], "left_out": [], "damaged": []}, 0
    with written_beside(path, alone=True, safe=_SAFE) as beside:
        with open(beside, "wb") as file:
            for clip in clips:
                row, name, label, span = clip.row
                if clip.data is None:
                    entry["left_out"].append((row, name, clip.reason))
                    continue
                if clip.reason:
                    entry["damaged"].append((row, name, clip.reason))
                file.write(_framed(clip.data, checksum))
                crc32 = f"{zlib.crc32(clip.data):08x}"
                entry["records"].append((row, offset, len(clip.data), crc32, label, span, name))
                offset = file.tell()
            file.flush()
            os.fsync(file.fileno())
        entry |= {"bytes": offset, "sha256": sha256_of(beside)}
    return entry


def _framed(data, checksum):
    """Return a record of TFRecord's format: length, content, and the masked CRC-32C of both."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked(checksum(length)), data, _masked(checksum(data))))


def _masked(crc):
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _crc32c():
    try:
        import google_crc32c
    except ImportError as error:
        raise ImportError(
            "write_shards needs google-crc32c, which is not installed: "
            "pip install keras-mlp3d[shards]"
        ) from error
    return google_crc32c.value


def _counted(clips, done, total, progress):
    for number, clip in enumerate(clips, start=done + 1):
        yield clip
        if progress is not None:
            progress(number, total)


# Arguments -------------------------------------------------------------------------------------


def _checked(manifest, name, num_shards, store, short_side, quality, unreadable):
    check_manifest(manifest)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name must be letters, digits, '_' and '-', got {name!r}.")
    if num_shards is None:
        num_shards = -(-len(manifest) // _CLIPS_PER_SHARD)
    for what, value, most in (
        ("num_shards", num_shards, min(len(manifest), 99_999)),
        ("short_side", 1 if short_side is None else short_side, 8192),
        ("quality", quality, 31),
    ):
        check_integer(what, value, 1, most)
    for what, value, known in (
        ("store", store, STORES),
        ("unreadable", unreadable, (None, "skip", "error")),
    ):
        check_choice(what, value, known)
    return num_shards
