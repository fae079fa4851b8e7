"""Processes that make the clips of a `ClipSource`, each with a Python of its own.

Threads share one Python: while one prepares a picture, the others wait, and so does a training step
that is Python too. `multiprocessing` is not used: a spawned process would first run the caller's
main script. These processes import Keras, on the backend of this one, only for classes of the
caller's: it takes seconds and half a gigabyte.
"""

import contextlib
import io
import json
import logging
import math
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_mlp3d._utils import backend
from keras_mlp3d._utils.child_process import how_it_ended
from keras_mlp3d._utils.recent import Recent
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.unreadable_notes import NOTES, Notes
from keras_mlp3d.data.video.converter import VideoConverter

_logger = logging.getLogger("keras_mlp3d")

_STARTER = """
import json, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from keras_mlp3d.data.loading.decoding_processes import serve
serve()
"""
#: Besides the standard library, whose classes need no Keras.
_WITHOUT_KERAS = ("keras_mlp3d", "numpy", "av")
#: If TensorFlow is imported there, nothing is computed with it, and it logs less so.
_QUIET = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}
#: Limits of what a process is asked for at once: rows, bytes of their clips, seconds that it takes.
#: Several rows at once interrupt the training step less often; the program's end waits for them.
_MOST_ROWS, _MOST_BYTES, _MOST_SECONDS = 8, 2**20, 0.25
#: Seconds that a process which has failed gets to end by itself: it may have a backend to unload.
_PATIENCE = 20


class DecodingProcesses:
    """Makes the clips of a source in child processes.

    A process starts with the first call that finds none idle. All end when this object, and those
    that share its processes, are deleted, when the program ends, or when it is killed.

    Args:
        source: `ClipSource`. Videos that are unreadable are noted in it, as if it had made the
            clips itself.
        count: Largest number of processes.
        sharing: None, or another such object, whose processes make the clips of this one too;
            `count` is that of the other one then.

    Raises:
        ValueError: If the source cannot be sent to another process, or caches its clips.
    """

    def __init__(self, source: ClipSource, count: int, sharing: "DecodingProcesses | None" = None):
        if source.caches:
            raise ValueError("cache must be False with processes, which share no memory.")
        try:
            pickled = pickle.dumps(source, protocol=5)
        except Exception as error:  # of any class that the caller has written
            raise ValueError(
                "processes must be 0 if manifest, converter and augment cannot be sent to another "
                f"process: {type(error).__name__}: {error}"
            ) from error
        self._source, self._said = source, Recent(4096)
        self._pool: _Pool = sharing._pool if sharing is not None else _Pool(count)
        self._number = self._pool.add(pickled)
        self._at_once, self._seconds = _rows_at_once(source), _MOST_SECONDS  # of the last rows

    def jobs(self, epoch: int, batch: int) -> list[tuple[Any, ...]]:
        """Return the calls that make the clips of a batch, each of one or some of its rows."""
        rows = self._source.rows(epoch, batch)
        at_once = max(min(self._at_once, int(_MOST_SECONDS / self._seconds)), 1)
        calls = max(min(self._pool.most, len(rows)), -(-len(rows) // at_once))
        return [(self.clips, epoch, some.tolist()) for some in np.array_split(rows, calls)]

    def clips(self, epoch: int, rows: list[int]) -> tuple[np.ndarray, np.ndarray, Notes]:
        """Return what `ClipSource.noted_clips` returns of each row, joined, or raise its error.

        If the process ends, for example because the system kills it, another is asked.

        Raises:
            RuntimeError: If the other process ends too. The error names the video.
        """
        try:
            return self._ask(epoch, rows)
        except _Ended as end:
            _logger.warning("%s; another process makes them again", end)
        try:
            return _joined([self._ask(epoch, [row]) for row in rows])
        except _Ended as end:
            raise RuntimeError(f"{end}. With processes=0 threads make the clips.") from None

    def _ask(self, epoch, rows):
        first = self._source.manifest.rows[rows[0]].name
        what = repr(first) if len(rows) == 1 else f"{first!r} and {len(rows) - 1} more videos"
        with self._pool.process() as process:
            began = time.perf_counter()
            answer = process.ask(self._number, (int(epoch), rows), what)
            self._seconds = max(time.perf_counter() - began, 1e-6) / len(rows)
        for level, text in answer["log"]:
            if self._said.set(text, True):
                _logger.log(level, "%s", text)
        if "error" in answer:
            setattr(answer["error"], NOTES, answer["notes"])
            raise answer["error"]
        return answer["clips"]


class _Ended(Exception):
    """A process ended before it answered. The text says of which videos, and how."""


def _rows_at_once(source):
    """Return the number of rows whose clips a process is asked for at once, at most."""
    converter = source.converter
    if not isinstance(converter, VideoConverter):  # its clips have any size
        return 1
    clips = converter.num_frames * math.prod(converter.image_size) * 3 * source.copies
    return min(max(_MOST_BYTES // clips, 1), _MOST_ROWS)


def _joined(parts):
    """Join the (clips, labels, notes) of rows."""
    clips, labels, notes = zip(*parts, strict=True)
    return np.concatenate(clips), np.concatenate(labels), [each for part in notes for each in part]


class _Pool:
    """The processes, of which each serves one call at a time.

    Args:
        most: Largest number of processes.
    """

    def __init__(self, most: int):
        self.most, self._free = most, threading.Condition()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._starting = 0
        self._sources: list[bytes] = []
        self._end = weakref.finalize(self, _end_all, self._all, os.getpid())

    def add(self, source: bytes) -> int:
        """Return the number of a pickled source, by which the processes know it."""
        self._sources.append(source)
        return len(self._sources) - 1

    @contextlib.contextmanager
    def process(self) -> Iterator["_Process"]:
        process = self._taken()
        try:
            yield process
        except BaseException:  # it has ended
            with self._free:
                self._all.discard(process)
                self._free.notify()
            raise
        with self._free:
            self._idle.append(process)
            self._free.notify()

    def _room(self):
        return len(self._all) + self._starting < self.most

    def _taken(self):
        """Return an idle process, or a new one, or wait for one."""
        with self._free:
            while True:
                self._free.wait_for(lambda: self._idle or self._room())
                if not self._idle:
                    break
                process = self._idle.pop()
                if process.lives():
                    return process
                self._all.discard(process)  # killed while nobody asked it
                process.end()
            self._starting += 1
        try:
            process = _Process(self._sources)
            self._all.add(process)
        finally:
            with self._free:
                self._starting -= 1
                self._free.notify()
        return process


class _Process:
    """A child process that answers one call after the other.

    Args:
        sources: The pickled sources by number; each is sent with the first call for it.
    """

    def __init__(self, sources: list[bytes]):
        import keras  # late: the child imports this file too

        self._sources, self._sent = sources, set[int]()
        self._process = subprocess.Popen(
            [sys.executable, *backend.WITHOUT_KERAS, "-c", _STARTER],
            env={**os.environ, **_QUIET, backend.VARIABLE: keras.config.backend()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
        )
        self._requests: Any = self._process.stdin
        self._answers: Any = self._process.stdout
        path = json.dumps([entry or os.getcwd() for entry in sys.path])
        with contextlib.suppress(OSError):  # it has ended: the answer says so
            self._requests.write(path.encode("ascii") + b"\n")
            self._requests.flush()

    def ask(self, number: int, request: tuple[int, list[int]], what: str) -> dict[str, Any]:
        """Return the answer.

        Args:
            number: Number of the source.
            request: (epoch, rows).
            what: The videos, for the error if there is no answer.
        """
        with contextlib.suppress(OSError):
            new = None if number in self._sent else self._sources[number]
            pickle.dump((number, new, request), self._requests, protocol=5)
            self._requests.flush()
            self._sent.add(number)
        try:
            # From a child of this program, through a pipe that no other has.
            answer: dict[str, Any] = pickle.load(self._answers)
        except (EOFError, pickle.UnpicklingError, OSError):
            code = self.end(_PATIENCE)
            how = "killed, as it no longer answered" if code is None else how_it_ended(code)
            text = f"the process that makes the clips of {what} ended ({how})"
            raise _Ended(f"{text}; what it printed is above") from None
        except BaseException:  # such as Ctrl-C: nobody waits for what it is doing
            self.end()
            raise
        return answer

    def lives(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def end(self, patience: float = 1) -> int | None:
        """End the process, and return its exit code, or None if it had to be killed.

        Args:
            patience: Seconds until it is killed.
        """
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(patience)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        return None


def _end_all(processes: "set[_Process]", owner: int) -> None:
    if os.getpid() == owner:  # in a forked process they are the parent's
        for process in list(processes):
            process.end()


def serve() -> None:
    """Answer the parent's calls until it ends: the program of a child process."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    log: list[tuple[int, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: log.append((record.levelno, record.getMessage()))  # type: ignore
    _logger.addHandler(handler)
    _logger.propagate = False
    sources: dict[int, ClipSource | ValueError] = {}
    while True:
        try:
            number, new, (epoch, rows) = pickle.load(requests)
        except EOFError:
            return
        if new is not None:
            sources[number] = _loaded(new)
        source = sources[number]
        log.clear()
        if isinstance(source, ValueError):
            answer = {"error": source, "notes": []}
        else:
            answer = _answer(source, epoch, rows)
        pickle.dump({**answer, "log": list(log)}, answers, protocol=5)
        answers.flush()


def _loaded(pickled):
    """Return a source, or the error that says why it cannot be loaded here."""
    try:
        return _Unpickler(io.BytesIO(pickled)).load()
    except Exception as error:  # of any class that the caller has written
        return ValueError(
            "processes must be 0 if a class of manifest, converter or augment cannot be imported "
            f"in another process, as those of a main script: {type(error).__name__}: {error}"
        )


def _answer(source, epoch, rows):
    """Return the clips of some rows with their notes, or the error of the first that has one."""
    parts: list[tuple[np.ndarray, np.ndarray, Notes]] = []
    for row in rows:
        try:
            parts.append(source.noted_clips(epoch, row))
        except Exception as error:
            notes = [note for *_, part in parts for note in part] + getattr(error, NOTES, [])
            return {"error": _sendable(error), "notes": notes}
    return {"clips": parts[0] if len(parts) == 1 else _joined(parts)}


class _Unpickler(pickle.Unpickler):
    """Imports the whole package before it imports a module that is none of ours.

    A class of the caller's may load a network, when it is imported, unpickled or called, and in
    the caller's program the package is imported as well.
    """

    def find_class(self, module: str, name: str) -> Any:
        library = module.partition(".")[0]
        if library not in _WITHOUT_KERAS and library not in sys.stdlib_module_names:
            backend.import_package()
        return super().find_class(module, name)


def _sendable(error):
    """Return the error, or one of its text if it cannot be pickled."""
    with contextlib.suppress(Exception):
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")
