"""What the commands tell their user: lines, errors, progress, exit codes.

All text that a command prints goes through `say`. It holds names from files, folders and presets of
others, which could otherwise steer the terminal by control characters.
"""

import contextlib
import json
import logging
import os
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from keras_mlp3d._utils.backend import BACKENDS, BackendError, install_line
from keras_mlp3d._utils.printable import one_line, shortened
from keras_mlp3d._utils.progress import Progress

PROGRAM = "keras-mlp3d"
SUCCESS, FAILURE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

#: Modules and loggers of the backends: their warnings are about themselves.
_LONGEST = 5000  # characters of an error
_BACKENDS = ("absl", "jax", "tensorflow", "torch")


def printable(text: object) -> str:
    """Return text with a space for each character that is not printable, also line breaks."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def say(text: object = "", *, error: bool = False, end: str = "\n") -> None:
    """Print one line.

    Args:
        text: The line. Line breaks and control characters in it become spaces.
        error: Whether it goes to standard error.
        end: What follows the text, as for `print`.
    """
    StatusLine.clear_all()
    print(printable(text), end=end, file=sys.stderr if error else sys.stdout, flush=True)


def note(text: object) -> None:
    """Print what is worth knowing and no error, as one line on standard error."""
    say(f"{PROGRAM}: note: {one_line(text)}", error=True)


def print_json(content: Any) -> None:
    """Print a value as readable JSON."""
    for line in json_lines(content):
        say(line)


def json_lines(content: Any) -> list[str]:
    """Return a value as lines of readable JSON; it is ASCII, with all else as escapes."""
    return json.dumps(content, indent=2, allow_nan=False).split("\n")


def print_error(error: object) -> None:
    """Print an error, or a message, as one line on standard error."""
    say(f"{PROGRAM}: error: {shortened(one_line(_explain(error)), _LONGEST)}", error=True)


def exit_code(error: Exception) -> int:
    """Return 2 for an error that other input would avoid, else 1."""
    bad = (
        *(ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError, FileExistsError),
        BackendError,
    )
    return BAD_INPUT if isinstance(error, bad) else FAILURE


def verbosity() -> int:
    """Return Keras's `verbose`: a bar on a terminal, a line per epoch in a log."""
    return 1 if sys.stdout.isatty() else 2


class StatusLine(Progress):
    """The line of a `Progress`, which `say` removes before it prints."""

    def __init__(self, unit: str = "", show: bool | None = None):
        super().__init__(unit, show)
        _LINES.add(self)

    @staticmethod
    def clear_all() -> None:
        """Remove the lines that are shown, if any."""
        for line in list(_LINES):
            line.clear()


_LINES: "weakref.WeakSet[StatusLine]" = weakref.WeakSet()


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print logged records and Python's warnings by `say` inside the `with`.

    Of the backends' loggers only errors are printed.
    """
    logger, handler = logging.getLogger(), _Lines(logging.WARNING)
    show = warnings.showwarning
    logger.addHandler(handler)
    warnings.showwarning = _showing(show)
    try:
        yield
    finally:
        warnings.showwarning = show
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in _BACKENDS and record.levelno < logging.ERROR:
            return
        level = record.levelname.lower()
        say(f"{PROGRAM}: {level}: {one_line(record.getMessage())}", error=True)


def _showing(before: Callable[..., None]) -> Callable[..., None]:
    """Return `warnings.showwarning` for the command; `before` gets what goes into a file."""

    def show(message, category, filename, lineno, file=None, line=None):
        if file is not None:
            before(message, category, filename, lineno, file, line)
        elif not filename.startswith(tuple(_folders_of_backends())):
            say(f"{PROGRAM}: warning: {one_line(message)}", error=True)

    return show


def _folders_of_backends() -> Iterator[str]:
    for name in _BACKENDS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            yield os.path.join(os.path.dirname(file), "")


def _explain(error: object) -> str:
    if isinstance(error, BackendError):  # its lines with a command each, as one sentence
        return str(error).replace("'\n  pip", "' or pip").replace("'\n", "'. ")
    if isinstance(error, ModuleNotFoundError) and error.name in BACKENDS:
        return f"{error.name} is not installed: {install_line(error.name)}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {os.fsdecode(error.filename)}"
        return ". ".join([text, *getattr(error, "__notes__", ())])  # what a full disk left whole
    if isinstance(error, str | ValueError | OSError | ImportError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


class JsonList:
    """Prints a JSON list item by item, so that no item is kept."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, item: Any) -> None:
        """Print the next item."""
        say("," if self._count else "[")
        *lines, last = json_lines(item)
        for line in lines:
            say(f"  {line}")
        say(f"  {last}", end="")
        self._count += 1

    def end(self) -> None:
        """Print the end of the list."""
        if self._count:
            say()
        say("]" if self._count else "[]")
