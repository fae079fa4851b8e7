"""The clips of each epoch, for all ways of loading."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_integer
from keras_mlp3d.data.augment import Augmenter, batch_generator, clip_generator
from keras_mlp3d.data.datasets.manifest import Manifest, check_manifest
from keras_mlp3d.data.loading.clip_cache import MAX_CACHE_BYTES, ClipCache
from keras_mlp3d.data.loading.clip_order import checked_random, checked_shard, epoch_order
from keras_mlp3d.data.loading.unreadable_notes import (
    NOTES,
    Notes,
    UnreadableNotes,
    failed_rows,
    noted_error,
)
from keras_mlp3d.data.video.converter import thread_options
from keras_mlp3d.data.video.decode import VideoError
from keras_mlp3d.data.video.records import ShardError
from keras_mlp3d.data.video.sources import LazySource, check_sendable, is_path

#: Largest number of unreadable training videos in a row. With more, something else is wrong.
_MAX_REPLACEMENTS = 100
_ALIGNMENT = 64  # bytes; TensorFlow uses arrays at such an address without a copy


class ClipSource:
    """The clips of a manifest by epoch: the same (seed, epoch, index) is the same clip.

    `make_dataset` and `VideoLoader` read from it, so that they return the same batches.

    In training, each epoch has another order of the clips, their frames are sampled at random, and
    so are crops if the converter's `crop` is `"random"`. An unreadable training video is replaced
    by another video, chosen by the seed, and listed in `unreadable`. Outside training, an
    unreadable video is an error that names it, or, with `unreadable="count"`, a black clip of
    weight 0.

    Args:
        manifest: `Manifest`.
        converter: `VideoConverter`, or another callable that is called with
            `(path, rng, start=start, end=end)` and returns a clip, uint8 `(T, H, W, 3)`. `rng` is
            None for clips that are not random.
        batch_size: Number of clips per batch, over all shards together.
        training: Whether clips are shuffled and sampled at random, and incomplete batches left out.
        augment: None, or an `Augmenter`, for training.
        seed: Integer of at least 0.
        shard: `(index, count)`: the part of every batch that is read here.
        one_hot: Whether labels are float32 (B, classes). Mixed labels always are, and so are those
            of videos that may have several: multi-hot, with a 1 for each label.
        random_clips: Whether frames and crops are sampled at random in training. If False, all
            epochs have the same clips in another order; `augment` still changes them. Defaults to
            `training`.
        cache: Whether decoded clips are kept in memory from their first use on. They must not be
            random; `augment` changes the kept clips at each use.
        max_cache_bytes: Largest size of the cache. If the converter has a fixed size of clips, a
            larger data set is an error; otherwise further clips are not kept.
        unreadable: `"error"`, or, outside training, `"count"`: batches then have weights as a third
            part, float32 (B,), 0 for unreadable videos and 1 for all other videos. Over several
            shards the last batch is then as large as the others: it is filled up with black clips
            of weight 0.

    Attributes:
        one_hot: Whether labels are float32 (B, classes).
        multi_label: Whether videos may have several labels.
        random_clips: Whether frames and crops are sampled at random.
        unreadable: {name of the row: reason} of the videos that were unreadable so far in this
            process.
        failed: {row: reason} of the rows that were unreadable at their last use.
        failed_lately: The same of the rows that were unreadable since it was last emptied.
        num_batches: Number of batches per epoch.
        num_clips: Number of clips per epoch over all shards, those that fill up included.

    Raises:
        ValueError: If an argument is not as above, or the clips fill no training batch.

    Example:

    >>> import pathlib
    >>> from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
    >>> manifest = Manifest((VideoRow("a.mp4", 0), VideoRow("b.mp4", 1)), ("jump", "run"), "train")
    >>> source = ClipSource(manifest, VideoConverter(), batch_size=1, training=True)
    >>> source.num_batches, sorted(i for b in range(2) for i in source.rows(0, b).tolist())
    (2, [0, 1])
    """

    def __init__(
        self,
        manifest: Manifest,
        converter: Callable[..., np.ndarray],
        batch_size: int = 8,
        training: bool = False,
        augment: Augmenter | None = None,
        seed: int = 0,
        shard: tuple[int, int] = (0, 1),
        one_hot: bool = False,
        random_clips: bool | None = None,
        cache: bool = False,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        unreadable: str = "error",
    ):
        check_manifest(manifest)
        batch_size = check_integer("batch_size", batch_size)
        seed = check_integer("seed", seed, 0)
        self.shard = checked_shard(shard, batch_size)
        self.multi_label = manifest.multi_label
        self.one_hot = bool(one_hot) or self.multi_label or getattr(augment, "mixes", False)
        if augment is not None and not training:
            raise ValueError(
                "augment must be None if training is False: it would change what is measured."
            )
        self.random_clips = checked_random(random_clips, training, converter)
        check_choice("unreadable", unreadable, ("error", "count"))
        if unreadable == "count" and training:
            raise ValueError("unreadable must be 'error' if training is True, got 'count'.")
        if unreadable == "count" and not hasattr(converter, "image_size"):
            raise ValueError(
                "unreadable must be 'error' with a converter that does not say the size of its "
                f"clips in num_frames and image_size, got {unreadable!r}."
            )
        if augment is not None:
            augment = augment.bind(manifest.class_names)
        self.counts = unreadable == "count"
        self.manifest, self.converter, self.augment = manifest, converter, augment
        self.batch_size, self.training, self.seed = batch_size, bool(training), seed
        self.copies = getattr(augment, "copies", 1)
        if batch_size // self.shard[1] % self.copies:
            raise ValueError(
                f"batch_size on each of {self.shard[1]} shards must be a multiple of the "
                f"augmenter's {self.copies} copies of every clip, got {batch_size}."
            )
        self.labels = manifest.labels
        effect = "counts as wrong" if self.counts else "is skipped"
        self._found = UnreadableNotes(manifest, effect)
        self.unreadable, self.failed = self._found.reasons, self._found.failed
        self.failed_lately = self._found.lately
        self._cache = None
        if cache:
            if self.random_clips:
                raise ValueError(
                    "cache must be False if clips are sampled at random; with "
                    "random_clips=False they can be kept."
                )
            self._cache = ClipCache.for_clips(len(self.labels), converter, max_cache_bytes)
        distinct, rows = batch_size // self.copies, len(manifest.rows)
        self.num_batches = rows // distinct if self.training else -(-rows // distinct)
        self.fills_up = self.counts and self.shard[1] > 1
        last = rows % distinct if not (self.training or self.fills_up) else 0
        if 0 < last < self.shard[1]:
            raise ValueError(
                f"shard divides batches over {self.shard[1]}, and the last one holds "
                f"{last} of the manifest's {rows} clips: take another batch_size."
            )
        if not self.num_batches:
            raise ValueError(
                f"batch_size must be at most the {rows} clips of the manifest (times the copies "
                f"of each), got {batch_size}: an epoch would hold no whole batch."
            )

    @property
    def num_clips(self) -> int:
        """Number of clips per epoch over all shards, those that fill up the last batch included."""
        if self.training or self.fills_up:
            return self.num_batches * self.batch_size
        return len(self.labels)

    def rows(self, epoch: int, batch: int) -> np.ndarray:
        """Return the rows of the manifest in this shard's part of a batch, int64.

        -1 stands for a clip that fills up.
        """
        rows = len(self.labels)
        order = epoch_order(self.seed, int(epoch), rows) if self.training else np.arange(rows)
        distinct = self.batch_size // self.copies
        members = order[batch * distinct : (batch + 1) * distinct]
        if self.fills_up:
            members = np.pad(members, (0, distinct - len(members)), constant_values=-1)
        index, count = self.shard
        return members[index * len(members) // count : (index + 1) * len(members) // count]

    def clips(self, epoch: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the clips of a row, one per copy, and their labels.

        Output shape:
            uint8 (copies, T, H, W, 3) and int32 (copies,), or float32 (copies, classes) if videos
            may have several labels
        """
        clips, labels, notes = self.noted_clips(epoch, row)
        self.take_notes(notes)
        return clips, labels

    def noted_clips(self, epoch: int, row: int) -> tuple[np.ndarray, np.ndarray, Notes]:
        """Return what `clips` returns, and notes of what is unreadable, for `take_notes`.

        An error has the notes in its attribute `notes_of_clips`. What is prepared ahead is noted
        where it is asked for, so that notes tell of the epochs that were trained on.
        """
        if row < 0:
            return self._black()[None], np.zeros_like(self.labels[:1]), []
        rng = clip_generator(self.seed, int(epoch), int(row)) if self.training else None
        noted: list[tuple[int, str, str]] = []
        notes = [(int(row), noted)]
        try:
            frames, row = self._decode(int(row), rng, noted)
            if self.augment is None:
                return frames[None], self.labels[row : row + 1], notes
            return *self.augment.augment_copies(frames, self.labels[row], rng), notes
        except Exception as error:
            setattr(error, NOTES, notes)
            raise

    def finish(
        self,
        epoch: int,
        batch: int,
        clips: np.ndarray,
        labels: np.ndarray,
        notes: Notes | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Return a batch for `fit`: its clips mixed and its labels smoothed by `augment`.

        Args:
            epoch: Number of the epoch, from 0.
            batch: Number of the batch in it, from 0.
            clips: uint8 (B, T, H, W, 3).
            labels: int32 (B,), or multi-hot float32 (B, classes).
            notes: Those of its clips. By default they were taken already.

        Returns:
            The clips, and labels int32 (B,), or float32 (B, classes) with `one_hot`; and weights
            float32 (B,) if unreadable videos are counted.
        """
        if self.counts:
            rows = self.rows(epoch, batch).tolist()
            failed = self.failed if notes is None else dict(failed_rows(notes))
            read = [row >= 0 and row not in failed for row in rows]
            return clips, self._encoded(labels), np.array(read, "float32")
        if self.augment is None or not self.augment.mixes:
            return clips, self._encoded(labels)
        return self.augment.batch(
            clips,
            labels,
            batch_generator(self.seed, int(epoch), int(batch), self.shard[0]),
            self.multi_label,
        )

    def _encoded(self, labels):
        if self.multi_label or not self.one_hot:
            return labels
        return np.eye(len(self.manifest.class_names), dtype="float32")[labels]

    def join(
        self, epoch: int, batch: int, parts: list[tuple[np.ndarray, np.ndarray, Notes]]
    ) -> tuple[tuple[np.ndarray, ...], Notes]:
        """Return the finished batch of what its `jobs` made, and its notes for `take_notes`."""
        clips, labels, notes = zip(*parts, strict=True)
        joined = _join_aligned(clips), np.concatenate(labels)
        noted = [note for part in notes for note in part]
        return self.finish(epoch, batch, *joined, noted), noted

    def batch(self, epoch: int, batch: int) -> tuple[np.ndarray, ...]:
        """Return a finished batch, made in this thread."""
        parts = [self.clips(epoch, row) for row in self.rows(epoch, batch)]
        clips, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self.finish(epoch, batch, clips, labels)

    def jobs(self, epoch: int, batch: int) -> list[tuple[Any, ...]]:
        """Return the calls that make the clips of a batch: tuples of a function and arguments."""
        return [(self.noted_clips, epoch, row) for row in self.rows(epoch, batch)]

    def _decode(self, row, rng, noted):
        """Return the frames of a row, or of the row that replaces it, and that row's number."""
        replacement = None
        for _ in range(_MAX_REPLACEMENTS):
            try:
                clip = self._frames(row, rng)
            except (VideoError, ShardError, OSError) as error:
                # A broken shard is more than one video, so it is not replaced.
                if not self.counts and (not self.training or isinstance(error, ShardError)):
                    raise
                noted.append(noted_error(row, error))
            else:
                return clip, row
            if self.counts:
                return self._black(), row
            if replacement is None:
                replacement = np.random.default_rng([self.seed, row])
            row = int(replacement.integers(len(self.labels)))
        raise VideoError(
            self.manifest.rows[row].name,
            f"{_MAX_REPLACEMENTS} training videos in a row are unreadable",
        )

    def _black(self):
        return np.zeros((self.converter.num_frames, *self.converter.image_size, 3), "uint8")

    def _frames(self, row, rng):
        if self._cache is not None:
            return self._cache.get(row, lambda: self._convert(row, None))
        return self._convert(row, rng if self.random_clips else None)

    def _convert(self, row, rng):
        video = self.manifest.rows[row]
        try:
            one = thread_options(self.converter)
            return self.converter(video.path, rng, start=video.start, end=video.end, **one)
        except VideoError as error:
            if is_path(video.path):
                raise  # it names the video, not just "bytes" or "frames"
            raise VideoError(video.name, error.reason, error.num_decodable) from error
        except ShardError:
            raise
        except OSError as error:
            if error.filename is None:
                raise VideoError(video.name, error.strerror or str(error)) from error
            raise
        except Exception as error:
            error.add_note(f"Raised for the video {video.name!r}, row {row} of the manifest.")
            raise

    @property
    def caches(self) -> bool:
        """Whether decoded clips are kept."""
        return self._cache is not None

    def take_notes(self, notes: Notes) -> None:
        """Note what `noted_clips` has found unreadable, here or in another process."""
        self._found.take(notes)

    def renew_locks(self) -> None:
        """Make the cache usable in a forked process, which lacks the threads that hold locks."""
        if self._cache is not None:
            self._cache.renew_locks()

    def __getstate__(self):
        check_sendable([row.path for row in self.manifest.rows if isinstance(row.path, LazySource)])
        return vars(self)


def _join_aligned(parts):
    """Join uint8 arrays along their first axis, in memory that TensorFlow need not copy."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    size = math.prod(shape)
    memory = np.empty(size + _ALIGNMENT, "uint8")
    start = -memory.ctypes.data % _ALIGNMENT
    return np.concatenate(parts, out=memory[start : start + size].reshape(shape))
