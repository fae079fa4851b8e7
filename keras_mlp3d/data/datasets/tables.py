"""Reads the files of data sets: tables with line numbers, JSON, folders; and their errors."""

import codecs
import csv
import io
import json
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils import remote
from keras_mlp3d._utils.checks import is_no_list
from keras_mlp3d._utils.remote import is_remote
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

_MAX_BYTES = 512 * 2**20
_SIMPLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
# Without hours, there may be more than 59 minutes.
_CLOCK = re.compile(r"(?:([0-9]{1,6}):(?=[0-5]?[0-9]:))?([0-9]{1,6}):([0-5]?[0-9](?:\.[0-9]*)?)")
_OTHER_BYTES = re.compile("[\udc80-\udcff]")  # bytes after `surrogateescape`
# First bytes of files that are no UTF-8 text, and the names of their formats.
_OTHER_FORMATS = (
    (codecs.BOM_UTF32_LE, "UTF-32 text"),
    (codecs.BOM_UTF32_BE, "UTF-32 text"),
    (codecs.BOM_UTF16_LE, "UTF-16 text"),
    (codecs.BOM_UTF16_BE, "UTF-16 text"),
    (b"PK\x03\x04", "a ZIP file, as Excel workbooks are"),
    (b"\x1f\x8b", "a gzip file"),
)


def is_file(path: str) -> bool:
    """Return whether there is such a file, local or remote."""
    return remote.is_file(path) if is_remote(path) else os.path.isfile(path)


def is_folder(path: str) -> bool:
    """Return whether there is such a folder, local or remote."""
    return remote.is_folder(path) if is_remote(path) else os.path.isdir(path)


def checked_path(name: str, value: StrPath, is_wanted: Callable[[str], bool], wanted: str) -> str:
    """Return a path, local or remote, as a string.

    Args:
        name: Name of the argument, for errors.
        value: What the caller passed.
        is_wanted: Function that returns whether the path is of the right kind.
        wanted: That kind, as text.
    """
    if not isinstance(value, (str, os.PathLike)) or not is_remote(value):
        return local_path(name, value, is_wanted, wanted)
    value = os.fspath(value).rstrip("/")
    if not is_wanted(value):
        raise FileNotFoundError(f"{name} must be {wanted}: there is none at {value}.")
    return value


def local_path(name: str, value: StrPath, is_wanted: Callable[[str], bool], wanted: str) -> str:
    """Return a local path as a string. Arguments are those of `checked_path`."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"{name} must be a path, got {value!r}.")
    value = os.fspath(value)
    if not is_wanted(value):
        if is_remote(value):
            raise ValueError(f"{name} must be {wanted} on this machine, got {value}.")
        if os.path.exists(value):
            raise ValueError(f"{name} must be {wanted}, got {value}.")
        raise FileNotFoundError(f"{name} must be {wanted}: {value} does not exist.")
    return value


def table(
    path: str, delimiter: str = ",", other_bytes: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line, fields)` of a CSV file, without empty lines.

    Args:
        path: The file, UTF-8, local or remote.
        delimiter: Separator of fields. Several spaces in a row count as one.
        other_bytes: Whether fields may hold bytes that are not UTF-8, as from `os.fsdecode`.
    """
    spaces = delimiter == " "
    with _open_text(path, "surrogateescape") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=spaces)
        try:
            for fields in rows:
                if spaces and fields and not fields[-1]:
                    del fields[-1]
                if not other_bytes:
                    for field in fields:
                        check_text(path, rows.line_num, field)
                if any(field.strip() for field in fields):
                    yield rows.line_num, fields
        except csv.Error as error:
            raise line_error(path, rows.line_num, f"is no CSV ({error})") from None


def check_text(path: str, line: int, field: str) -> None:
    """Raise an error for a field that is not UTF-8."""
    if not field.isascii() and _OTHER_BYTES.search(field):
        raise ValueError(
            f"{path} must be UTF-8 text, and line {line} is not: {field!r}; save it as UTF-8"
        )


def composed(text: str) -> str:
    """Return text in Unicode's composed form (NFC): the same letters become the same string."""
    return unicodedata.normalize("NFC", text)


def is_null(value: Any) -> bool:
    """Return whether a field in memory is empty: None, not a number, pandas' `NA` and `NaT`."""
    return (
        value is None
        or (isinstance(value, (float, np.floating)) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    )


def records(
    path: str, required: Sequence[str], optional: Sequence[str] | None = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield `(line, {column: text})` of a CSV file whose first line names the columns.

    Args:
        path: The file.
        required: Required columns.
        optional: Further columns that are allowed; None for any.
    """
    columns = None
    for line, fields in table(path):
        if columns is None:
            columns = [field.strip() for field in fields]
            _check_columns(path, line, columns, required, optional)
        elif len(fields) != len(columns):
            what = f"must have {len(columns)} fields, as the first line has, and has {len(fields)}"
            raise line_error(path, line, what)
        else:
            yield line, dict(zip(columns, fields, strict=True))
    if columns is None:
        raise ValueError(f"{path} is empty; its first line must be {','.join(required)}")


def _check_columns(path, line, columns, required, optional):
    missing = [name for name in required if name not in columns]
    unknown = [] if optional is None else sorted({*columns} - {*required, *optional})
    twice = sorted({name for name in columns if columns.count(name) > 1})
    for words, names in (
        ("lacks the", missing),
        ("has the unknown", unknown),
        ("repeats the", twice),
    ):
        if names:
            extra = f"[,{','.join(optional)}]" if optional else ""
            raise line_error(
                path,
                line,
                f"{words} columns {names}; expected is {','.join(required)}{extra}",
            )


def seconds_from_text(name: str, text: str | None) -> float | None:
    """Return the seconds in `62.5`, `1:02.5` or `00:01:02.5`, or None if the text is empty.

    Args:
        name: Name of the value in errors.
        text: The text, or None.
    """
    if text is None or not text.strip():
        return None
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        hours, minutes, seconds = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
    try:
        if "_" in text:
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(
            f"{name} must be seconds as a number, such as 62.5, or hh:mm:ss, such as 00:01:02.5, "
            f"got {text!r}."
        ) from None


def load_json(path: str, kind: type[list] | type[dict]) -> Any:
    """Return the content of a JSON file, which must be a `kind` (`list` or `dict`)."""
    try:
        with _open_text(path) as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON file ({error})") from None
    if not isinstance(content, kind):
        name = "a list" if kind is list else "an object"
        raise ValueError(f"{path} must hold {name}, and holds a {type(content).__name__}")
    return content


def first_file(folder: StrPath, names: Sequence[str]) -> str:
    """Return the path of the first of `names` that is in `folder`."""
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"{folder} must hold {' or '.join(names)}, and holds neither")


def line_error(path: str, line: int, what: str) -> ValueError:
    """Return the error about a line of a file."""
    return ValueError(f"{path}, line {line} {what}")


def simple_name(path: str, line: int, what: str, text: Any) -> str:
    """Return `text` if it is a simple name without slashes or dots."""
    if not isinstance(text, str) or not _SIMPLE_NAME.fullmatch(text):
        raise line_error(
            path, line, f"has the {what} {text!r}; it must be letters, digits, '_' and '-'"
        )
    return text


def video_stems(folder: str) -> dict[str, list[str]]:
    """Return {file name without ending: [paths]} of all videos in a folder and below it.

    Links to folders are followed, and each folder is looked at once.
    """
    found, seen = {}, set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders[:] = []
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                found.setdefault(stem, []).append(os.path.join(parent, name))
    return found


def checked_classes(class_names: Sequence[str]) -> dict[str, int]:
    """Return {name: label} of the classes in their order, the names composed."""
    names = [] if is_no_list(class_names) else list(class_names)
    labels = {
        composed(name) if isinstance(name, str) else name: label for label, name in enumerate(names)
    }
    if not names or len(labels) < len(names):
        raise ValueError(f"class_names must be a list of distinct names, got {class_names!r}.")
    return labels


def _open_text(path, errors="strict"):
    """Open a text file. A remote file is read into memory."""
    if is_remote(path):
        file = io.BytesIO(remote.read_bytes(path, max_bytes=_MAX_BYTES))
    else:
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise ValueError(f"{path} has {size} bytes, more than {_MAX_BYTES} are refused")
        file = open(path, "rb")  # noqa: SIM115 (the caller closes the text file)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors=errors, newline="")
    try:
        _check_format(path, file.read(64))
        file.seek(0)
    except BaseException:
        text.close()
        raise
    return text


def _check_format(path, start):
    """Raise an error if the first bytes of a file are not those of UTF-8 text."""
    found = next((what for mark, what in _OTHER_FORMATS if start.startswith(mark)), None)
    # In UTF-16 without a mark, every other byte of plain text is zero.
    if found is None and start.count(0) > len(start) // 4:
        found = "UTF-16 text or no text at all"
    if found:
        raise ValueError(f"{path} must be UTF-8 text, and is {found}; save it as UTF-8")
