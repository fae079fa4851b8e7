"""Files that are whole or not there, and errors of writing that name the file.

Every file that the package writes goes through here: a full disk is reported by the name of the
file, whichever library was writing it, and what was in its place before stays.
"""

import contextlib
import errno
import os
import pathlib
import re

#: Errors of the disk and not of the name: full, over a quota or a limit, failing, read-only.
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


@contextlib.contextmanager
def naming(path, safe=None, stands_for=()):
    """Names a file in the errors of writing it.

    Libraries raise `OSError` without a name, with that of a temporary file, or with the number of
    the error in its text alone. An error that names another file passes as it is.

    Args:
        path: The file, as the user knows it.
        safe: None, or a sentence on what is still there, added as a note to an error of the disk.
        stands_for: Temporary files and folders that take the place of `path` for now.

    Raises:
        OSError: In place of an `OSError` inside, with the same number.
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
    """The name that the user knows for the file of an error; None if it is not one of ours."""
    if not isinstance(name, str | os.PathLike):
        return os.fspath(path)
    for ours in (path, *stands_for):
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
def written_beside(path, alone=False, ending="", safe=None):
    """Yields the path of a file next to `path`, which takes its place when all is written.

    If anything fails, an earlier file stays as it was and no part of the new one is left.

    Args:
        path: The file, a `pathlib.Path` or a text.
        alone: Whether no other process writes this file. What a kill left behind is then
            overwritten by the next try, and not left on the disk.
        ending: Ending that the name must have while it is written, such as ".weights.h5".
        safe: As for `naming`.

    Raises:
        OSError: If it cannot be written; it names `path`.
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


def write_whole(path, content, alone=False, safe=None):
    """Writes a file that is whole or not there.

    Args:
        path: The file, a `pathlib.Path` or a text.
        content: Bytes.
        alone: As for `written_beside`.
        safe: As for `naming`.

    Raises:
        OSError: If it cannot be written; it names `path`.
    """
    with written_beside(path, alone, safe=safe) as beside:
        beside.write_bytes(content)


def append(path, content, sync=False, safe=None):
    """Appends to a file all of the content or nothing.

    Args:
        path: The file; made if it is missing.
        content: Bytes.
        sync: Whether the content is on the disk when this returns.
        safe: As for `naming`.

    Raises:
        OSError: If it cannot be written; it names `path`, and the file is as it was.
    """
    path = pathlib.Path(path)
    with naming(path, safe):
        before = path.stat().st_size if path.exists() else None
        try:
            # Without a buffer, nothing is left that closing the file would write.
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


def reserve(path, size):
    """Raises the error of a full disk before a library begins to write that does not end it well.

    Does nothing on systems, and on disks, that cannot tell.

    Args:
        path: The file that will be written.
        size: Its bytes, about.

    Raises:
        OSError: If there is no place for them; it names `path`.
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
