"""Detects the separator, the header and the columns of a CSV of videos."""

import dataclasses
import itertools
import logging
import re
import shlex
from collections.abc import Callable, Iterator

from keras_mlp3d.data.datasets.tables import check_text, line_error, table

_logger = logging.getLogger("keras_mlp3d")

#: Separators of the fields of a line, by name, in the order in which they are tried.
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}
#: Columns of a row. The last three are optional.
COLUMNS = ("path", "label", "start", "end", "split")
_REQUIRED = COLUMNS[:2]
_EXPECTED = "path,label[,start,end]"
# Names that may mean a column: an error suggests them.
_OTHER_NAMES = {
    "path": "file filename file_name filepath file_path video video_path video_file clip uri url",
    "label": "class classname class_name category action target y label_id class_id label_name",
    "start": "start_time time_start start_s start_sec start_seconds t_start t0 begin onset",
    "end": "end_time time_end end_s end_sec end_seconds t_end t1 stop offset",
    "split": "subset partition",
}
_MEANINGS = {
    "start": "the second at which the video's part begins",
    "end": "the second at which the video's part ends",
    "split": "the split that a row belongs to",
}
_SAMPLE_LINES = 50


@dataclasses.dataclass(frozen=True)
class Layout:
    """Layout of a table.

    Args:
        separator: The character between fields.
        header: Whether the first line names the columns.
        places: {column: its place in a line, from 0}.
        width: Number of fields per line.
    """

    separator: str
    header: bool
    places: dict[str, int]
    width: int


def read_columns(
    path: str,
    is_video: Callable[[str], bool],
    columns: dict[str, str | int] | None = None,
    separator: str | None = None,
    header: bool | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a table of videos, as `(line, {column: text})`.

    Args:
        path: The file, local or remote.
        is_video: Function that returns whether a field can only be a video: a first line with a
            video is no header.
        columns: None, or {column: its name in the first line, or its number from 1}.
        separator: None to detect it, a key of `SEPARATORS`, or its character.
        header: Whether the first line names the columns, or None to detect it.

    Raises:
        ValueError: If an argument is not as above, or the table has no such columns. The error says
            what was found and what to pass.
    """
    wanted, given = _checked_columns(columns), set(columns or ())
    if header not in (None, True, False):
        raise ValueError(f"header must be True, False or None (to detect it), got {header!r}.")
    layout = _find_layout(path, is_video, wanted, given, _checked_separator(separator), header)
    lines = table(path, layout.separator, other_bytes=True)
    for line, fields in itertools.islice(lines, int(layout.header), None):
        if len(fields) != layout.width:
            what = f"must have {layout.width} fields, as the first line has, and has {len(fields)}"
            if layout.separator == " ":
                what += "; a path with spaces must be in double quotes"
            raise line_error(path, line, what)
        yield line, {name: fields[place] for name, place in layout.places.items()}


def _checked_columns(columns):
    """Return {column: name or place from 0} of the columns to look for."""
    wanted = {name: name for name in COLUMNS}
    if columns is None:
        return wanted
    if not isinstance(columns, dict) or not columns:
        raise ValueError(
            "columns must be a dictionary such as {'path': 'file', 'label': 'class'}, got "
            f"{columns!r}"
        )
    for name, value in columns.items():
        if name not in COLUMNS:
            raise ValueError(f"columns must have keys among {list(COLUMNS)}, got {name!r}.")
        number = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not number and not (isinstance(value, str) and value.strip()):
            raise ValueError(
                f"columns must give {name!r} the name of a column, or its number from 1, "
                f"got {value!r}."
            )
        wanted[name] = value - 1 if number else value.strip()
    # A column that is passed under another name is not read a second time under its own.
    for name in COLUMNS[2:]:
        if name not in columns and name in [wanted[given] for given in columns]:
            del wanted[name]
    if len({*wanted.values()}) < len(wanted):
        raise ValueError(f"columns must name different columns, got {columns!r}.")
    return wanted


def _checked_separator(separator):
    if separator is None:
        return tuple(SEPARATORS.values())
    character = SEPARATORS.get(separator, separator) if isinstance(separator, str) else None
    if character not in SEPARATORS.values():
        raise ValueError(
            f"separator must be one of {list(SEPARATORS)}, or None to detect it, got {separator!r}."
        )
    return (character,)


# Finding ---------------------------------------------------------------------------------------


def _find_layout(path, is_video, wanted, given, separators, header):
    samples = {separator: _sample(path, separator) for separator in separators}
    samples = {separator: lines for separator, lines in samples.items() if lines}
    if not samples:
        next(table(path, separators[0], other_bytes=True), None)  # raises what is wrong with it
        raise ValueError(f"{path} is empty; its first line must be {_EXPECTED} or a video")
    names = {name for name in (*_REQUIRED, *given) if isinstance(wanted[name], str)}
    layout = None
    if header is True or (header is None and names):
        layout = _by_header(path, samples, wanted, given, sure=header is True)
    if layout is None and not names & given:
        layout = _by_place(path, samples, wanted, given, is_video, sure=header is False)
        # By number only: a first line without a video, before a line with one, is a header.
        if layout is None and not names and _second_is_video(samples, wanted["path"], is_video):
            layout = _by_header(path, samples, wanted, given, sure=True)
    if layout is None:
        raise _not_found(path, samples, wanted, given, is_video)
    return layout


def _second_is_video(samples, place, is_video):
    seconds = [lines[1][1] for lines in samples.values() if len(lines) > 1]
    return any(place < len(fields) and is_video(fields[place]) for fields in seconds)


def _sample(path, separator):
    """Return the first lines, up to an unreadable one, split at a separator: `[(line, fields)]`."""
    lines = []
    try:
        for line in itertools.islice(table(path, separator, other_bytes=True), _SAMPLE_LINES):
            lines.append(line)
    except ValueError:
        pass
    return lines


def _by_header(path, samples, wanted, given, sure):
    """Return the layout of a table whose first line names the columns, or None if it does not."""
    needed = [name for name in COLUMNS if name in {*_REQUIRED, *given}]
    found = {}
    # Names of columns may contain spaces, but no other separator.
    if any(len(lines[0][1]) > 1 for separator, lines in samples.items() if separator != " "):
        samples = {separator: lines for separator, lines in samples.items() if separator != " "}
    for separator, lines in samples.items():
        places = _places(lines[0][1], wanted)
        alike = len({len(fields) for _, fields in lines}) == 1
        found[separator] = sum(bool(places[name]) for name in needed), alike
    separator = max(found, key=found.get)
    (line, fields), *rest = samples[separator]
    places = _places(fields, wanted)
    by_name = [name for name in needed if isinstance(wanted[name], str)]
    if not any(places[name] for name in by_name) and not sure:
        return None
    missing = [wanted[name] for name in needed if not places[name]]
    if missing:
        _check_texts(path, line, fields)
        missing = [name + 1 if isinstance(name, int) else name for name in missing]
        raise line_error(path, line, f"lacks the columns {missing}; {_advice(fields, separator)}")
    twice = sorted(str(wanted[name]) for name in places if len(places[name]) > 1)
    if twice:
        raise line_error(path, line, f"repeats the columns {twice}; expected is {_EXPECTED}")
    # Programs such as R write the numbers of the lines as a column without a name.
    first = rest[0][1] if rest else fields
    shift = int(len(first) == len(fields) + 1 and first[0].strip().isdecimal())
    places = {name: place[0] + shift for name, place in places.items() if place}
    _warn_of_ignored(path, fields, places)
    return Layout(separator, True, places, len(fields) + shift)


def _places(fields, wanted):
    """Return {column: [places]} of the wanted columns; names in the same case have priority."""
    names = [field.strip() for field in fields]
    folded = [name.casefold() for name in names]
    found = {}
    for column, value in wanted.items():
        if isinstance(value, int):
            found[column] = [value] if value < len(names) else []
            continue
        same = [place for place, name in enumerate(names) if name == value]
        value = value.casefold()
        found[column] = same or [place for place, name in enumerate(folded) if name == value]
    return found


def _by_place(path, samples, wanted, given, is_video, sure):
    """Return the layout of a table without a header, or None if its first line may be one."""
    best = None
    for order, (separator, lines) in enumerate(samples.items()):
        fields = lines[0][1]
        width = len(fields)
        if given:
            places = {name: wanted[name] for name in given}
            videos = [places["path"]] if "path" in places else []
        else:
            index = width > 2 and fields[0].strip().isdecimal() and is_video(fields[1])
            places = {"path": int(index), "label": 1 + int(index)}
            videos = [places["path"]]
        if width < 2 or any(place >= width for place in places.values()):
            continue
        looks = any(is_video(fields[place]) for place in videos)
        alike = all(len(others) == width for _, others in lines)
        score = looks, alike, -order
        if best is None or score > best[0]:
            best = score, Layout(separator, False, places, width)
    if best is None or not (sure or best[0][0]):
        return None
    layout = best[1]
    line, fields = samples[layout.separator][0]
    missing = [name for name in _REQUIRED if name not in layout.places]
    if missing:
        raise line_error(
            path, line, f"names no columns; columns must then give the numbers of {missing} too"
        )
    if not given and layout.width - layout.places["path"] > 2:
        raise line_error(path, line, _too_wide(fields, layout))
    return layout


def _too_wide(fields, layout):
    first = layout.places["path"]
    rest = [field.strip() for field in fields[first + 1 :]]
    like = {"path": first + 1, "label": first + 2}
    if len(rest) == 2 and all(re.fullmatch("-?[0-9]+", field) for field in rest):
        like["label"] = first + 3  # lists of `folder frames label`
    elif all(re.fullmatch("[0-9:.]*", field) for field in rest[1:3]):
        like |= {
            name: first + 3 + place for place, name in enumerate(COLUMNS[2 : min(len(rest), 3) + 1])
        }
    return (
        f"holds {len(fields)} fields and no header tells them apart: {_shown(fields)}; give the "
        f"numbers of the columns, such as {_asked(like)}"
    )


# Errors ----------------------------------------------------------------------------------------


def _not_found(path, samples, wanted, given, is_video):
    """Return the error for a table of which neither the header nor the columns were found."""
    most = max(samples, key=lambda one: (len(samples[one][0][1]) > 1) * (1 + (one != " ")))
    line, fields = samples[most][0]
    _check_texts(path, line, fields)
    asked = [wanted[name] for name in COLUMNS if name in {*_REQUIRED, *given}]
    asked = [value + 1 if isinstance(value, int) else value for value in asked]
    videos = [number for number, field in enumerate(fields, start=1) if is_video(field)]
    if videos and len(fields) > 1:
        others = [number for number in range(1, len(fields) + 1) if number not in videos]
        like = {"path": videos[0], "label": (others or [videos[-1]])[0]}
        advice = (
            f"found, separated by {_name(most)}, is {_shown(fields)}; if no line names the "
            f"columns, give their numbers, such as {_asked(like)}"
        )
    else:
        advice = _advice(fields, most)
        if not given and len(fields) > 1:
            advice += "; if no line names the columns, give header=False (--no-header)"
    return line_error(path, line, f"does not have the columns {asked}; {advice}")


def _check_texts(path, line, fields):
    for field in fields:
        check_text(path, line, field)


def _name(separator):
    return next(name for name, character in SEPARATORS.items() if character == separator)


def _advice(fields, separator):
    """Return what was found in a first line and what to pass, as text."""
    names = [field.strip() for field in fields]
    found = f"expected is {_EXPECTED}; found, separated by {_name(separator)}, is {_shown(names)}"
    guesses = {}
    for column, others in _OTHER_NAMES.items():
        known = [name for name in names if name.casefold() in (column, *others.split())]
        if known and known[0].casefold() != column:
            guesses[column] = known[0]
    if len(fields) < 2:
        return f"{found}: the separator is another one, or a line holds no more than a video"
    return f"{found}; give the columns' names, such as {_asked(guesses or _EXAMPLE)}"


_EXAMPLE = {"path": "file", "label": "class"}


def _asked(columns):
    """Return how to pass columns, in Python and on the command line."""
    option = ",".join(f"{name}={value}" for name, value in columns.items())
    return f"columns={columns} (--columns {shlex.quote(option)})"


def _shown(fields):
    shown = [field if len(field) <= 40 else f"{field[:37]}..." for field in fields[:8]]
    return f"{shown}" + (f" and {len(fields) - 8} more" if len(fields) > 8 else "")


def _warn_of_ignored(path, fields, places):
    """Warn of columns that others name otherwise, as whole videos or all splits would be read."""
    names = [field.strip() for field in fields]
    for column, meaning in _MEANINGS.items():
        others = [name for name in names if name.casefold() in _OTHER_NAMES[column].split()]
        if column not in places and others:
            _logger.warning(
                "%s: the column %r is ignored; if it is %s, give %s",
                path, others[0], meaning, _asked({column: others[0]}),
            )  # fmt: skip
