"""The command `keras-mlp3d`: finds the command, runs it, and turns errors into exit codes.

Help, the version and errors of arguments come without Keras: it is imported when a command runs
that computes.
"""

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from keras_mlp3d.cli import (
    app,
    check_videos,
    compare,
    convert,
    correlation,
    cost,
    embed,
    evaluate,
    export,
    pixel_statistics,
    predict,
    presets,
    search,
    shard,
    train,
    upload,
)
from keras_mlp3d.cli.inputs import check_named
from keras_mlp3d.cli.start_keras import start_keras
from keras_mlp3d.cli.terminal import (
    BAD_INPUT,
    FAILURE,
    INTERRUPTED,
    PROGRAM,
    SUCCESS,
    exit_code,
    print_error,
    say,
    warnings_as_lines,
)
from keras_mlp3d.version import __version__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all errors here do."""

    def error(self, message: str) -> NoReturn:
        print_error(f"{message} (see {self.prog} --help)")
        self.exit(BAD_INPUT)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description="MLP-3D: video recognition with neither convolution blocks nor attention.",
        epilog="Exit codes: 0 success, 1 failure, 2 bad input. The option --backend of a command, "
        "or the environment variable KERAS_BACKEND (tensorflow, jax or torch), chooses what "
        "computes; by default it is the first that is installed.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the program an error arose"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (
        *(presets, predict, train, evaluate, search, compare, correlation),
        *(embed, app, check_videos, pixel_statistics, shard, cost, convert, export, upload),
    ):
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: List of strings, or None for the arguments of the process.

    Returns:
        The exit code: 0 success, 1 failure, 2 bad input, 130 interrupted.

    Example:

    >>> main(["--version"])  # doctest: +ELLIPSIS
    keras-mlp3d ...
    0
    """
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        # A file name or a class may hold characters that the terminal's encoding lacks.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        given = sys.argv[1:] if arguments is None else arguments
        options.command_line = shlex.join([PROGRAM, *given])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else SUCCESS
    with warnings_as_lines():
        return _run(options)


def _open_missing_streams() -> None:
    """Open the null device in place of an output that the process was started without (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(nowhere.fileno(), True)  # processes of the command need it, too
            setattr(sys, name, nowhere)


def _run(options: argparse.Namespace) -> int:
    try:
        if options.check is not None:
            options.check(options)
        check_named(options)
        if options.computes:
            start_keras(options.backend)
        code = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        if str(stopped):  # a training says what it has kept
            say()
            say(f"{stopped} The same command resumes from there.")
        else:
            say(error=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has gone; Python would say so again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    # As broad as it is because this is where an error meets its reader, whatever it is.
    except Exception as error:
        if options.traceback:
            for line in traceback.format_exc().splitlines():
                say(f"  {line}", error=True)
        print_error(error)
        return exit_code(error)
    return code


if __name__ == "__main__":
    sys.exit(main())
