"""The ordered map: order, bound, errors at their place, and no thread left behind."""

import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest

from keras_mlp3d._utils import ordered_map
from keras_mlp3d._utils.ordered_map import CallThreads, OrderedMap, default_workers

NAME = "map-under-test"


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(NAME)]


def mapped(function, items, workers=2, limit=None):
    return OrderedMap(function, items, workers, limit, NAME)


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    gc.collect()
    assert not threads()


def test_results_come_in_order_from_several_threads():
    both = threading.Barrier(2, timeout=20)  # passes only if two calls run at a time

    def late(item):
        both.wait()
        time.sleep(0.02 if item % 2 == 0 else 0)
        return item, threading.current_thread().name

    found = list(mapped(late, range(8)))
    assert [item for item, _ in found] == list(range(8))
    assert len({name for _, name in found}) == 2
    assert list(mapped(late, [])) == []


@pytest.mark.parametrize(("workers", "limit"), [(1, 1), (2, 2), (2, 5), (8, 3), (3, None)])
def test_no_more_than_the_limit_is_taken(workers, limit):
    taken = itertools.count()
    items = (next(taken) for _ in range(40))
    most = 2 * workers if limit is None else limit
    for number, result in enumerate(mapped(str, items, workers, limit)):
        assert result == str(number)
        assert int(repr(taken)[6:-1]) <= number + most  # the one handed out is of them
    assert number == 39


def test_it_takes_items_in_the_thread_of_the_consumer_and_without_an_end():
    def items():
        for number in itertools.count():
            assert threading.current_thread() is threading.main_thread()
            yield number

    with mapped(lambda item: item * item, items()) as results:
        assert list(itertools.islice(results, 100)) == [number**2 for number in range(100)]
    assert list(results) == []


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_comes_at_its_place_and_ends_it(error):
    started = []

    def fail(item):
        started.append(item)
        if item == 3:
            raise error
        time.sleep(0.02)
        return item

    results, found = mapped(fail, range(100), 2, 6), []
    with pytest.raises(type(error)) as raised:
        found.extend(results)
    assert raised.value is error
    assert found == [0, 1, 2]
    assert not threads()
    assert len(started) < 12
    assert list(results) == []


def test_an_error_of_the_items_comes_at_its_place():
    def items():
        yield 1
        yield 2
        raise OSError("the list ends here")

    results = mapped(abs, items(), 4)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(OSError, match="ends here"):
        next(results)
    assert not threads()


@pytest.mark.parametrize("how", ["with", "close", "break", "error"])
def test_a_consumer_that_stops_leaves_nothing_running(how):
    started, closed = [], []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    def call(item):
        started.append(item)
        time.sleep(0.2 if item else 0)
        return item

    def consume():
        results = mapped(call, items(), 2, 20)
        if how == "with":
            with results:
                return next(results)
        for result in results:
            if how == "error":
                raise RuntimeError("the consumer fails")
            if how == "close":
                results.close()
            return result
        return None

    if how == "error":
        with pytest.raises(RuntimeError):
            consume()
        gc.collect()
    else:
        assert consume() == 0
    assert not threads()
    assert closed
    assert len(started) < 12  # of 20: those that waited were dropped


def test_threads_start_with_the_first_result():
    results = mapped(abs, iter([1]))
    assert not threads()
    results.close()
    assert list(results) == []


def test_results_are_let_go_of():
    class Result:
        alive = 0

        def __init__(self, _):
            Result.alive += 1

        def __del__(self):
            Result.alive -= 1

    for result in mapped(Result, range(30), 1, 3):
        del result
        assert Result.alive <= 3
    gc.collect()
    assert Result.alive == 0


def test_single_calls():
    calls = CallThreads(1, NAME)
    gate = threading.Event()
    first, second = calls.submit(gate.wait, 20), calls.submit(pow, 2, 3)
    calls.close(wait=False)
    gate.set()
    assert first.result(20)
    assert second.cancelled()
    calls.close()
    assert not threads()


PROGRAM = """
import runpy, sys, time
module = runpy.run_path(sys.argv[1])  # without the package, which imports Keras
results = module["OrderedMap"](lambda item: time.sleep(0.5 if item else 0), range(400), 2, 300)
next(results)
"""


def test_the_end_of_the_program_waits_only_for_what_runs():
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, ordered_map.__file__],
        check=True,
        timeout=120,
    )
    assert time.monotonic() - start < 60  # those that wait would take 75 s


def test_default_workers():
    assert default_workers(1) == 1
    assert 1 <= default_workers() <= os.cpu_count()
