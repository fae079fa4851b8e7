"""One line on standard error that shows how far a piece of work is."""

import os
import sys
import time
import unicodedata
from typing import Self

from keras_mlp3d._utils.printable import one_line

_BAR = 30  # characters of a full bar
_LABEL = 50  # characters of a label, of which the end is kept
_SECONDS_BETWEEN = 0.1
_CLEAR = "\r\033[K"


class Progress:
    """Shows one line that is overwritten as the work proceeds, and removed at its end.

    Call it with the work done and the total, as the `progress` arguments of this package do. As a
    context manager, it removes the line at the end of the block, so that no error is printed
    behind it.

    Args:
        unit: What is counted, in the plural, such as "videos".
        show: Whether to show the line. None: only if standard error is a terminal.

    Example:

    >>> with Progress("videos", show=False) as progress:
    ...     for done in range(1, 4):
    ...         progress(done, 3)
    """

    def __init__(self, unit: str = "", show: bool | None = None):
        self._unit = unit
        self._on = sys.stderr.isatty() if show is None else show
        self._start: tuple[float, int] | None = None  # of the first call: time, and work done
        self._last = 0.0
        self._visible = False

    def __call__(self, done: int, total: int | None = None, label: object = None) -> None:
        """Show how much is done.

        Args:
            done: Number of units done.
            total: Number of all units, or None if it is not known. A line without a label is
                removed when all is done.
            label: None for a bar with the time left, or what is worked on, such as a path: it is
                then shown after the count. Its control characters are left out.
        """
        if not self._on:
            return
        now = time.monotonic()
        self._start = self._start or (now, done)
        finished = total is not None and done >= total
        if self._visible and now - self._last < _SECONDS_BETWEEN and not finished:
            return
        count = str(done) if total is None else f"{done}/{total}"
        if label is not None:
            name = one_line(label)
            line = f"{count} {name if len(name) <= _LABEL else '…' + name[1 - _LABEL :]}"
        else:
            line = f"{self._bar(done, total)}{count} {self._unit}".rstrip()
            line += self._time_left(now, done, total)
        self._write(_CLEAR + _fitted(line, _columns() - 1))
        self._last, self._visible = now, True
        if finished and label is None:
            self.clear()

    def clear(self) -> None:
        """Remove the line; the next call shows it again."""
        if self._visible:
            self._write(_CLEAR)
            self._visible = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    @staticmethod
    def _bar(done: int, total: int | None) -> str:
        if not total:
            return ""
        full = _BAR * min(done, total) // total
        return f"[{'#' * full}{'.' * (_BAR - full)}] "

    def _time_left(self, now: float, done: int, total: int | None) -> str:
        if total is None or self._start is None:
            return ""
        # Since the first call: what came before it, such as a compilation, is no measure.
        start, before = self._start
        if done >= total:
            return ", 0 s left"
        if done <= before:
            return ""
        return f", {(now - start) * (total - done) / (done - before):.0f} s left"

    @staticmethod
    def _write(text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def _fitted(line: str, columns: int) -> str:
    """Return the line up to a number of columns: a wrapped one could not be removed."""
    width = 0
    for place, character in enumerate(line):
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width > columns:
            return line[:place]
    return line
