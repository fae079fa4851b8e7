"""What `peers.py` and `device.py` share: figures in a file, and processes that measure.

The figures are the cells of a JSON file, which is written whole after each change. A run that was
stopped, or that measured a part, is resumed: a finished cell is not measured again.
"""

import contextlib
import json
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata

#: How clips are named on the command line and in the files: frames x height x width.
SIZE = re.compile(r"(\d+)x(\d+)x(\d+)")

#: A line with an error, as Python ends a traceback.
ERROR = re.compile(r"^(\[rank\d+\]: ?)?[\w.]*(Error|Exception): ")


class Stopped(Exception):
    """A measuring process ended without an answer. The text says how."""


class Results:
    """The cells of a JSON file, with the machine that they were measured on.

    Args:
        path: The file. It is read if it exists.
        machine: Dict of text and numbers: machine, versions and settings.

    Raises:
        ValueError: If the file has figures of another machine, or is none of these files.
    """

    def __init__(self, path, machine):
        self.path, self.machine, self.cells = pathlib.Path(path), machine, {}
        if not self.path.exists():
            return
        found = read(self.path)
        # A library that was added later changes no figure.
        other = [
            f"{name} {found['machine'][name]} there and {machine[name]} here"
            for name in machine
            if found["machine"].get(name) is not None
            and machine[name] is not None
            and found["machine"][name] != machine[name]
        ]
        if other:
            raise ValueError(
                f"{self.path} has figures of another machine or other settings: "
                f"{'; '.join(other)}. Give another --output, or move the file away."
            )
        self.machine = {**found["machine"], **{k: v for k, v in machine.items() if v is not None}}
        self.cells = found["cells"]

    def save(self):
        """Write the file."""
        from keras_mlp3d._utils.atomic_write import write_whole

        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": self.machine, "cells": self.cells}
        write_whole(self.path, (json.dumps(content, indent=1) + "\n").encode())


def read(path):
    """Return {"machine": {...}, "cells": {...}} of a file.

    Raises:
        ValueError: If there is no such file, or it is not one that `Results` wrote.
    """
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if not all(isinstance(found[name], dict) for name in ("machine", "cells")):
            raise TypeError
    except OSError as error:
        raise ValueError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is not a file of figures that this program wrote.") from None
    return found


class Child:
    """A process that answers requests, a line of JSON each, by `serve`.

    Args:
        command: List of the program and its arguments.
        variables: Environment variables to set.
        limit: None, or seconds after which a process that does not answer is killed.
    """

    def __init__(self, command, variables=None, limit=None):
        self.limit, self.late = limit, False
        # Its own file: nobody reads a pipe while the process works.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def ask(self, **request):
        """Return the answer to a request.

        Raises:
            Stopped: If the process has ended.
        """
        timer = threading.Timer(self.limit or threading.TIMEOUT_MAX, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except (OSError, ValueError):  # its end of the pipe, or ours, is closed
            line = ""
        finally:
            timer.cancel()
        if not line.strip():
            self.close()
            raise Stopped(f"no answer within {self.limit} s" if self.late else self.ended)
        return json.loads(line)

    def _give_up(self):
        self.late = True
        self.process.kill()

    def close(self):
        """End the process; `ended` is then how."""
        if self.errors.closed:
            return
        with contextlib.suppress(OSError):  # it has ended, with a request unread
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.ended = how_it_ended(self.process.returncode, self.errors)
        self.errors.close()


def how_it_ended(code, errors):
    """Return a text on a process that ended: signal or exit code, and last error or line."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", as systems do when memory runs out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    from keras_mlp3d._utils.printable import one_line

    errors.seek(0)
    lines = [one_line(line) for line in errors if line.strip()] or ["no message"]
    # torchrun writes more after the error of a process, and a name before it.
    last = [line for line in lines if ERROR.search(line)] or lines
    return f"exit code {code}: {last[-1][:300]}"


def serve(handle):
    """Answer requests from the standard input with what a function returns for them.

    Args:
        handle: Takes a request and returns a dict that JSON knows. If it raises an error, the
            answer is `{"error": text}`.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        try:
            answer = handle(json.loads(line))
        except Exception as error:
            answer = {"error": text_of(error)}
        print(json.dumps(answer), file=answers, flush=True)


def text_of(error):
    """Return an error in one line that is not too long for a table."""
    from keras_mlp3d._utils.printable import one_line

    return one_line(f"{type(error).__name__}: {error}")[:300]


def peak_memory():
    """Return the largest resident memory of this process so far, in bytes."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    except (OSError, TypeError):  # no Linux: the parent's memory may count there
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def processor():
    """Return the name of this machine's processor, as Linux says it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    names = [line.split(":", 1)[1] for line in text.splitlines() if line.startswith("model name")]
    return (names or [platform.processor()])[0].strip()


def version(name):
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def size_of(text):
    """Return (frames, height, width) of a text such as 16x224x224.

    Raises:
        ValueError: If it is none.
    """
    found = SIZE.fullmatch(text)
    if not found or "0" in found.groups():
        raise ValueError(f"{text!r} is not a size: give FRAMESxHEIGHTxWIDTH, such as 16x224x224.")
    return tuple(map(int, found.groups()))


def spread(values, form=".2f"):
    """Return the median and extremes, as text."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({least:{form}} to {most:{form}})"


def in_turn(runs, rounds):
    """Return {name: seconds of each round} of {name: function of the round's number}.

    A round before the first compiles and warms up.
    """
    seconds = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run(number)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds
