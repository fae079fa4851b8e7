"""Batches of a manifest's clips, for `fit` and for loops of one's own; needs no TensorFlow."""

import logging
import math
import os
import sys
import threading

import keras
import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.loading.clip_cache import MAX_CACHE_BYTES
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.read_ahead import ReadAhead

_logger = logging.getLogger("keras_mlp3d")

_ALIGNMENT = 64  # bytes; TensorFlow takes over arrays that begin at such a place without a copy
_RIGHT_WAY = "DataLoader(loader, batch_size=None, sampler=loader.sampler, num_workers=...)"


class VideoLoader(keras.utils.PyDataset):
    """The clips of a manifest as batches for `fit`, `evaluate` and `predict`, on every backend.

    It gives the batches that `make_dataset` with the same arguments gives. The order of the clips
    is decided here: pass `shuffle=False` to `fit`, which otherwise changes the order of the
    batches.

    **Epochs.** In training, each epoch has another order and other clips. `fit` moves on from epoch
    to epoch, and so does a loop of one's own: `for clips, labels in loader`, in which each pass
    that is begun is another epoch. `loader[i]` is a batch of the epoch `loader.epoch`. It ends when
    all of its batches were handed out and `on_epoch_end()` is called, and it may be set, to resume.

    **PyTorch.** `torch.utils.data.DataLoader(loader, batch_size=None, sampler=loader.sampler,
    num_workers=2)` gives the same batches as tensors, epoch by epoch, from worker processes.
    Without `sampler=loader.sampler` every pass would repeat one epoch, so that training is refused.

    Args:
        manifest: A `Manifest`, such as `read_folder` returns.
        converter: A `VideoConverter`, or another callable (see `ClipSource`).
        batch_size: Clips per batch, over all shards together.
        training: Whether clips are shuffled, frames and crops sampled at random, incomplete batches
            left out and unreadable videos skipped.
        augment: None, or an `Augmenter`, for training.
        seed: A whole number from 0. The same (seed, epoch, index) gives the same clip.
        shard: `(index, count)`: which part of every batch this process reads.
        one_hot: Whether labels are float32 `(B, classes)`, as mixed labels always are.
        workers: Threads that decode.
        max_queue_size: Batches decoded ahead of the one handed out.
        random_clips: Whether frames and crops are sampled at random in training. If False, every
            epoch has the same clips in another order; `augment` still changes them. Defaults to
            `training`.
        cache: Whether decoded clips are kept in memory from their first use on. Needs clips that
            are not random.
        max_cache_bytes: Largest size of the cache.
        unreadable: `"error"`, or `"count"`, outside training: the clip of an unreadable video is
            black, and batches have a third part, weights float32 `(B,)`, 0 for it and 1 for others.

    Output shape: `(clips, labels)`: uint8 `(B, T, H, W, 3)`, and int32 `(B,)` or,
        with `one_hot` or if the augmenter mixes labels, float32 `(B, classes)`.

    Attributes: `source`, the `ClipSource`, which counts unreadable videos; `epoch`; `sampler`.

    Raises:
        ValueError: If an argument is not as above. Outside training, a batch raises `VideoError` or
            `FileNotFoundError`, which name the file, for an unreadable video; other batches can be
            taken after that.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import VideoConverter, motion_shapes, read_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = motion_shapes.write_motion_shapes(f"{folder}/train", num_clips=20)
    ...     videos = read_folder(folder)
    ...     data = VideoLoader(videos, VideoConverter(4, (32, 32)), batch_size=8, training=True)
    ...     shapes = [clips.shape for clips, labels in data]
    >>> shapes, data.epoch
    ([(8, 4, 32, 32, 3), (8, 4, 32, 32, 3)], 1)
    """

    def __init__(
        self,
        manifest,
        converter,
        batch_size=8,
        training=False,
        augment=None,
        seed=0,
        shard=(0, 1),
        one_hot=False,
        workers=2,
        max_queue_size=2,
        random_clips=None,
        cache=False,
        max_cache_bytes=MAX_CACHE_BYTES,
        unreadable="error",
    ):
        self._threads = checked_whole("workers", workers)
        self._ahead = checked_whole("max_queue_size", max_queue_size, 0)
        super().__init__()
        self.source = ClipSource(
            manifest,
            converter,
            batch_size,
            training,
            augment,
            seed,
            shard,
            one_hot,
            random_clips,
            cache,
            max_cache_bytes,
            unreadable,
        )
        self._epoch = 0
        self._set_transient()

    def __len__(self):
        return self.source.num_batches

    @property
    def epoch(self):
        """Number of the epoch whose batches are handed out, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        epoch = checked_whole("epoch", epoch, 0)
        self._check_process()
        with self._lock:
            self._move_to(epoch)

    @property
    def sampler(self):
        """What a PyTorch `DataLoader` takes as `sampler`: each pass over it is another epoch."""
        return _EpochSampler(self)

    def __iter__(self):
        if self.source.training and _in_torch_worker():
            self._refuse("iterated over in a worker process of")
        for epoch, index in self.sampler:
            yield self.batch_of(epoch, index)

    def __getitem__(self, index):
        if isinstance(index, tuple):  # of `sampler`
            return self.batch_of(*index)
        if self.source.training and (_in_torch_worker() or _in_data_loader()):
            self._refuse("asked for a batch by its number alone by")
        self._check_process()
        index = self._checked_index(index)
        return self.batch_of(self._note(index), index)

    def __getitems__(self, indices):
        """Refuses a `DataLoader` that would make batches of batches."""
        raise TypeError(f"VideoLoader hands out whole batches: use {_RIGHT_WAY}")

    def batch_of(self, epoch, index):
        """Returns a batch of any epoch; batches taken in turn are prepared ahead.

        Args:
            epoch: Number of the epoch, from 0.
            index: Number of the batch in it, from 0.
        """
        self._check_process()
        epoch, index = int(epoch), self._checked_index(index)
        # A DataLoader itself asks each of its worker processes ahead, for some of the batches.
        ahead = 0 if _in_torch_worker() else self._ahead
        clips, labels = zip(*self._reader.get(epoch, index, ahead), strict=True)
        return self.source.finish(epoch, index, _join_aligned(clips), np.concatenate(labels))

    @property
    def workers(self):
        """1, which is for Keras: the threads that decode are this object's own."""
        return 1

    @workers.setter
    def workers(self, workers):
        self._refuse_workers_of_keras("workers", workers, 1)

    @property
    def use_multiprocessing(self):
        """False, which is for Keras: the threads that decode are this object's own."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, use):
        self._refuse_workers_of_keras("use_multiprocessing", use, False)

    def _refuse_workers_of_keras(self, name, value, only):
        # Keras 3.15 begins each epoch with batches left over from the last one, or from the batches
        # that it read to build the model; with processes on TensorFlow, all epochs are the first.
        if value != only:
            raise ValueError(
                f"{name} must stay {only}, got {value!r}: workers of Keras hand out batches "
                "of wrong epochs. VideoLoader(..., workers=...) decodes in threads of its own"
            )

    def on_epoch_begin(self):
        """Keras begins a pass."""
        with self._lock:
            self._in_fit, self._in_turn = True, 0

    def on_epoch_end(self):
        """Moves on to the next epoch, if all batches of this one were handed out."""
        # Keras calls this also after the one batch from which it builds the model, and before an
        # evaluation.
        with self._lock:
            if len(self._given) == len(self):
                self._move_to(self._epoch + 1)
            self._in_fit, self._in_turn = False, 0

    def _note(self, index):
        """The epoch of a batch that is asked for by its number alone."""
        with self._lock:
            if index in self._given and not self._in_fit:
                self._warn_of_repetition(index)
            self._in_turn = index + 1 if index in (0, self._in_turn) else 0
            self._given.add(index)
            return self._epoch

    def _move_to(self, epoch):
        self._epoch, self._pass_begun, self._in_turn = epoch, False, 0
        self._given.clear()

    def _begin_pass(self):
        self._check_process()
        with self._lock:
            if self._pass_begun:
                self._move_to(self._epoch + 1)
            self._pass_begun = True
            return self._epoch

    def _end_pass(self, epoch):
        with self._lock:
            if epoch == self._epoch:
                self._move_to(epoch + 1)

    def _warn_of_repetition(self, index):
        whole, in_turn = len(self._given) == len(self) > 1, index == 0 and self._in_turn > 1
        if self.source.training and (whole or in_turn) and not self._warned:
            self._warned = True
            _logger.warning(
                "batch %d of epoch %d is handed out again: asked for by number, batches stay those "
                "of one epoch. For passes that are each another epoch, iterate over the loader "
                "itself, or call its `on_epoch_end()` after each",
                *(index, self._epoch),
            )

    @staticmethod
    def _refuse(how):
        raise RuntimeError(
            f"a VideoLoader for training was {how} a PyTorch DataLoader, which does not say in "
            "which epoch: every pass would repeat one epoch's order and clips. "
            f"Use {_RIGHT_WAY}"
        )

    def _checked_index(self, index):
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} was asked for, and there are {len(self)}")
        return index

    def _check_process(self):
        if self._owner != os.getpid():  # a fork has this object's threads on paper only
            self._reader.abandon()
            self._set_transient()

    def _set_transient(self):
        """Sets what neither a pickle nor a fork can take along."""
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._reader = ReadAhead(self.source.jobs, len(self), self._threads)
        self._given, self._in_turn, self._in_fit = set(), 0, False
        self._pass_begun = self._warned = False

    def __getstate__(self):
        transient = (
            *("_lock", "_owner", "_reader", "_given", "_in_turn", "_in_fit"),
            *("_pass_begun", "_warned"),
        )
        return {name: value for name, value in vars(self).items() if name not in transient}

    def __setstate__(self, state):
        vars(self).update(state)
        self._set_transient()


def _in_torch_worker():
    """Whether this is a worker process of a PyTorch DataLoader."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def _in_data_loader():
    """Whether a PyTorch DataLoader without worker processes is asking for a batch by its number."""
    fetch = sys.modules.get("torch.utils.data._utils.fetch")
    by_number = getattr(getattr(fetch, "_MapDatasetFetcher", None), "fetch", None)
    if by_number is None:
        return False
    # Keras asks through a DataLoader too, for the next batch and not for a number.
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not by_number.__code__:
        frame = frame.f_back
    return frame is not None


class _EpochSampler:
    """Gives the keys `(epoch, index)` of a loader's batches; each pass is another epoch.

    It stays in the process that asks for the batches, while copies of the loader in other processes
    make them.

    Args:
        loader: A `VideoLoader`.
    """

    def __init__(self, loader):
        self._loader = loader

    def __len__(self):
        return len(self._loader)

    def __iter__(self):
        epoch = self._loader._begin_pass()
        for index in range(len(self)):
            yield epoch, index
        self._loader._end_pass(epoch)


def _join_aligned(parts):
    """The uint8 arrays joined along their first axis, in memory that TensorFlow takes over."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    size = math.prod(shape)
    memory = np.empty(size + _ALIGNMENT, "uint8")
    start = -memory.ctypes.data % _ALIGNMENT
    return np.concatenate(parts, out=memory[start : start + size].reshape(shape))
