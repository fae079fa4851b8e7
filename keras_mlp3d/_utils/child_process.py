"""A child process that answers calls. Its parent survives when it hangs or crashes.

`multiprocessing` is not used: a spawned child first runs the caller's main script, and a forked
child inherits the locks of threads that it does not have. Here the child runs a program of ours,
and the processes exchange lines of JSON.
"""

import _thread
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

from keras_mlp3d._utils.backend import WITHOUT_KERAS

_START_SECONDS = 300  # for the imports of the child, on a very busy machine
_BEAT_SECONDS = 0.25
_BEAT = b"\n"
_READY, _CLOSED = "ready", "it was closed"
_STARTER = """
import json, sys
setup = json.loads(sys.stdin.buffer.readline())
sys.path[:] = setup["path"]
try:
    exec(compile(setup["program"], "<child>", "exec"), {"__name__": "__main__"})
except Exception as error:
    print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""


class ChildError(Exception):
    """The child did not answer a call. The next call starts another child."""


class ChildStuck(ChildError):
    """The child made no progress within the limit and was killed."""


class ChildCrashed(ChildError):
    """The child ended during the call. The text says how."""


class ChildProcess:
    """Calls a function in a child process, which is started by the first call.

    The child makes progress while its main thread returns to Python from time to time. A call into
    a library that does not return is a hang, even if it uses the processor.

    Args:
        program: Python source of the child: imports, then `serve(function)`.
        patience: Seconds without progress after which the child is killed.
    """

    def __init__(self, program: str, patience: float):
        self._program, self._patience = program, patience
        self._lock, self._process, self._lines, self._closed = threading.Lock(), None, None, False

    def call(self, arguments: dict[str, Any], data: bytes | None = None) -> Any:
        """Return the result of the function for keyword arguments.

        Args:
            arguments: Dict of values that JSON knows.
            data: None, or bytes that are passed as the argument `data`.

        Raises:
            ChildStuck: If the call hangs.
            ChildCrashed: If the child ends during the call, also by `close`.
            RuntimeError: If no child can be started.
        """
        process = self._process or self._start()
        size = None if data is None else len(data)
        _send(process, {"arguments": arguments, "size": size}, data)
        return self._answer(self._patience)

    def close(self) -> None:
        """Kill the child. No other is started. May be called from another thread."""
        with self._lock:
            self._closed = True
        self._end()

    def _start(self):
        setup = {
            "path": [entry or os.getcwd() for entry in sys.path],
            "program": self._program,
        }
        with self._lock:
            if self._closed:
                raise ChildCrashed(_CLOSED)
            try:
                process = self._process = subprocess.Popen(
                    [sys.executable, *WITHOUT_KERAS, "-c", _STARTER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in a terminal is for the parent
                )
            except OSError as error:
                raise RuntimeError(f"cannot start a process: {error}") from error
            self._lines = queue.SimpleQueue()
            reader = threading.Thread(
                target=_read_lines, args=(process.stdout, self._lines), daemon=True
            )
            reader.start()
        _send(process, setup)
        try:
            answer = self._answer(_START_SECONDS)
        except ChildError as error:
            if self._closed:
                raise
            answer = str(error)
        if answer != _READY:
            self._end()
            raise RuntimeError(f"cannot start a process of {sys.executable}: {answer}")
        return process

    def _answer(self, patience):
        while True:
            try:
                line = self._lines.get(timeout=patience)
            except queue.Empty:
                self._end()
                raise ChildStuck(f"no progress for {patience:g} s") from None
            if line is None:
                raise ChildCrashed(self._end(grace=1))
            if line != _BEAT:
                return json.loads(line)

    def _end(self, grace=0):
        """Kill the child if it still runs after `grace` seconds, and return how it ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return _CLOSED
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        process.kill()
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for a device and cannot be killed
            return "it cannot be killed"
        return how_it_ended(code)


def how_it_ended(code: int) -> str:
    """Return what the exit code of a process says, such as "SIGKILL".

    Example:

    >>> how_it_ended(2), how_it_ended(-9)
    ('exit code 2', 'SIGKILL')
    """
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _send(process, content, data=None):
    with contextlib.suppress(OSError, ValueError):  # it has ended, so there will be no answer
        process.stdin.write(json.dumps(content).encode("ascii") + b"\n")
        if data is not None:
            process.stdin.write(data)
        process.stdin.flush()


def _read_lines(pipe, lines):
    # In a thread, as not every system can wait for a pipe with a time limit.
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def serve(function: Callable[..., Any]) -> None:
    """Answer the parent's calls with the results of a function, until the parent ends.

    Args:
        function: Takes the arguments of a call and returns a value that JSON knows. It must not
            raise an error.
    """
    calls, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # the output of libraries is no answer
        os.dup2(nothing, stream)
    state = types.SimpleNamespace(busy=False)

    def beat(*_):
        if state.busy:
            os.write(answers, _BEAT)

    # Python runs a signal's handler in the main thread, between two bytecodes: if that thread is
    # stuck in a library, the parent gets no beat.
    signal.signal(signal.SIGINT, beat)
    threading.Thread(target=_beat_and_watch, daemon=True).start()
    _write(answers, _READY)
    for line in calls:
        call = json.loads(line)
        arguments = call["arguments"]
        if call["size"] is not None:
            arguments["data"] = calls.read(call["size"])
        state.busy = True
        answer = function(**arguments)
        state.busy = False
        _write(answers, answer)


def _beat_and_watch():
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_BEAT_SECONDS)
        _thread.interrupt_main()
    os._exit(1)


def _write(pipe, content):
    data = json.dumps(content).encode("ascii") + b"\n"
    while data:
        data = data[os.write(pipe, data) :]
