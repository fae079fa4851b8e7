"""The options of every command that reads a data set, and the reading."""

import argparse
import os

_TABLE = ("columns", "separator", "header")


def add_manifest_options(parser):
    """Adds --columns, --separator, --header and --class-names.

    Args:
        parser: The parser of a command.
    """
    group = parser.add_argument_group("CSV files (.csv, .tsv, .txt) and classes")
    group.add_argument(
        "--columns",
        type=_columns,
        metavar="NAME=COLUMN,...",
        help="columns by name or by number from 1, such as path=file,label=class; also start, end",
    )
    group.add_argument(
        "--separator",
        choices=("comma", "semicolon", "tab", "space"),
        help="what separates the columns; default: found",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns; default: found",
    )
    group.add_argument(
        "--class-names",
        type=_class_names,
        metavar="NAME,...|FILE",
        help="classes in the order of their labels, or a text file with one a line; default: "
        "sorted by name",
    )


def read_data(options, source, split, class_names=None):
    """Reads a data set as the options say.

    Args:
        options: The parsed arguments.
        source: The folder or the file.
        split: Name of the split.
        class_names: The classes if --class-names is not given.

    Returns:
        `data.Manifest`

    Raises:
        ValueError: The data set cannot be read, or options of a CSV are given and there is none.
    """
    from keras_mlp3d.data import read_manifest

    table = {name: getattr(options, name) for name in _TABLE}
    sources = [getattr(options, name, None) for name in ("data", "val", "manifest")]
    # The training videos may be a CSV and the validation videos a folder.
    if not _is_table(source) and any(map(_is_table, sources)):
        table = {}
    names = class_names if options.class_names is None else options.class_names
    return read_manifest(source, split, names, **table)


def refuse_manifest_options(options, why):
    """Raises the error for options of this file that do not apply.

    Args:
        options: The parsed arguments.
        why: What the error says after the option's name.
    """
    for name in (*_TABLE, "class_names"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} {why}")


def _is_table(source):
    from keras_mlp3d.data.datasets.read_manifest import TABLE_SUFFIXES

    return source is not None and source.lower().endswith(TABLE_SUFFIXES)


def _columns(text):
    """Reads NAME=COLUMN,... as a dictionary."""
    columns = {}
    for part in text.split(","):
        name, equals, column = (side.strip() for side in part.partition("="))
        if not (name and equals and column) or name in columns:
            raise argparse.ArgumentTypeError(
                f"expected NAME=COLUMN,... such as path=file,label=class, got {text!r}"
            )
        columns[name] = int(column) if column.isdecimal() and len(column) < 6 else column
    return columns


def _class_names(text):
    """Reads NAME,... or the file that has them."""
    if not os.path.isfile(text):
        if "," not in text:
            raise argparse.ArgumentTypeError(
                f"expected names separated by commas, or a text file that is there, got {text!r}"
            )
        return [name.strip() for name in text.split(",")]
    try:
        with open(text, encoding="utf-8-sig") as file:
            names = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no text file in UTF-8 ({error})") from None
    while names and not names[-1]:
        names.pop()
    return names
