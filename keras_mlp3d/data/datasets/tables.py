"""What the readers share: tables with line numbers, JSON, folders, and their errors."""

import csv
import io
import json
import os
import re

from keras_mlp3d.data.video import remote
from keras_mlp3d.data.video.remote import is_remote
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

_MAX_BYTES = 512 * 2**20
_SIMPLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")


def is_file(path):
    """Whether there is such a file, here or at an address."""
    return remote.is_file(path) if is_remote(path) else os.path.isfile(path)


def is_folder(path):
    """Whether there is such a folder, here or at an address."""
    return remote.is_folder(path) if is_remote(path) else os.path.isdir(path)


def checked_path(name, value, is_wanted, wanted):
    """`value` as a string, if `is_wanted` says that it is one; it may be remote."""
    if not isinstance(value, (str, os.PathLike)) or not is_remote(value):
        return local_path(name, value, is_wanted, wanted)
    value = os.fspath(value).rstrip("/")
    if not is_wanted(value):
        raise FileNotFoundError(f"`{name}` must be {wanted}: nothing of the kind is at {value}")
    return value


def local_path(name, value, is_wanted, wanted):
    """`value` as a string, if `is_wanted` (`os.path.isdir` or `isfile`) says that it is one."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"`{name}` must be a path, received {value!r}")
    value = os.fspath(value)
    if not is_wanted(value):
        if is_remote(value):
            raise ValueError(f"`{name}` must be {wanted} on this machine, received {value}")
        if os.path.exists(value):
            raise ValueError(f"`{name}` must be {wanted}, received {value}")
        raise FileNotFoundError(f"`{name}` must be {wanted}: {value} does not exist")
    return value


def table(path, delimiter=","):
    """Yields `(line, fields)` of a CSV file, empty lines left out."""
    with _open_text(path) as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for fields in rows:
                if fields:
                    yield rows.line_num, fields
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be UTF-8 text, and is not") from None
        except csv.Error as error:
            raise line_error(path, rows.line_num, f"is no CSV ({error})") from None


def records(path, required, optional=()):
    """Yields `(line, {column: text})` of a CSV file whose first line names the columns.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: Columns that may be there; None: any.
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


def load_json(path, kind):
    """The content of a JSON file, which must be a `kind` (`list` or `dict`)."""
    try:
        with _open_text(path) as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON file ({error})") from None
    if not isinstance(content, kind):
        name = {list: "a list", dict: "an object"}[kind]
        raise ValueError(f"{path} must hold {name}, and holds a {type(content).__name__}")
    return content


def first_file(folder, names):
    """The path of the first of `names` that stands in `folder`."""
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"{folder} must hold {' or '.join(names)}, and holds neither")


def line_error(path, line, what):
    """A ValueError about a line of a file, to be raised."""
    return ValueError(f"{path}, line {line} {what}")


def simple_name(path, line, what, text):
    """`text`, if it is a plain name that no path can be made of."""
    if not isinstance(text, str) or not _SIMPLE_NAME.fullmatch(text):
        raise line_error(
            path, line, f"has the {what} {text!r}; it must be letters, digits, '_' and '-'"
        )
    return text


def video_stems(folder):
    """{file name without suffix: [paths]} of all videos in a folder and below, hidden ones not."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                found.setdefault(stem, []).append(os.path.join(parent, name))
    return found


def checked_classes(class_names):
    """{name: label} of the classes in their order."""
    names = [class_names] if isinstance(class_names, str) else list(class_names)
    labels = {name: label for label, name in enumerate(names)}
    if not names or len(labels) < len(names) or isinstance(class_names, str):
        raise ValueError(
            f"`class_names` must be a list of distinct names, received {class_names!r}"
        )
    return labels


def _open_text(path):
    """A text file, which is read into memory if it is remote."""
    if is_remote(path):
        content = io.BytesIO(remote.read_bytes(path, max_bytes=_MAX_BYTES))
        return io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    size = os.path.getsize(path)
    if size > _MAX_BYTES:
        raise ValueError(f"{path} has {size} bytes, more than {_MAX_BYTES} are refused")
    return open(path, encoding="utf-8-sig", newline="")
