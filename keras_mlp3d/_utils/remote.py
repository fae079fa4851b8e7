"""Reads files at addresses such as `s3://bucket/a.mp4` through `tf.io.gfile`.

TensorFlow itself reads `gs://`, `file://` and `ram://`; tensorflow-io (`pip install
keras-mlp3d[io]`, on Python 3.11 and 3.12) adds `s3://`, `az://`, `http://` and `https://`.
Credentials come from the
environment: for S3, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and, for a server
other than Amazon's, `S3_ENDPOINT` with its `http://` or `https://`.
"""

import contextlib
import functools
import os
import sys

from keras_mlp3d._utils.tensorflow import load_tensorflow
from keras_mlp3d._utils.types import StrPath

#: Largest size in bytes of a remote file, which is held in memory.
MAX_REMOTE_BYTES = 2**30
_BUILT_IN = ("file", "ram")
#: What TensorFlow reads without tensorflow-io.
_TENSORFLOWS_OWN = (*_BUILT_IN, "gs")
_PYTHON = sys.version_info[:3]
#: From this Python on there is no tensorflow-io, so that pip installs nothing for the extra `io`.
_NO_TENSORFLOW_IO = (3, 13)


def is_remote(path: StrPath) -> bool:
    """Return whether a path is an address.

    Args:
        path: A string or a PathLike.

    Example:

    >>> is_remote("s3://bucket/a.mp4"), is_remote("clips/a.mp4")
    (True, False)
    """
    return "://" in os.fspath(path)


def read_bytes(
    path: StrPath, offset: int = 0, length: int | None = None, max_bytes: int = MAX_REMOTE_BYTES
) -> bytes:
    """Read a remote file, or a part of it.

    Args:
        path: The address.
        offset: Number of the first byte.
        length: Number of bytes, or None for all from `offset` on. At the end of the file, fewer
            are returned.
        max_bytes: Largest number of bytes that may be read.

    Raises:
        ImportError: If TensorFlow, or tensorflow-io if it is needed, is not installed.
        OSError: If the file cannot be read (`FileNotFoundError`: there is none), or has more than
            `max_bytes`.
    """
    with _errors(path) as gfile:
        if length is None:
            length = gfile.stat(path).length - offset
        if length > max_bytes:
            raise OSError(f"{path} has {length} bytes, more than {max_bytes} are refused")
        with gfile.GFile(path, "rb") as file:
            file.seek(offset)
            return file.read(max(length, 0))


def size(path: StrPath) -> int:
    """Return the size of a remote file in bytes. Errors are those of `read_bytes`.

    Args:
        path: The address.
    """
    with _errors(path) as gfile:
        return gfile.stat(path).length


def is_folder(path: str) -> bool:
    """Return whether an address is a folder that is not empty.

    Args:
        path: The address.
    """
    with _errors(path) as gfile:
        return gfile.isdir(_whole_address(path))


def is_file(path: str) -> bool:
    """Return whether an address is a file.

    Args:
        path: The address.
    """
    with _errors(path) as gfile:
        path = _whole_address(path)
        return gfile.exists(path) and not gfile.isdir(path)


def names_in(path: str) -> list[str]:
    """Return the sorted names of files and folders in a remote folder, without slashes.

    Args:
        path: The address.
    """
    with _errors(path) as gfile:
        return sorted({name.rstrip("/") for name in gfile.listdir(_whole_address(path))} - {""})


def _whole_address(path):
    """Add the slash that tensorflow-io needs after the name of a bucket."""
    return path if "/" in path.partition("://")[2] else f"{path}/"


@contextlib.contextmanager
def _errors(path):
    """Yield `tf.io.gfile` and turn TensorFlow's errors into Python's, with the file's name."""
    scheme = os.fspath(path).split("://")[0]
    tf = _tensorflow(scheme)
    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except tf.errors.UnimplementedError as error:
        raise ImportError(
            f"{path} cannot be read: {scheme}:// needs tensorflow-io, which is not installed or "
            f"does not know it: {_what_to_install(scheme)}"
        ) from error
    except tf.errors.OpError as error:
        raise OSError(f"{path} cannot be read ({error.message})") from error


@functools.cache
def _tensorflow(scheme):
    """Return TensorFlow, with the file systems of tensorflow-io if they may be needed."""
    tf = load_tensorflow(
        f"{scheme}:// needs TensorFlow, which is not installed: {_what_to_install(scheme)}"
    )
    if scheme not in _BUILT_IN:
        with contextlib.suppress(ImportError):
            import tensorflow_io  # noqa: F401  (registers its file systems)
    return tf


def _what_to_install(scheme):
    """Return the end of an error: the command, or that this Python has nothing to install."""
    if _PYTHON < _NO_TENSORFLOW_IO:
        return "pip install keras-mlp3d[io]"
    if scheme in _TENSORFLOWS_OWN:
        return "pip install keras-mlp3d[tensorflow]"
    return (
        f"there is no tensorflow-io for Python {'.'.join(map(str, _PYTHON))}, where the extra [io] "
        "is empty; use Python 3.11 or 3.12, or copy the files to a local folder"
    )
