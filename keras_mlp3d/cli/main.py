"""The command `keras-mlp3d`: finds the command, runs it, and turns errors into exit codes."""

import argparse
import os
import shlex
import sys
import traceback

from keras_mlp3d.cli import (
    check_videos,
    compare,
    convert,
    correlation,
    cost,
    evaluate,
    predict,
    presets,
    search,
    shard,
    train,
    upload,
)
from keras_mlp3d.cli.common import (
    BAD_INPUT,
    FAILURE,
    INTERRUPTED,
    PROGRAM,
    SUCCESS,
    exit_code,
    print_error,
)
from keras_mlp3d.version import __version__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all errors here do."""

    def error(self, message):
        print_error(f"{message} (see {self.prog} --help)")
        self.exit(BAD_INPUT)


def build_parser():
    """Returns the parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description="MLP-3D: video recognition with neither convolution blocks nor attention.",
        epilog="Exit codes: 0 success, 1 failure, 2 bad input. The environment variable "
        "KERAS_BACKEND (tensorflow, jax or torch) chooses what computes.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the program an error arose"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (
        *(presets, predict, train, evaluate, search, compare, correlation),
        *(check_videos, shard, cost, convert, upload),
    ):
        command.add_parser(commands)
    return parser


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: None for those of the process, or a list of strings.

    Returns:
        The exit code: 0 success, 1 failure, 2 bad input, 130 interrupted.

    Example:

    >>> main(["--version"])  # doctest: +ELLIPSIS
    keras-mlp3d ...
    0
    """
    # Before TensorFlow is imported, which reads it then.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for stream in (sys.stdout, sys.stderr):
        # A file name or a class may hold what the terminal's encoding has not.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        given = sys.argv[1:] if arguments is None else arguments
        options.command_line = shlex.join(["keras-mlp3d", *given])
    except SystemExit as end:
        return end.code or SUCCESS
    try:
        code = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        if str(stopped):  # a training says what it has kept
            print(f"\n{stopped} The same command goes on from there.", flush=True)
        else:
            print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python would say so once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    # As broad as it is because this is where an error meets its reader, whatever it is.
    except Exception as error:
        if options.traceback:
            traceback.print_exc()
        print_error(error)
        return exit_code(error)
    return code


if __name__ == "__main__":
    sys.exit(main())
