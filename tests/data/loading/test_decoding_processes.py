"""Clips that child processes make: the same, with the same errors, and no process stays behind."""

import ast
import contextlib
import gc
import importlib
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from data.loading.gray_clips import RANDOM, assert_same_batches, numbered_rows
from data.make_videos import moving_frames, write_lossless
from data.video.coded_files import write_pair

from keras_mlp3d.data import Augmenter, Manifest, VideoConverter, VideoError, VideoRow
from keras_mlp3d.data.augment import HorizontalFlip, MixUp, RandomResizedCrop
from keras_mlp3d.data.loading import decoding_processes
from keras_mlp3d.data.loading.video_loader import VideoLoader
from keras_mlp3d.data.video.sources import LazySource


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Six videos, of which the third is damaged."""
    folder = tmp_path_factory.mktemp("videos")
    rows = []
    for number in range(6):
        path = folder / f"{number}.mkv"
        write_lossless(path, moving_frames(8, 32, 48) // (number + 1))
        if number == 2:
            path.write_bytes(b"no video")
        rows.append(VideoRow(str(path), number % 2))
    return Manifest(tuple(rows), ("a", "b"), "train")


def children_of(parent):
    """Process numbers of the children of a process, as text."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            # The name before the state may hold anything, parentheses included.
            if path.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(path.parent.name)
    return found


def children():
    """Process numbers of the live child processes that make clips."""
    found = set()
    for number in children_of(os.getpid()):
        with contextlib.suppress(OSError):
            if b"decoding_processes" in pathlib.Path("/proc", number, "cmdline").read_bytes():
                found.add(int(number))
    return found


def left(before, count):
    """Deletes what nothing refers to, and returns the number of child processes since `before`.

    The thread that made the last clip holds its loader for a moment longer than the test does, so
    the processes have ten seconds to become as few as `count`.
    """
    deadline = time.monotonic() + 10
    while True:
        gc.collect()
        now = len(children() - before)
        if now <= count or time.monotonic() > deadline:
            return now
        time.sleep(0.05)


def test_the_batches_of_threads_and_their_notes(videos, caplog):
    options = {
        "batch_size": 2,
        "training": True,
        "augment": Augmenter(RandomResizedCrop(), HorizontalFlip(), mix_up=MixUp(0.5)),
        "seed": 3,
    }
    converter, before = VideoConverter(4, (32, 32), crop="random"), children()
    loaders = [VideoLoader(videos, converter, **options, processes=n) for n in (0, 2)]
    for _ in range(2):
        assert_same_batches(*(list(loader) for loader in loaders))
    said = [record.message for record in caplog.records if "is skipped" in record.message]
    assert len(said) == 2
    assert said[0] == said[1]
    assert loaders[0].source.unreadable == loaders[1].source.unreadable
    assert list(loaders[1].source.unreadable) == [videos.rows[2].name]
    assert len(children() - before) == 2
    del loaders
    assert left(before, 0) == 0


def test_two_loaders_share_their_processes(videos):
    """Whatever order their batches are asked for in, by whatever number of threads."""
    good = Manifest((*videos.rows[:2], *videos.rows[3:]), videos.class_names, "train")
    bright = VideoConverter(4, (24, 24))
    plain = [VideoLoader(good, RANDOM, 2, True), VideoLoader(good, bright, 3)]
    before = children()
    first = VideoLoader(good, RANDOM, 2, True, processes=2)
    second = VideoLoader(good, bright, 3, processes=first)
    for _ in range(2):
        passes = [iter(loader) for loader in (*plain, first, second)]
        for expected, other, ours, ours_too in zip(*passes, strict=False):
            assert_same_batches([expected], [ours])
            assert_same_batches([other], [ours_too])
    assert len(children() - before) == 2
    again = pickle.loads(pickle.dumps(second))  # with processes of its own
    assert_same_batches([plain[1][0]], [again[0]])
    del again
    del first
    assert left(before, 2) == 2
    assert_same_batches([plain[1][1]], [second[1]])  # they stay while a loader needs them
    assert len(children() - before) == 2
    del second, passes
    assert left(before, 0) == 0


def test_unreadable_videos_of_an_evaluation(videos):
    counts, raises = (
        VideoLoader(videos, VideoConverter(4, (32, 32)), 3, unreadable=how, processes=1)
        for how in ("count", "error")
    )
    batches = list(counts)
    assert [weights.tolist() for *_, weights in batches] == [[1, 1, 0], [1, 1, 1]]
    assert not batches[0][0][2].any()
    with pytest.raises(VideoError, match=r"2\.mkv") as error:
        raises[0]
    assert error.value.reason
    assert raises[1][0].shape == (3, 4, 32, 32, 3)


def test_what_cannot_be_sent(videos):
    with pytest.raises(ValueError, match="processes must be 0 if manifest, converter and augment"):
        VideoLoader(videos, lambda *_, **__: np.zeros((4, 8, 8, 3), "uint8"), 2, processes=1)
    lazy = LazySource("lazy", lambda: None)
    with pytest.raises(ValueError, match="processes must be 0"):
        VideoLoader(Manifest((VideoRow(lazy, 0),), ("a",), "train"), RANDOM, 1, True, processes=1)
    with pytest.raises(ValueError, match="cache must be False with processes"):
        VideoLoader(videos, VideoConverter(4, (32, 32)), 2, cache=True, processes=1)
    with pytest.raises(ValueError, match="processes"):
        VideoLoader(videos, RANDOM, 2, processes=-1)


def killed_when_asked_for(row, times, monkeypatch):
    """Processes are killed when they are asked for a row, so often."""
    ask, left = decoding_processes._Process.ask, [None] * times

    def deadly(process, number, request, what):
        if row in request[1] and left:
            left.pop()
            process._process.kill()
        return ask(process, number, request, what)

    monkeypatch.setattr(decoding_processes._Process, "ask", deadly)


def loaders_of_readable(videos, count):
    """Loaders with threads and with processes, which are asked for some clips at once."""
    good = Manifest((*videos.rows[:2], *videos.rows[3:]), videos.class_names, "train")
    loaders = [
        VideoLoader(good, VideoConverter(4, (32, 32)), 4, processes=each) for each in (0, count)
    ]
    loaders[1]._made._seconds = 0.01
    return loaders


def test_processes_that_are_killed_between_batches(videos, caplog):
    plain, loader = loaders_of_readable(videos, 2)
    before = children()
    assert_same_batches([loader[0]], [plain[0]])
    killed = children() - before
    assert len(killed) == 2
    for number in killed:
        os.kill(number, signal.SIGKILL)
        while "State:\tZ" not in pathlib.Path(f"/proc/{number}/status").read_text():
            time.sleep(0.01)
    assert_same_batches([loader[0]], [plain[0]])
    assert not caplog.records
    assert not killed & children()


def test_a_process_that_is_killed_costs_a_warning(videos, monkeypatch, caplog):
    plain, loader = loaders_of_readable(videos, 1)
    killed_when_asked_for(2, 1, monkeypatch)
    assert_same_batches([loader[0]], [plain[0]])
    assert "0.mkv' and 3 more videos ended (SIGKILL)" in caplog.text
    assert "another process makes them again" in caplog.text


def test_a_function_of_the_main_script(videos, monkeypatch):
    """It can be sent, and not be found there: the processes do not run the script."""

    def convert_of_main(path, rng, start=None, end=None):
        return np.zeros((4, 8, 8, 3), "uint8")

    convert_of_main.__module__, convert_of_main.__qualname__ = "__main__", "convert_of_main"
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "convert_of_main", convert_of_main, raising=False)
    loader = VideoLoader(videos, convert_of_main, 4, processes=1)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"processes must be 0 .*main script: AttributeError"):
            loader[0]


def test_a_video_that_ends_its_process_is_named(videos, monkeypatch):
    """Of the clips that a process is asked for at once."""
    plain, loader = loaders_of_readable(videos, 1)
    killed_when_asked_for(2, 9, monkeypatch)
    with pytest.raises(RuntimeError, match=r"clips of '[^' ]*3\.mkv' ended.*processes=0"):
        loader[0]
    assert_same_batches([loader[1]], [plain[1]])


@pytest.mark.parametrize(
    ("side", "count", "asked"),
    [
        (32, 1, [5, 5]),
        (32, 3, [4, 3, 3]),
        (32, 16, [1] * 10),
        (128, 1, [2] * 5),
        (640, 1, [1] * 10),
    ],
)
def test_a_process_is_asked_for_some_small_clips_at_once(side, count, asked):
    """If they are soon made, and for so few that all processes have something to do."""
    loader = VideoLoader(numbered_rows(10), VideoConverter(8, (side, side)), 10, processes=count)
    for seconds, sizes in ((0.3, [1] * 10), (0.01, asked)):  # of the clips that were made last
        loader._made._seconds = seconds
        jobs = loader._made.jobs(0, 0)
        assert [len(rows) for _, _, rows in jobs] == sizes
        assert [row for _, _, rows in jobs for row in rows] == list(range(10))


PROGRAM = """
import sys, time
from keras_mlp3d.data import Manifest, VideoConverter, VideoLoader, VideoRow
rows = Manifest((VideoRow(sys.argv[1], 0),), ("a",), "train")
loader = VideoLoader(rows, VideoConverter(4, (32, 32)), 1, processes=2)
loader[0]
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_the_program(videos, root_dir, how):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, videos.rows[0].path],
        env={
            **os.environ,
            "PYTHONPATH": str(root_dir),
            "KERAS_BACKEND": keras.config.backend(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    numbers = children_of(process.pid)
    assert numbers
    process.send_signal(how)
    process.wait(30)
    process.stdout.close()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{number}") for number in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_other_warnings_are_passed_on(tmp_path, caplog):
    """Of a video of which only the first frames can be decoded."""
    path = tmp_path / "cut.mp4"
    write_pair(path, "h264.mp4", 12)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    rows = Manifest((VideoRow(str(path), 0),), ("a",), "train")
    said = []
    for processes in (0, 1):
        caplog.clear()
        VideoLoader(rows, VideoConverter(4, (32, 32)), 1, processes=processes)[0]
        said.append([record.message for record in caplog.records])
    assert said[0]
    assert said[0] == said[1]


def test_the_processes_have_no_backend(videos):
    before = children()
    loader = VideoLoader(Manifest(videos.rows[:1], ("a",), "train"), RANDOM, 1, True, processes=1)
    assert len(loader[0][0]) == 1
    [number] = children() - before
    mapped = pathlib.Path("/proc", str(number), "maps").read_text()
    assert "numpy" in mapped
    assert not [name for name in ("jaxlib", "tensorflow", "torch") if name in mapped]


MODULE = """
import logging

def known():
    import keras
    names = [f"keras_mlp3d>{{name}}" for name in ("MLP3D", "VideoConverter")]
    return [keras.saving.get_registered_object(name) is not None for name in names]

class Telling:
    \"\"\"Makes clips, and tells what Keras knows, as a class that loads a network needs it.\"\"\"

    def __init__(self, converter):
        self.converter = converter

    def __setstate__(self, state):
        vars(self).update(state)
        self.found = {found}

    def __call__(self, *arguments, **options):
        import keras, keras_mlp3d.models.preset_model as presets

        found = (self.found, known(), len(presets.weight_makers), keras.config.backend())
        logging.getLogger("keras_mlp3d").warning("%s", found)
        return self.converter(*arguments, **options)
"""


@pytest.mark.parametrize(("bottom", "found"), [("\nFOUND = known()\n", "FOUND"), ("", "known()")])
def test_a_class_of_the_callers_has_keras_as_in_the_caller(
    bottom, found, videos, tmp_path, monkeypatch, caplog
):
    """Whether its module asks for it when it is imported, when it is unpickled or later."""
    module = f"telling_{len(bottom)}"
    text = MODULE.format(found=found) + bottom
    tmp_path.joinpath(f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    converter = importlib.import_module(module).Telling(VideoConverter(4, (32, 32)))
    rows = Manifest(videos.rows[:1], videos.class_names, "train")
    clips, _ = VideoLoader(rows, converter, 1, processes=1)[0]
    assert clips.shape == (1, 4, 32, 32, 3)
    [said] = [ast.literal_eval(record.message) for record in caplog.records]
    assert said == ([True, True], [True, True], 1, keras.config.backend())
