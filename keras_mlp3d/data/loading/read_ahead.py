"""Batches that threads prepare ahead of the one handed out; needs no TensorFlow."""

import concurrent.futures
import os
import threading

import keras

from keras_mlp3d._utils.checks import checked_whole


class ReadAhead(keras.utils.PyDataset):
    """Base of the loaders: an epoch's batches, each made of jobs that run in threads.

    An epoch ends when Keras says so and every batch has been handed out; iterating by hand, call
    `on_epoch_end()`. `epoch` may be set, to resume. A subclass says `__len__`, `_jobs` and `_join`.

    Args:
        workers: Threads. They are this object's own, and Keras is told of one worker: Keras 3.15,
            with more, serves the first epoch leftovers of the batches that it read to build the
            model.
        max_queue_size: Batches prepared ahead of the one handed out.
    """

    def __init__(self, workers, max_queue_size):
        workers = checked_whole("workers", workers)
        max_queue_size = checked_whole("max_queue_size", max_queue_size, 0)
        super().__init__(workers=1, use_multiprocessing=False)
        self.epoch = 0
        self._threads, self._ahead = workers, max_queue_size
        self._set_transient()

    def _jobs(self, epoch, index):
        """The calls, as tuples of a function and its arguments, that a batch is made of."""
        raise NotImplementedError

    def _join(self, epoch, index, results):
        """The batch made of what the jobs gave."""
        raise NotImplementedError

    def __getitem__(self, index):
        return self.batch_of(self.epoch, index)

    def batch_of(self, epoch, index):
        """Returns a batch of any epoch; those that follow it are prepared meanwhile."""
        epoch, index = int(epoch), int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} was asked for, and there are {len(self)}")
        if self._owner != os.getpid():  # a fork has this object's threads on paper only
            self._set_transient()
        with self._lock:
            # Whoever jumps about gets nothing decoded ahead: where to next is anyone's guess.
            ahead = self._ahead if index in (0, self._last + 1) else 0
            coming = range(index, min(index + ahead + 1, len(self)))
            self._last = index
            self._given.add(index)
            for key in [key for key in self._futures if key[0] != epoch or key[1] not in coming]:
                for future in self._futures.pop(key):
                    future.cancel()
            for number in coming:
                if (epoch, number) not in self._futures:
                    self._futures[epoch, number] = self._submit(epoch, number)
            futures = self._futures.pop((epoch, index))
        return self._join(epoch, index, [future.result() for future in futures])

    def on_epoch_end(self):
        """Moves on to the next epoch, if all batches of this one were handed out."""
        # Keras calls this also after the one batch from which it builds the model, and before an
        # evaluation. Worker processes of Keras do not report what they handed out.
        with self._lock:
            if len(self._given) == len(self) or (self.use_multiprocessing and not self._given):
                self.epoch += 1
                self._given.clear()
            self._last = -1

    def _submit(self, epoch, number):
        return [self._pool.submit(*job) for job in self._jobs(epoch, number)]

    def _set_transient(self):
        """What neither a pickle nor a fork can take along."""
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._pool = concurrent.futures.ThreadPoolExecutor(self._threads, "keras_mlp3d-decode")
        self._futures, self._given, self._last = {}, set(), -1

    def __getstate__(self):
        transient = ("_lock", "_owner", "_pool", "_futures", "_given", "_last")
        return {name: value for name, value in vars(self).items() if name not in transient}

    def __setstate__(self, state):
        vars(self).update(state)
        self._set_transient()
