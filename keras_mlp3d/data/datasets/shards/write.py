"""Writes a data set as shards of TFRecords that training reads faster than the files."""

import dataclasses
import json
import os
import pathlib
import re
import struct
import zlib

from keras_mlp3d._utils.atomic_write import write_whole, written_beside
from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.shards.clips import make_clips
from keras_mlp3d.data.datasets.shards.read import (
    INDEX_FORMAT,
    INDEX_VERSION,
    check_shard,
    index_path,
    read_index,
    sha256_of,
)
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.records import ShardError

STORES = ("frames", "video")
_CLIPS_A_SHARD = 500
_SAFE = "The shards before it are whole: with space on the disk, the same call resumes."
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What `write_shards` did.

    Args:
        index: The index, for `read_shards`.
        clips: Records in all shards.
        written: Shards written now.
        kept: Shards that an earlier call had finished.
        left_out: `(name, reason)` of the videos that cannot be read and have no record.
        damaged: `(name, reason)` of those that can be read in part, and are so stored.

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
    manifest,
    folder,
    name=None,
    num_shards=None,
    store="frames",
    short_side=256,
    quality=3,
    unreadable=None,
    workers=None,
    progress=None,
):
    """Writes the videos of a manifest into TFRecord files, and an index that `read_shards` reads.

    The files are `<name>-00003-of-00016.tfrecord`, each record a `tf.train.Example` with `frames`
    or `video`, `fps`, `label`, `start`, `end` and `name`, so that `tf.data.TFRecordDataset` reads
    them too; the index is `<name>.shards.json`. Videos go to the shards in turn. A shard is
    whole or not there: called again with the same arguments, after a crash or a kill, this keeps
    what is finished (its SHA-256 is compared) and goes on.

    Stored frames are JPEG pictures: a clip then decodes the frames that it takes and no others,
    from smaller pictures. They are larger than video, and lossy: see `quality`. The folders of
    pictures of Something-Something V1 are taken as they are where they are not reduced.

    Args:
        manifest: A `Manifest`.
        folder: Folder to write to; it is made where it does not exist.
        name: Beginning of the files' names; the manifest's split by default.
        num_shards: Files; by default one for every 500 videos.
        store: `"frames"`: the frames of each row's stretch as JPEG pictures; `"video"`: the
            file's own bytes.
        short_side: Pixels of the short side that larger frames are reduced to, as `resize` of a
            `VideoConverter` does; give the converter's, or more. None: they keep their size.
        quality: FFmpeg's quantiser for the pictures, from 1, the best and largest, to 31.
        unreadable: `"skip"`: leave out videos that cannot be read, and list them in the index;
            `"error"`: stop at the first. By default skip in a split named `"train"` only.
        workers: Threads that decode and encode; by default one for each processor.
        progress: Called with the clips done and all clips, after each.

    Returns:
        A `ShardReport`.

    Raises:
        ImportError: google-crc32c, TFRecord's checksum, is not installed (extra `shards`).
        ValueError: If an argument is not as above, or the folder holds shards of another manifest or
            with other options under that name; the error says what differs.
        VideoError: A video cannot be read, outside training, or none can.

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
    index = {
        "format": INDEX_FORMAT,
        "version": INDEX_VERSION,
        "complete": False,
        "split": manifest.split,
        "class_names": list(manifest.class_names),
        "manifest": manifest.digest,
        "options": options,
        "shards": {},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(index_path(folder, name))
    finished = _finished(path, index)
    workers = default_workers() if workers is None else workers
    total, done, kept = len(manifest), 0, 0
    for number in range(num_shards):
        shard = f"{name}-{number:05d}-of-{num_shards:05d}.tfrecord"
        numbers = range(number, total, num_shards)
        if _is_finished(folder / shard, finished.get(shard)):
            index["shards"][shard], kept = finished[shard], kept + 1
            done += len(numbers)
            continue
        with make_clips(manifest, numbers, options, unreadable, workers) as clips:
            entry = _write_shard(folder / shard, _counted(clips, done, total, progress), checksum)
        done += len(numbers)
        index["shards"][shard] = entry
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


# What was there before -------------------------------------------------------------------------


def _finished(path, index):
    """The shards of an earlier call with the same arguments; other ones are refused."""
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
                "folder, or under another name"
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


# Writing ---------------------------------------------------------------------------------------


def _write_shard(path, clips, checksum):
    """Writes one shard beside and moves it to its place; returns its entry in the index."""
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
    """A record as TFRecord files hold it: length, content, and the masked CRC-32C of both."""
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
    if not isinstance(manifest, Manifest):
        raise ValueError(f"manifest must be a Manifest, got {manifest!r}.")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name must be letters, digits, '_' and '-', got {name!r}.")
    if num_shards is None:
        num_shards = -(-len(manifest) // _CLIPS_A_SHARD)
    for what, value, most in (
        ("num_shards", num_shards, min(len(manifest), 99_999)),
        ("short_side", 1 if short_side is None else short_side, 8192),
        ("quality", quality, 31),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(f"{what} must be a whole number from 1 to {most}, got {value!r}.")
    for what, value, known in (
        ("store", store, STORES),
        ("unreadable", unreadable, (None, "skip", "error")),
    ):
        if value not in known:
            raise ValueError(f"{what} must be one of {known}, got {value!r}.")
    return num_shards
