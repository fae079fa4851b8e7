"""Prepares batches ahead of their use, in threads."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

from keras_mlp3d._utils.ordered_map import CallThreads


class ReadAhead:
    """Runs the jobs of batches in threads; if batches are asked for in turn, also the next ones.

    Batches are asked for by number, again, in any order and by several threads, which a series such
    as `OrderedMap` cannot do.

    Args:
        jobs: Function that takes an epoch and the number of a batch in it, and returns the calls
            that make the batch, as tuples of a function and its arguments.
        num_batches: Number of batches per epoch.
        workers: Number of threads. They end when this object is deleted.
        follow: Whether each epoch is followed by the next: its first batches are then prepared
            during the last batches of the one before. Otherwise an epoch may be the last.

    Example:

    >>> squares = ReadAhead(lambda epoch, batch: [(pow, batch, 2)], num_batches=5, workers=2)
    >>> [squares.get(0, batch, ahead=2) for batch in range(3)]
    [[0], [1], [4]]
    """

    def __init__(
        self,
        jobs: Callable[[int, int], list[tuple[Any, ...]]],
        num_batches: int,
        workers: int,
        follow: bool = False,
    ):
        self._jobs, self._num_batches, self._follow = jobs, num_batches, follow
        self._threads = CallThreads(workers, "keras_mlp3d-decode")
        self._lock, self._futures, self._next = threading.Lock(), {}, (None, 0)
        # Otherwise the threads would first run all calls that wait.
        self._end = weakref.finalize(self, self._threads.close, wait=False)

    def abandon(self) -> None:
        """Forgets the threads, in a forked process, which does not have them."""
        self._end.detach()

    def get(self, epoch: int, batch: int, ahead: int) -> list[Any]:
        """Returns the results of a batch's calls.

        An error of a call, or Ctrl-C, is raised. Batches that were prepared ahead are then dropped,
        and can be requested again.

        Args:
            epoch: Number of the epoch.
            batch: Number of the batch in it.
            ahead: Number of batches to prepare ahead of this one.
        """
        futures = self._take(epoch, batch, ahead)
        try:
            return [future.result() for future in futures]
        except BaseException:
            self._drop([futures])
            with self._lock:
                self._drop([self._futures.pop(key) for key in list(self._futures)])
            raise

    def _take(self, epoch, batch, ahead):
        with self._lock:
            # Random access is not prefetched.
            in_turn = batch == 0 or self._next == (epoch, batch)
            self._next = (epoch, batch + 1)  # each epoch's batch 0 is in turn
            coming = self._coming(epoch, batch, ahead if in_turn else 0)
            self._drop([self._futures.pop(key) for key in {*self._futures} - {*coming}])
            for key in coming:
                if key not in self._futures:
                    calls = self._jobs(*key)
                    self._futures[key] = [self._threads.submit(*call) for call in calls]
            return self._futures.pop((epoch, batch))

    def _coming(self, epoch, batch, ahead):
        """The keys of a batch and of those to prepare ahead of it."""
        numbers = range(batch, batch + 1 + ahead)
        keys = [
            (epoch + number // self._num_batches, number % self._num_batches) for number in numbers
        ]
        return [key for key in keys if self._follow or key[0] == epoch]

    @staticmethod
    def _drop(batches):
        for futures in batches:
            for future in futures:
                future.cancel()
