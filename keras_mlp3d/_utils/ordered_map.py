"""A bounded map over threads: results come in the items' order, and no thread stays behind."""

import collections
import concurrent.futures
import concurrent.futures.thread
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers(maximum: int | None = None) -> int:
    """Return how many processors this process may use.

    Args:
        maximum: Largest number returned, or None.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return count if maximum is None else min(count, maximum)


class OrderedMap(Generic[Result]):
    """Calls a function on items in threads and yields the results in the items' order.

    It is an iterator. Threads start with the first `next`. They end when the results are used up,
    after an error, and when the iterator is closed or deleted. Calls that have not started are then
    dropped; those that run are waited for. As a context manager, it is closed at the end of the
    block.

    An error of a call is raised in place of its result, after all earlier results, and ends the
    iteration. To carry on after errors, let `function` return them.

    Args:
        function: Takes an item. It runs in several threads at a time.
        items: Iterable of items. Only the consumer's thread iterates over it, as needed. An error
            of the iterable, too, is raised after the results of the items before it.
        workers: Number of threads.
        limit: Largest number of items in memory: running, waiting, done, and the one whose result
            the consumer has. By default twice `workers`.
        name: Beginning of the threads' names.
        on_end: None, or a function that is called when the iteration ends, however it does, before
            the running calls are waited for: it may make them return early.

    Example:

    >>> with OrderedMap(abs, [-3, 2, -1], workers=2) as results:
    ...     print(list(results))
    [3, 2, 1]
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        workers: int,
        limit: int | None = None,
        name: str = "keras_mlp3d-map",
        on_end: Callable[[], None] | None = None,
    ):
        limit = max(1, 2 * workers if limit is None else limit)
        threads = CallThreads(min(workers, limit), name)
        self._results = _results(function, iter(items), threads, limit, on_end)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Result:
        return next(self._results)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration: drop the calls that wait and wait for those that run."""
        self._results.close()


class CallThreads:
    """Threads that run single calls; `OrderedMap` is for calls on a series of items.

    Args:
        workers: Number of threads.
        name: Beginning of their names.
    """

    def __init__(self, workers: int, name: str):
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, name)

    def submit(
        self, function: Callable[..., Result], *arguments: Any
    ) -> concurrent.futures.Future[Result]:
        """Return a `concurrent.futures.Future` of a call.

        At the end of the program, calls that have not started are canceled.
        """
        return self._pool.submit(_call, function, arguments)

    def close(self, wait: bool = True) -> None:
        """Drop the calls that wait. The threads end with the calls that run.

        Args:
            wait: Whether to return only when the threads have ended.
        """
        self._pool.shutdown(wait, cancel_futures=True)


def _results(
    function: Callable[[Item], Result],
    items: Iterator[Item],
    threads: CallThreads,
    limit: int,
    on_end: Callable[[], None] | None,
) -> Generator[Result, None, None]:
    futures: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    more = True
    try:
        while True:
            # The result that the consumer has counts: it is in memory meanwhile.
            while more and len(futures) < limit:
                try:
                    futures.append(threads.submit(function, next(items)))
                except StopIteration:
                    more = False
                except Exception as error:
                    more = False
                    futures.append(_failed(error))
            if not futures:
                return
            # No name is bound to the future, which would keep its result alive.
            yield futures.popleft().result()
    finally:
        if on_end is not None:
            on_end()
        threads.close()
        if hasattr(items, "close"):
            items.close()


def _failed(error: Exception) -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_exception(error)
    return future


def _call(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    # At the end of the program, Python lets the threads work off everything that waits.
    if getattr(concurrent.futures.thread, "_shutdown", False):
        raise concurrent.futures.CancelledError
    return function(*arguments)
