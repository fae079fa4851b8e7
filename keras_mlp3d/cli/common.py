"""What commands share: reading arguments, loading models, printing."""

import argparse
import json
import os
import re
import sys
import textwrap

from keras_mlp3d._utils.text import one_line

PROGRAM = "keras-mlp3d"
SUCCESS, FAILURE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

#: Networks that have classes.
CLASSIFIERS = ("MLP3D", "TwoPathMLP3D", "FrameCycleMLP", "CycleMLP")
_BACKENDS = ("tensorflow", "jax", "torch")


def add_command(commands, name, run, summary, description, example):
    """Adds a command and returns its parser.

    Args:
        commands: What `add_subparsers` returned.
        name: Name of the command.
        run: Function that gets the parsed arguments and returns the exit code.
        summary: A line for the list of commands.
        description: A sentence or more for the command's own help.
        example: Lines that can be typed as they stand.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 79),
        epilog="example:\n" + "\n".join(f"  {line}" for line in example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def positive(text):
    """Reads a whole number of at least 1."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def image_size(text):
    """Reads N or HxW in pixels, as (height, width)."""
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


def load_model(handle, classes=None, on_clips=False, **options):
    """Loads whatever network a preset holds.

    Args:
        handle: Built-in name, directory, or "hf://user/repo[@revision]".
        classes: None, or the names of the model classes that will do.
        on_clips: Whether a `CycleMLP` is to become a `FrameCycleMLP`.
        **options: Arguments of `from_preset`.

    Returns:
        The model and its `hub.Preset`.

    Raises:
        ValueError: If the preset is unknown, damaged, or of a class that will not do.
    """
    from keras_mlp3d import hub, models

    files = hub.read_preset(handle)
    known = classes or ("MLP3D", "MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP", "CycleMLP")
    if files.class_name not in known:
        raise ValueError(
            f"The preset {files.handle!r} holds a {files.class_name}; expected "
            f"{' or '.join(known)}."
        )
    by_frame = on_clips and files.class_name == "CycleMLP"
    network = models.FrameCycleMLP if by_frame else getattr(models, files.class_name)
    return network.from_preset(handle, **options), files


def print_json(content):
    """Prints a value as readable JSON."""
    print(json.dumps(content, indent=2, allow_nan=False))


def exit_code(error):
    """Returns 2 for an error that other input would avoid, else 1."""
    bad = (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError, FileExistsError)
    return BAD_INPUT if isinstance(error, bad) else FAILURE


def print_error(error):
    """Prints an error, or a message, as one line on standard error."""
    print(f"{PROGRAM}: error: {one_line(_explain(error))}", file=sys.stderr, flush=True)


def _explain(error):
    if isinstance(error, ModuleNotFoundError) and error.name in _BACKENDS:
        return (
            f"the Keras backend {error.name} is not installed: pip install "
            f"keras-mlp3d[{error.name}], or set KERAS_BACKEND to one of {', '.join(_BACKENDS)}"
        )
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {os.fsdecode(error.filename)}"
        return ". ".join([text, *getattr(error, "__notes__", ())])  # what a full disk left whole
    if isinstance(error, str | ValueError | OSError | ImportError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"
