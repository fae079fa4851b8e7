"""Reads a data set that `write_shards` wrote: shards of records, and their index."""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from keras_mlp3d._utils import remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
from keras_mlp3d.data.datasets.tables import checked_classes, composed, load_json
from keras_mlp3d.data.video.records import MAX_RECORD_BYTES, ShardError, record_path

__all__ = ["ShardError", "index_path", "read_index", "read_shards", "sha256_of"]

INDEX_FORMAT, INDEX_VERSION = "keras_mlp3d shards", 1
#: Version of an index whose records have lists of labels.
MULTI_LABEL_VERSION = 2
_SUFFIX = ".shards.json"
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.tfrecord")
_CRC32, _BLOCK = re.compile(r"[0-9a-f]{8}"), 2**22


def read_shards(
    source: StrPath,
    split: str = "train",
    class_names: Sequence[str] | None = None,
    verify: bool = False,
) -> Manifest:
    """Read the index of shards and return a manifest of their records.

    `make_dataset`, `VideoLoader` and everything else that takes a manifest reads records like
    files. The sizes of the shards are compared now. The checksum of a record is compared when it is
    read: a `ShardError` is raised if the shard has changed.

    Args:
        source: The folder of the shards, or the index `<name>.shards.json` in it, local or remote.
        split: Name of the index in the folder: `<split>.shards.json`.
        class_names: Names of the classes that the shards must have, in their order; None for any.
        verify: Whether to read all shards and compare their SHA-256.

    Returns:
        `Manifest` in the order of the one that was written. `not_found` lists the videos that were
        unreadable when the shards were written.

    Raises:
        FileNotFoundError: If the index does not exist.
        ShardError: If a shard is missing, truncated or changed.
        ValueError: If the index is incomplete or damaged, or its classes are not `class_names`.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import VideoConverter, motion_shapes, write_shards
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = motion_shapes.write_motion_shapes(folder, num_clips=20)
    ...     videos = sorted(pathlib.Path(folder).rglob("*.mp4"))[:2]
    ...     rows = [VideoRow(str(path), label) for label, path in enumerate(videos)]
    ...     _ = write_shards(Manifest(rows, ("first", "second"), "train"), f"{folder}/shards")
    ...     manifest = read_shards(f"{folder}/shards")
    ...     clip = VideoConverter(num_frames=4, image_size=(32, 32))(manifest.rows[1].path)
    >>> len(manifest), manifest.class_names, clip.shape
    (2, ('first', 'second'), (4, 32, 32, 3))
    """
    path = index_path(source, split)
    index = read_index(path)
    if not index["complete"]:
        raise ValueError(
            f"{path} is incomplete: the writing of the shards was stopped; run the same command "
            "again to resume it."
        )
    names = tuple(map(composed, index["class_names"]))
    if class_names is not None and tuple(checked_classes(class_names)) != names:
        odd = sorted({*checked_classes(class_names)} ^ {*names})[:5] or "the order"
        raise ValueError(f"class_names must be those of {path}; the difference is {odd}.")
    folder = _parent(path)
    entries = []
    for name, shard in index["shards"].items():
        place = _joined(folder, name)
        check_shard(place, shard, verify)
        entries += [(place, *record) for record in shard["records"]]
    has_spans = index["options"]["store"] == "video"
    rows = [
        VideoRow(
            record_path(place, *where),
            tuple(label) if isinstance(label, list) else label,
            *(span if has_spans else ()),
        )
        for place, _, *where, label, span, _ in sorted(entries, key=lambda entry: entry[1])
    ]
    gone = [name for shard in index["shards"].values() for _, name, _ in shard["left_out"]]
    return Manifest(rows, names, index["split"], root=folder, not_found=gone)


def index_path(source: StrPath, split: str) -> str:
    """Return the path of the index: `source` itself, or that of a split in a folder.

    Args:
        source: The folder or the index.
        split: Name of the split.
    """
    source = os.fspath(source)
    return source if source.endswith(_SUFFIX) else _joined(source, f"{split}{_SUFFIX}")


def read_index(path: str) -> dict[str, Any]:
    """Read an index and check its form.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is no index of this version.
    """
    index = load_json(path, dict)
    versions = (INDEX_VERSION, MULTI_LABEL_VERSION)
    if index.get("format") != INDEX_FORMAT or index.get("version") not in versions:
        raise ValueError(
            f"{path} is no index of shards, version {INDEX_VERSION} or {MULTI_LABEL_VERSION}"
        )
    try:
        whole = _is_whole(index)
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged: it differs from an index of write_shards")
    return index


def check_shard(path: str, shard: dict[str, Any], verify: bool = True) -> None:
    """Compare a shard with its entry in the index.

    Args:
        path: The shard.
        shard: Its entry.
        verify: Whether to compare not only its size but also its SHA-256.

    Raises:
        ShardError: If it differs.
    """
    try:
        there = remote.size(path) if remote.is_remote(path) else os.path.getsize(path)
    except OSError as error:
        raise ShardError(path, error.strerror or str(error)) from error
    if there != shard["bytes"]:
        how = "truncated" if there < shard["bytes"] else "changed"
        raise ShardError(path, f"it is {how}: it has {there} of {shard['bytes']} bytes")
    if verify and sha256_of(path) != shard["sha256"]:
        raise ShardError(path, "it was changed: its SHA-256 is not that of the index")


def sha256_of(path: StrPath) -> str:
    """Return the hexadecimal SHA-256 of a file, read block by block.

    Args:
        path: The file, local or remote.
    """
    digest = hashlib.sha256()
    if remote.is_remote(path):
        for offset in range(0, remote.size(path), _BLOCK):
            digest.update(remote.read_bytes(path, offset, _BLOCK))
        return digest.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def _is_whole(index):
    shards = index["shards"]
    return (
        isinstance(index["complete"], bool)
        and index["options"]["store"] in ("frames", "video")
        and all(isinstance(name, str) for name in (index["split"], *index["class_names"]))
        and all(_SHARD_NAME.fullmatch(name) for name in shards)
        and all(isinstance(shard["bytes"], int) for shard in shards.values())
        and all(isinstance(shard["sha256"], str) for shard in shards.values())
        and all(
            _is_record(*record, several=index["version"] == MULTI_LABEL_VERSION)
            for shard in shards.values()
            for record in shard["records"]
        )
        and all(
            isinstance(row, int) and isinstance(name, str) and isinstance(reason, str)
            for shard in shards.values()
            for row, name, reason in shard["left_out"]
        )
    )


def _is_record(row, offset, length, crc32, label, span, name, several):
    if isinstance(label, list) != several:
        return False
    labels = label if several else [label]
    numbers = all(isinstance(n, int) and 0 <= n < 10**15 for n in (row, offset, length, *labels))
    texts = bool(_CRC32.fullmatch(crc32)) and isinstance(name, str)
    return numbers and length <= MAX_RECORD_BYTES and texts and len(span) == 2


def _parent(path):
    return path.rpartition("/")[0] if remote.is_remote(path) else os.path.dirname(path)


def _joined(folder, name):
    if remote.is_remote(folder):
        return f"{folder.rstrip('/')}/{name}"
    return os.path.join(folder, name)
