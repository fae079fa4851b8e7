"""Threads that prepare batches: they end with what they are for."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from data.loading.gray_clips import CONVERTER, numbered_clip, numbered_rows

from keras_mlp3d.data import VideoError
from keras_mlp3d.data.loading.read_ahead import ReadAhead
from keras_mlp3d.data.loading.video_loader import VideoLoader


def new_threads(before):
    return [thread for thread in threading.enumerate() if thread not in before]


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_threads_end_with_the_loader(manifest):
    before = threading.enumerate()
    loader = VideoLoader(manifest, CONVERTER, 2, workers=3)
    loader[0]
    started = new_threads(before)
    assert 1 <= len(started) <= 3
    del loader
    gc.collect()
    assert wait_for(lambda: not any(thread.is_alive() for thread in started))


def test_what_waits_is_dropped_with_the_loader():
    started, proceed = [], threading.Event()

    def slow(path, rng, start=None, end=None):
        started.append(path)
        if path != "0":
            proceed.wait(10)
        return numbered_clip(path, rng)

    before = threading.enumerate()
    loader = VideoLoader(numbered_rows(30), slow, 1, workers=1, max_queue_size=20)
    loader[0]
    assert wait_for(lambda: len(started) == 2)
    del loader
    gc.collect()
    proceed.set()
    assert wait_for(lambda: not new_threads(before))
    assert started == ["0", "1"]


def jobs(started, fail):
    def job(batch):
        started.append(batch)
        if batch in fail:
            raise fail[batch]
        return batch

    return lambda epoch, batch: [(job, batch)]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), MemoryError()])
def test_after_an_error_the_next_batch_is_had(error):
    started, fail = [], {2: error}
    reader = ReadAhead(jobs(started, fail), num_batches=6, workers=2)
    assert [reader.get(0, batch, 3) for batch in range(2)] == [[0], [1]]
    for _ in range(2):
        with pytest.raises(type(error)):
            reader.get(0, 2, 3)
        assert not reader._made  # nothing works for nobody
    assert [reader.get(0, batch, 3) for batch in (3, 4, 5)] == [[3], [4], [5]]
    fail.clear()
    assert [reader.get(0, batch, 3) for batch in range(6)] == [[batch] for batch in range(6)]


def test_random_access_prepares_nothing():
    started = []
    reader = ReadAhead(jobs(started, {}), num_batches=9, workers=1)
    assert [reader.get(0, batch, 3) for batch in (4, 2, 7)] == [[4], [2], [7]]
    assert started == [4, 2, 7]
    assert reader.get(1, 8, 3) == [8]  # of another epoch: not in turn
    assert started == [4, 2, 7, 8]


def test_the_next_epoch_is_prepared_during_the_last_batches_of_one():
    started = []

    def job(*key):
        started.append(key)
        return key

    reader = ReadAhead(lambda *key: [(job, *key)], num_batches=3, workers=1, follow=True)
    passes = [(epoch, batch) for epoch in range(3) for batch in range(3)]
    for number, key in enumerate(passes):
        assert reader.get(*key, ahead=2) == [key]
        assert wait_for(lambda number=number: len(started) == number + 3)
    assert started[:9] == passes  # each once, in turn
    assert reader.get(7, 1, ahead=0) == [(7, 1)]  # an epoch that nothing was prepared of
    assert not reader._made


def test_epochs_of_one_batch_are_prepared_ahead_too():
    reader = ReadAhead(lambda *key: [(tuple, key)], num_batches=1, workers=1, follow=True)
    assert [reader.get(epoch, 0, ahead=2) for epoch in range(4)] == [[(e, 0)] for e in range(4)]
    assert sorted(reader._made) == [(4, 0)]  # at most an epoch is kept


def test_batches_are_joined_ahead_by_the_threads():
    joined = []

    def join(epoch, batch, results):
        joined.append((epoch, batch, threading.current_thread().name))
        if batch == 2:
            raise ValueError("unequal")
        return sum(results)

    calls = [(pow, number, 2) for number in range(5)]
    reader = ReadAhead(lambda *key: calls, num_batches=3, workers=2, join=join)
    assert reader.get(0, 0, ahead=1) == 30
    assert wait_for(lambda: len(joined) == 2)
    assert [key for *key, _ in joined] == [[0, 0], [0, 1]]
    assert all(name.startswith("keras_mlp3d-decode") for *_, name in joined)
    assert reader.get(0, 1, ahead=0) == 30
    with pytest.raises(ValueError, match="unequal"):
        reader.get(0, 2, ahead=0)


def test_of_two_errors_the_first_in_the_batch_is_raised():
    second = threading.Event()

    def fail(number):
        if number == 0:
            assert second.wait(10)
        second.set()
        raise ValueError(f"call {number}")

    reader = ReadAhead(lambda *key: [(fail, 0), (fail, 1)], num_batches=1, workers=2)
    with pytest.raises(ValueError, match="call 0"):
        reader.get(0, 0, ahead=0)


@pytest.mark.parametrize("training", [True, False])
def test_only_training_goes_on_with_another_epoch(training):
    started = []

    def converter(path, rng, start=None, end=None):
        started.append(path)
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(6), converter, 2, training, workers=1)
    assert len(list(loader)) == 3
    if training:
        assert wait_for(lambda: len(started) == 10)  # and two batches of the next
    else:
        time.sleep(0.1)
        assert len(started) == 6


def test_what_is_prepared_ahead_is_noted_where_it_is_asked_for(caplog):
    """What is known after an epoch is of that epoch, however far the threads are."""
    calls = []

    def breaks(path, rng, start=None, end=None):
        calls.append(path)
        if path == "3" and calls.count("3") > 1:
            raise VideoError("3", "it broke")
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(4), breaks, 2, training=True, workers=1)
    for epoch in range(3):
        found = {"3": "cannot read the video '3': it broke"} if epoch else {}
        assert len(list(loader)) == 2
        assert wait_for(lambda epoch=epoch: len(calls) >= 4 * (epoch + 2))  # and the next epoch
        assert loader.source.unreadable == found
        assert loader.source.failed == ({3: "it broke"} if epoch else {})
        assert len(caplog.records) == len(found)


PROGRAM = """
import sys, time
from data.loading.gray_clips import numbered_clip, numbered_rows
from keras_mlp3d.data.loading.video_loader import VideoLoader

def slow(path, rng, start=None, end=None):
    if path != "0":
        time.sleep(1)
    return numbered_clip(path, rng)

loader = VideoLoader(numbered_rows(60), slow, 1, workers=2, max_queue_size=40)
loader[0]
print("ready", flush=True)
if sys.argv[1] == "waiting":
    loader[10]
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("where", ["waiting", "elsewhere"])
def test_ctrl_c_ends_the_program_at_once(where):
    tests = pathlib.Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), where]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, errors = process.communicate(timeout=60)
    # The clips that are being decoded take a second; those that wait would take twenty.
    assert time.monotonic() - sent < 15
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in (130, -signal.SIGINT)
