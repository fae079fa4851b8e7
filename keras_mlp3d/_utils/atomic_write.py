"""Writes files that are complete or absent, with errors that name the file.

The package writes every file through these functions: if the disk is full, the error names the
file, whatever library writes it, and an earlier file is not changed.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from keras_mlp3d._utils.types import StrPath

#: Errors of the disk, not of the name: full, over a quota or a limit, failing, read-only.
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


@contextlib.contextmanager
def naming(
    path: StrPath, safe: str | None = None, stands_for: Sequence[StrPath] = ()
) -> Iterator[None]:
    """Add the name of a file to errors when it is written.

    Libraries raise `OSError` without a name, with that of a temporary file, or with the number of
    the error in its text only. An error that names another file is not changed.

    Args:
        path: The file, as the user knows it.
        safe: None, or a sentence about what is not lost, added as a note to an error of the disk.
        stands_for: Temporary files and folders that are written instead of `path` at first.

    Raises:
        OSError: Instead of an `OSError` in the block, with the same number.
    """
    path = pathlib.Path(path)
    try:
        yield
    except OSError as error:
        final = _final_name(error.filename, path, stands_for)
        if final is None:
            raise
        named = _named(error, final)
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        if safe and named.errno in DISK_ERRORS:
            named.add_note(safe)
        raise named from error


def _final_name(name, path, stands_for):
    """Return the name that the user knows for the file of an error; None if it is not ours."""
    if not isinstance(name, str | os.PathLike):
        return os.fspath(path)
    for ours in (*stands_for, path):  # a temporary folder may be inside `path`
        with contextlib.suppress(ValueError):
            return os.fspath(path / pathlib.Path(name).relative_to(ours))
    return None


def _named(error, path):
    number = error.errno
    if number is None and (found := re.search(r"\berrno = (\d+)", str(error))):  # HDF5
        number = int(found[1])
    if number is None:
        return OSError(f"Cannot write {path!r}: {error}")
    return OSError(number, os.strerror(number), path)


@contextlib.contextmanager
def written_beside(
    path: StrPath, alone: bool = False, ending: str = "", safe: str | None = None
) -> Iterator[pathlib.Path]:
    """Yield the path of a temporary file next to `path`, which replaces it at the end.

    If anything fails, an earlier file is not changed, and the temporary file is removed.

    Args:
        path: The file.
        alone: Whether no other process writes this file. The next call then overwrites a temporary
            file that a killed process left.
        ending: Ending of the temporary file's name, such as ".weights.h5".
        safe: As for `naming`.

    Raises:
        OSError: If the file cannot be written. It names `path`.
    """
    path = pathlib.Path(path)
    owner = "" if alone else f".{os.getpid()}"
    beside = path.with_name(f".{path.name}{owner}.part{ending}")
    with naming(path, safe, [beside]):
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(path: StrPath) -> Iterator[pathlib.Path]:
    """Yield a new, empty folder next to `path`, which is removed at the end with what it holds.

    Args:
        path: The file or folder that is made in it, and then moved out.

    Raises:
        FileNotFoundError: If the folder of `path` does not exist.
        OSError: If no folder can be made there. It names `path`.
    """
    path = pathlib.Path(path)
    try:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        if path.parent.exists():
            raise _named(error, os.fspath(path)) from error
        reason = f"The folder {str(path.parent)!r} does not exist"
        raise FileNotFoundError(errno.ENOENT, reason, os.fspath(path)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_writable(path: StrPath) -> None:
    """Raise the error of `written_beside` now, before hours of work for the file.

    Args:
        path: The file. It is not touched.

    Raises:
        OSError: If it cannot be written. It names `path`.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path, None, [beside]):
        try:
            beside.touch()
        finally:
            beside.unlink(missing_ok=True)


def write_whole(
    path: StrPath, content: bytes, alone: bool = False, safe: str | None = None
) -> None:
    """Write a file that is complete or absent.

    Args:
        path: The file.
        content: Its content.
        alone: As for `written_beside`.
        safe: As for `naming`.

    Raises:
        OSError: If the file cannot be written. It names `path`.
    """
    with written_beside(path, alone, safe=safe) as beside:
        beside.write_bytes(content)


def append(path: StrPath, content: bytes, sync: bool = False, safe: str | None = None) -> None:
    """Append all of the content to a file, or nothing.

    Args:
        path: The file, created if it does not exist.
        content: Content to append.
        sync: Whether to wait until the content is on the disk.
        safe: As for `naming`.

    Raises:
        OSError: If it cannot be written. It names `path`, and the file is not changed.
    """
    path = pathlib.Path(path)
    with naming(path, safe):
        before = path.stat().st_size if path.exists() else None
        try:
            # Without a buffer, `close` has nothing left to write.
            with open(path, "ab", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                if sync:
                    os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    os.truncate(path, before)
            raise


def reserve(path: StrPath, size: int) -> None:
    """Raise the error of a full disk in advance, for libraries that handle it badly.

    It does nothing on systems and disks that cannot reserve space.

    Args:
        path: The file that will be written.
        size: Its approximate size in bytes.

    Raises:
        OSError: If there is not enough space. It names `path`.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    path = pathlib.Path(path)
    trial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path, stands_for=[trial]):
        try:
            with open(trial, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError as error:
            if error.filename is not None or error.errno in DISK_ERRORS:
                raise
        finally:
            trial.unlink(missing_ok=True)
