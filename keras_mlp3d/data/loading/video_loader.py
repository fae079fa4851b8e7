"""Loads batches of a manifest's clips, for `fit` and for other loops, without TensorFlow."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.loading.clip_cache import MAX_CACHE_BYTES
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.decoding_processes import DecodingProcesses
from keras_mlp3d.data.loading.read_ahead import ReadAhead
from keras_mlp3d.data.loading.torch_data_loader import in_data_loader, in_torch_worker
from keras_mlp3d.data.loading.unreadable_notes import NOTES

_logger = logging.getLogger("keras_mlp3d")

_RIGHT_WAY = "DataLoader(loader, batch_size=None, sampler=loader.sampler, num_workers=...)"


class VideoLoader(keras.utils.PyDataset):
    """Loads the clips of a manifest as batches for `fit`, `evaluate` and `predict`.

    It works on every backend and returns the same batches as `make_dataset` with the same
    arguments. It shuffles the clips itself: pass `shuffle=False` to `fit`, which would otherwise
    change the order of the batches.

    **Epochs.** In training, each epoch has another order and other clips. `fit` advances from epoch
    to epoch. So does a loop `for clips, labels in loader`: each pass is another epoch. `loader[i]`
    is a batch of the epoch `loader.epoch`, which ends when all of its batches have been returned
    and `on_epoch_end()` is called. Set it to resume at an epoch: neither `initial_epoch` nor
    `BackupAndRestore` of Keras does. (`training.train` does.)

    **PyTorch.** `torch.utils.data.DataLoader(loader, batch_size=None, sampler=loader.sampler,
    num_workers=2)` returns the same batches as tensors, epoch by epoch, from worker processes.
    Without `sampler=loader.sampler`, every pass would repeat the same epoch, so that is an error in
    training. `fit` takes a batch from a `DataLoader` to build the model; that is a pass, too, and
    so training begins with epoch 1.

    Args:
        manifest: `Manifest`, such as the result of `read_folder`.
        converter: `VideoConverter`, or another callable (see `ClipSource`).
        batch_size: Number of clips per batch, over all shards together.
        training: Whether clips are shuffled, frames and crops sampled at random, incomplete batches
            left out, and unreadable videos replaced.
        augment: None, or an `Augmenter`, for training.
        seed: Integer of at least 0. The same (seed, epoch, index) gives the same clip.
        shard: `(index, count)`: the part of every batch that this process reads.
        one_hot: Whether labels are float32 `(B, classes)`. Mixed labels always are, and so are
            those of videos that may have several: multi-hot, with a 1 for each label.
        workers: Number of threads that decode.
        max_queue_size: Number of batches decoded ahead; in training, also of the next epoch.
        random_clips: Whether frames and crops are sampled at random in training. If False, all
            epochs have the same clips in another order; `augment` still changes them. Defaults to
            `training`.
        cache: Whether decoded clips are kept in memory from their first use on. They must not be
            random.
        max_cache_bytes: Largest size of the cache.
        unreadable: `"error"`, or, outside training, `"count"`: the clip of an unreadable video is
            then black, and batches have weights as a third part, float32 `(B,)`, 0 for unreadable
            videos and 1 for all other videos.
        processes: Number of processes that decode and augment in place of the threads, each with a
            Python of its own. Manifest, converter and augmenter are sent to them. 0 for threads. Or
            another `VideoLoader`, whose processes are used for this one too.

    Output shape: `(clips, labels)`: uint8 `(B, T, H, W, 3)`, and int32 `(B,)` or,
        with `one_hot`, if the augmenter mixes labels or if videos may have several, float32
        `(B, classes)`.

    Attributes: `source`, the `ClipSource`, which lists unreadable videos; `epoch`; `sampler`.

    Raises:
        ValueError: If an argument is not as above. Outside training, a batch with an unreadable
            video raises `VideoError` or `FileNotFoundError`, which name the file; other batches can
            still be loaded.

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
        manifest: Manifest,
        converter: Callable[..., np.ndarray],
        batch_size: int = 8,
        training: bool = False,
        augment: Augmenter | None = None,
        seed: int = 0,
        shard: tuple[int, int] = (0, 1),
        one_hot: bool = False,
        workers: int = 2,
        max_queue_size: int = 2,
        random_clips: bool | None = None,
        cache: bool = False,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        unreadable: str = "error",
        processes: "int | VideoLoader" = 0,
    ):
        self._partner = processes if isinstance(processes, VideoLoader) else None
        if isinstance(processes, VideoLoader):
            processes = processes._processes
        self._processes: int = check_integer("processes", processes, 0)
        self._threads = self._processes or check_integer("workers", workers)
        self._ahead = check_integer("max_queue_size", max_queue_size, 0)
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

    def __len__(self) -> int:
        return self.source.num_batches

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        epoch = check_integer("epoch", epoch, 0)
        self._check_process()
        with self._lock:
            self._move_to(epoch)

    @property
    def sampler(self) -> "_EpochSampler":
        """Sampler for a PyTorch `DataLoader`: each pass over it is another epoch."""
        return _EpochSampler(self)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        if self.source.training and in_torch_worker():
            self._refuse("iterated over in a worker process of")
        for epoch, index in self.sampler:
            yield self.batch_of(epoch, index)

    def __getitem__(self, index: int | tuple[int, int]) -> tuple[np.ndarray, ...]:
        if isinstance(index, tuple):  # of `sampler`
            return self.batch_of(*index)
        if self.source.training and (in_torch_worker() or in_data_loader()):
            self._refuse("asked for a batch by its number alone by")
        self._check_process()
        number = self._checked_index(index)
        return self.batch_of(self._note(number), number)

    def __getitems__(self, indices: Any) -> None:
        """Raise an error for a `DataLoader` that would make batches of batches."""
        raise TypeError(f"VideoLoader returns whole batches: use {_RIGHT_WAY}")

    def batch_of(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Return a batch of any epoch. If batches are requested in order, the next are prepared.

        Args:
            epoch: Number of the epoch, from 0.
            index: Number of the batch in it, from 0.
        """
        self._check_process()
        epoch, index = int(epoch), self._checked_index(index)
        # A DataLoader itself requests batches ahead from each of its worker processes.
        ahead = 0 if in_torch_worker() else self._ahead
        try:
            batch, notes = self._reader.get(epoch, index, ahead)
        except Exception as error:
            self.source.take_notes(getattr(error, NOTES, []))
            raise
        self.source.take_notes(notes)
        return batch

    @property
    def workers(self) -> int:
        """Always 1: Keras's own workers are not used, as this object has its own threads."""
        return 1

    @workers.setter
    def workers(self, workers: int) -> None:
        self._refuse_workers_of_keras("workers", workers, 1)

    @property
    def use_multiprocessing(self) -> bool:
        """Always False: Keras's own workers are not used, as this object has its own threads."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, use: bool) -> None:
        self._refuse_workers_of_keras("use_multiprocessing", use, False)

    def _refuse_workers_of_keras(self, name, value, only):
        # Workers of Keras 3.15 begin an epoch with batches of the last epoch, or with those
        # that built the model. With processes on TensorFlow, all epochs are the first.
        if value != only:
            raise ValueError(
                f"{name} must stay {only}, got {value!r}: workers of Keras return batches "
                "of wrong epochs. VideoLoader(..., workers=...) decodes in its own threads."
            )

    def on_epoch_begin(self) -> None:
        """Begin a pass of `fit`."""
        with self._lock:
            self._in_fit, self._in_turn = True, 0

    def on_epoch_end(self) -> None:
        """Advance to the next epoch if all batches of this one have been returned."""
        # Keras also calls this after the single batch from which it builds the model, and before an
        # evaluation.
        with self._lock:
            if len(self._given) == len(self):
                self._move_to(self._epoch + 1)
            self._in_fit, self._in_turn = False, 0

    def _note(self, index):
        """Return the epoch of a batch that is requested by its number only."""
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
                "batch %d of epoch %d is returned again: batches by number are all of one epoch. "
                "For another epoch per pass, iterate over the loader itself, or call its "
                "on_epoch_end() after each pass",
                *(index, self._epoch),
            )

    @staticmethod
    def _refuse(how):
        raise RuntimeError(
            f"a VideoLoader for training was {how} a PyTorch DataLoader, which does not pass "
            "the epoch: every pass would repeat the order and the clips of one epoch. "
            f"Use {_RIGHT_WAY}"
        )

    def _checked_index(self, index):
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} was asked for, and there are {len(self)}")
        return index

    def _check_process(self):
        if self._owner != os.getpid():  # a forked process does not have the threads
            self._reader.abandon()
            self.source.renew_locks()
            self._set_transient()

    def _set_transient(self):
        """Set what neither a pickle nor a forked process has."""
        self._lock, self._owner = threading.Lock(), os.getpid()
        made: Any = self.source
        if self._processes:
            if self._partner is not None:
                self._partner._check_process()
            sharing = self._partner and self._partner._made
            made = DecodingProcesses(self.source, self._processes, sharing)
        self._made = made
        threads, training, join = self._threads, self.source.training, self.source.join
        self._reader = ReadAhead(made.jobs, len(self), threads, training, join)
        self._given, self._in_turn, self._in_fit = set(), 0, False
        self._pass_begun = self._warned = False

    def __getstate__(self):
        transient = (
            *("_lock", "_owner", "_reader", "_given", "_in_turn", "_in_fit"),
            *("_pass_begun", "_warned", "_made", "_partner"),
        )
        return {name: value for name, value in vars(self).items() if name not in transient}

    def __setstate__(self, state):
        vars(self).update(state, _partner=None)
        self._set_transient()


class _EpochSampler:
    """Yields the keys `(epoch, index)` of a loader's batches; each pass is another epoch.

    It is used in the main process, while copies of the loader in worker processes load batches.

    Args:
        loader: `VideoLoader`.
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
