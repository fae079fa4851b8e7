"""What Ctrl-C and SIGTERM do while a command works."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """Graceful stop: the first Ctrl-C or SIGTERM sets a flag, the second kills.

    Calling it returns the flag.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopOnSignal":
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self._came

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_DFL)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise `KeyboardInterrupt` inside the `with`, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # only this one sets handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
