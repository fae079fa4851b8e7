"""Batches that threads prepare ahead of the one asked for."""

import threading
import weakref

from keras_mlp3d._utils.ordered_map import CallThreads


class ReadAhead:
    """Runs the jobs of batches in threads; if batches are asked for in turn, also the next ones.

    Batches are asked for by number, again, in any order and by several threads, which a series such
    as `OrderedMap` cannot do.

    Args:
        jobs: Function of an epoch and the number of a batch in it, that returns the calls that the
            batch is made of, as tuples of a function and its arguments.
        num_batches: Batches per epoch.
        workers: Threads. They end when this object is deleted.

    Example:

    >>> squares = ReadAhead(lambda epoch, batch: [(pow, batch, 2)], num_batches=5, workers=2)
    >>> [squares.get(0, batch, ahead=2) for batch in range(3)]
    [[0], [1], [4]]
    """

    def __init__(self, jobs, num_batches, workers):
        self._jobs, self._num_batches = jobs, num_batches
        self._threads = CallThreads(workers, "keras_mlp3d-decode")
        self._lock, self._futures, self._next = threading.Lock(), {}, (None, 0)
        # Without it, the threads would first work off what waits.
        self._end = weakref.finalize(self, self._threads.close, wait=False)

    def abandon(self):
        """Leaves the threads alone, in a fork of the process that has them."""
        self._end.detach()

    def get(self, epoch, batch, ahead):
        """Returns the list of what a batch's calls return.

        An error of a call is raised, and so is Ctrl-C meanwhile. What was prepared ahead is then
        dropped; it can be asked for again.

        Args:
            epoch: Number of the epoch.
            batch: Number of the batch in it.
            ahead: Batches prepared ahead of this one.
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
            # After random access it is anyone's guess which batch is next.
            in_turn = batch == 0 or self._next == (epoch, batch)
            self._next = (epoch, batch + 1)
            stop = min(batch + 1 + (ahead if in_turn else 0), self._num_batches)
            coming = [(epoch, number) for number in range(batch, stop)]
            self._drop([self._futures.pop(key) for key in {*self._futures} - {*coming}])
            for key in coming:
                if key not in self._futures:
                    calls = self._jobs(*key)
                    self._futures[key] = [self._threads.submit(*call) for call in calls]
            return self._futures.pop((epoch, batch))

    @staticmethod
    def _drop(batches):
        for futures in batches:
            for future in futures:
                future.cancel()
