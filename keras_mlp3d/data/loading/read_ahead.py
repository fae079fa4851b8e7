"""Prepares batches ahead of their use, in threads."""

import functools
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
        join: Function that takes an epoch, the number of a batch in it and the list of the calls'
            results, and returns the batch. The thread of the last call runs it, so it too is done
            ahead. Defaults to the list itself.

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
        join: Callable[[int, int, list[Any]], Any] = lambda epoch, batch, results: results,
    ):
        self._jobs, self._num_batches, self._follow, self._join = jobs, num_batches, follow, join
        self._threads = CallThreads(workers, "keras_mlp3d-decode")
        self._lock, self._made, self._next = threading.Lock(), {}, (None, 0)
        # Otherwise the threads would first run all calls that wait.
        self._end = weakref.finalize(self, self._threads.close, wait=False)

    def abandon(self) -> None:
        """Forget the threads, in a forked process, which does not have them."""
        self._end.detach()

    def get(self, epoch: int, batch: int, ahead: int) -> Any:
        """Return a batch: the results of its calls, joined.

        An error of a call, or Ctrl-C, is raised. Batches that were prepared ahead are then dropped,
        and can be requested again.

        Args:
            epoch: Number of the epoch.
            batch: Number of the batch in it.
            ahead: Number of batches to prepare ahead of this one.
        """
        made = self._take(epoch, batch, ahead)
        try:
            for future in made.futures:
                future.result()
            return made.whole
        except BaseException:
            made.drop()
            with self._lock:
                self._drop(list(self._made))
            raise

    def _take(self, epoch, batch, ahead):
        with self._lock:
            # Random access is not prefetched.
            in_turn = batch == 0 or self._next == (epoch, batch)
            self._next = (epoch, batch + 1)  # each epoch's batch 0 is in turn
            coming = self._coming(epoch, batch, ahead if in_turn else 0)
            self._drop({*self._made} - {*coming})
            for key in coming:
                if key not in self._made:
                    join = functools.partial(self._join, *key)
                    self._made[key] = _Batch(self._jobs(*key), join, self._threads)
            return self._made.pop((epoch, batch))

    def _coming(self, epoch, batch, ahead):
        """Return the keys of a batch and of those to prepare ahead of it, at most of an epoch."""
        numbers = range(batch, batch + 1 + min(ahead, self._num_batches))
        keys = [
            (epoch + number // self._num_batches, number % self._num_batches) for number in numbers
        ]
        return [key for key in keys if self._follow or key[0] == epoch]

    def _drop(self, keys):
        for key in keys:
            self._made.pop(key).drop()


class _Batch:
    """A batch that threads make.

    Args:
        calls: Tuples of a function and its arguments.
        join: Function that takes the list of their results.
        threads: `CallThreads`.
    """

    def __init__(self, calls, join, threads):
        self._join, self._lock = join, threading.Lock()
        self._results, self._left = [None] * len(calls), len(calls)
        self.whole = None
        self.futures = [threads.submit(self._run, place, *call) for place, call in enumerate(calls)]

    def _run(self, place, function, *arguments):
        self._results[place] = function(*arguments)
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self.whole = self._join(self._results)
            self._results = []

    def drop(self):
        """Cancel the calls that wait."""
        for future in self.futures:
            future.cancel()
