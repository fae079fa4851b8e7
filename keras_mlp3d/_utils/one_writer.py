"""One process at a time writes a file or a folder, where the system has locks.

The system takes a lock from a process that ends, however it ends.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from keras_mlp3d._utils.types import StrPath

#: Processes that a killed one has started may outlive it a little, and hold its lock.
_PATIENCE = 5.0  # seconds
_held: set[str] = set()


def is_writer(file: Any) -> bool:
    """Return whether this process may write an open file; False if another one does.

    Args:
        file: The file, or its number. It keeps the lock until it is closed.
    """
    try:
        import fcntl
    except ImportError:  # on Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextlib.contextmanager
def only_writer(folder: StrPath) -> Iterator[None]:
    """Keep other processes from writing a folder, within a `with`.

    Args:
        folder: The folder. It is made if it is missing, and removed in the end if it is empty then.

    Raises:
        ValueError: If another process writes the folder.
        OSError: If it cannot be made.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, only_writer(folder), only_writer(folder):
    ...     pass  # the same process may enter twice
    """
    name = os.path.realpath(folder)
    if name in _held:
        yield
        return
    new = not os.path.isdir(folder)
    os.makedirs(folder, exist_ok=True)
    try:
        with _locked(folder):
            _held.add(name)
            yield
    finally:
        _held.discard(name)
        if new:
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(folder)


@contextlib.contextmanager
def _locked(folder):
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:  # a system that opens no folders
        yield
        return
    try:
        end = time.monotonic() + _PATIENCE
        while not is_writer(number):
            if time.monotonic() > end:
                raise ValueError(
                    f"another process writes to {os.fspath(folder)!r}: wait for it, or use "
                    "another folder."
                )
            time.sleep(0.1)
        yield
    finally:
        os.close(number)
