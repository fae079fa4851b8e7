"""The options that several commands share, and the types of their values.

Nothing here imports more than the standard library: help and errors of arguments come at once.
"""

import argparse
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from keras_mlp3d._utils.backend import BACKENDS


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
    example: Sequence[str],
    computes: bool = False,
    check: Callable[[argparse.Namespace], None] | None = None,
) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    Args:
        commands: What `add_subparsers` returned.
        name: Name of the command.
        run: Function that gets the parsed arguments and returns the exit code.
        summary: A line for the list of commands.
        description: A sentence or more for the command's own help.
        example: Lines that can be typed as they stand.
        computes: Whether the command runs or builds a network, and so needs Keras and has
            `--backend`.
        check: None, or a function that raises an error for arguments that cannot be meant so. It
            is called before Keras is imported, which takes seconds.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 79),
        epilog="example:\n" + "\n".join(f"  {line}" for line in example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, check=check, computes=computes, backend=None)
    if computes:
        parser.add_argument(
            "--backend",
            choices=BACKENDS,
            help="Keras backend that computes; default: KERAS_BACKEND, else the first installed",
        )
    return parser


def positive(text: str) -> int:
    """Read a positive integer."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return int(text)


def count(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def amount(text: str) -> float:
    """Read a number above 0, such as 1 or 0.5."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def image_size(text: str) -> tuple[int, int]:
    """Read N or HxW in pixels, as (height, width)."""
    parts = text.lower().split("x")
    try:
        sides = [positive(part) for part in parts]
    except argparse.ArgumentTypeError:
        sides = []
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(
            f"expected pixels as N or HEIGHTxWIDTH, such as 224 or 128x171, got {text!r}"
        )
    return (sides[0], sides[-1])


def seconds(text: str) -> float:
    """Read a time of at least one second."""
    try:
        time = float(text)
    except ValueError:
        time = 0.0
    if not 1 <= time < float("inf"):
        raise argparse.ArgumentTypeError(f"expected at least 1 second, got {text!r}")
    return time


def window_seconds(text: str) -> float:
    """Read a time above 0, such as "2", "0.5s" or "1.5 s"."""
    try:
        time = float(text.strip().removesuffix("s"))
    except ValueError:
        time = 0.0
    if not 0 < time < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, such as 2s, got {text!r}")
    return time


def add_videos_argument(parser: argparse.ArgumentParser, may_be_none: bool = False) -> None:
    """Add the names of videos and folders.

    Args:
        parser: The command's.
        may_be_none: Whether another option says what to read.
    """
    parser.add_argument(
        "videos",
        metavar="VIDEO",
        nargs="*" if may_be_none else "+",
        help="video file, or folder: all videos in it and below, also through links",
    )


def add_manifest_argument(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the data set and --split.

    Args:
        parser: The command's.
        verb: What the command does with the data set.
    """
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="folder with one sub-folder per class, or CSV file: path,label[,start,end]",
    )
    parser.add_argument(
        "--split",
        default="train",
        metavar="NAME",
        help=f"sub-folder to {verb}, if the folder has one per split; default: train",
    )


def add_view_options(parser: argparse.ArgumentParser, crops: int) -> None:
    """Add --clips, --crops, --batch-size, --frames and --size.

    Args:
        parser: The command's.
        crops: Default of --crops.
    """
    parser.add_argument(
        "--clips", type=positive, default=1, metavar="N", help="clips per video; default: 1"
    )
    parser.add_argument(
        "--crops",
        type=positive,
        default=crops,
        metavar="N",
        help=f"crops per clip; default: {crops}",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=8, metavar="N", help="views per batch; default: 8"
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="frames per clip; default: the preset's"
    )
    parser.add_argument(
        "--size", type=image_size, metavar="N|HxW", help="pixels of a clip; default: the preset's"
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add --data, --val, --accept-changed-data, --workers and the options of manifests."""
    parser.add_argument(
        "--data",
        required=True,
        metavar="MANIFEST_OR_FOLDER",
        help="training videos: CSV of path,label[,start,end], or folder with one sub-folder per "
        "class (its sub-folder 'train' if it has one)",
    )
    parser.add_argument(
        "--val",
        metavar="MANIFEST_OR_FOLDER",
        help="validation videos; default: the sub-folder 'val' of --data",
    )
    parser.add_argument(
        "--accept-changed-data",
        action="store_true",
        help="resume although more than a few of the videos are gone, new or of another class",
    )
    parser.add_argument(
        "--workers", type=positive, default=2, metavar="N", help="threads that decode; default: 2"
    )
    add_manifest_options(parser)


def add_ray_options(parser: argparse.ArgumentParser, work: str) -> None:
    """Add --ray, --worker-cpus and --worker-gpus.

    Args:
        parser: The command's.
        work: What the workers do, such as "train the networks".
    """
    group = parser.add_argument_group(
        "several machines (pip install 'keras-mlp3d[ray]')",
        "All machines must see the videos, the preset and what is written, under the same names.",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help=f"{work} on a Ray cluster: auto, HOST:PORT, or local for worker processes here",
    )
    group.add_argument(
        "--worker-cpus",
        type=amount,
        metavar="N",
        help="CPUs per worker, which are its threads too; default: 1",
    )
    group.add_argument(
        "--worker-gpus", type=amount, metavar="N", help="GPUs per worker; default: 0"
    )


def check_picture(path: str) -> None:
    """Refuse a path that no picture can be written to."""
    from keras_mlp3d.plots.figure import check_picture_path

    check_picture_path(path)


def check_ray_options(options: argparse.Namespace) -> None:
    """Refuse options of workers without --ray."""
    if options.ray is None:
        for name in ("worker_cpus", "worker_gpus", "ray_workers", "part_size"):
            if getattr(options, name, None) is not None:
                raise ValueError(f"--{name.replace('_', '-')} needs --ray ADDRESS.")


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add --recipe and --set."""
    parser.add_argument(
        "--recipe", default="fine_tune", help="built-in name or file; default: %(default)s"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the recipe, such as epochs=10 or augmentation.flip=0.5",
    )


def add_manifest_options(parser: argparse.ArgumentParser) -> None:
    """Add --columns, --separator, --header, --label-separator and --class-names."""
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
        help="what separates the columns; default: detected",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns; default: detected",
    )
    group.add_argument(
        "--label-separator",
        metavar="TEXT",
        help="what separates the labels of a video that may have several, or none, such as '|' in "
        "run|fast; default: one label per video",
    )
    group.add_argument(
        "--class-names",
        type=_class_names,
        metavar="NAME,...|FILE",
        help="classes in the order of their labels, or a text file with one class per line; "
        "default: sorted by name",
    )


def _columns(text: str) -> dict[str, int | str]:
    """Read NAME=COLUMN,... as a dictionary."""
    columns: dict[str, int | str] = {}
    for part in text.split(","):
        name, equals, column = (side.strip() for side in part.partition("="))
        if not (name and equals and column) or name in columns:
            raise argparse.ArgumentTypeError(
                f"expected NAME=COLUMN,... such as path=file,label=class, got {text!r}"
            )
        columns[name] = int(column) if column.isdecimal() and len(column) < 6 else column
    return columns


def _class_names(text: str) -> list[str]:
    """Read NAME,... or the file that has them."""
    if not os.path.isfile(text):
        if "," not in text:
            raise argparse.ArgumentTypeError(
                f"expected names separated by commas, or an existing text file, got {text!r}"
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
