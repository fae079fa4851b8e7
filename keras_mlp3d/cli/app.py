"""`keras-mlp3d app`: a page that tries networks on videos."""

import argparse
import re
from typing import Any

from keras_mlp3d.cli.options import add_command, positive, seconds
from keras_mlp3d.cli.terminal import SUCCESS, note, say

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_HERE = ("127.0.0.1", "localhost", "::1")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "app",
        run,
        "try networks on videos in a browser",
        "Serve a page to try networks: drop a video or record one, see the frames that the network "
        "saw, its best classes, and scores over time. Nothing leaves this machine. Ctrl-C ends it. "
        "Needs Gradio: pip install 'keras-mlp3d[app]'.",
        ["keras-mlp3d app", "keras-mlp3d app --preset my_preset --port 8000"],
        computes=True,
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        metavar="NAME",
        help="built-in names, directories or hf:// addresses to offer; default: those with "
        "weights in the package",
    )
    parser.add_argument(
        "--host",
        default=_HERE[0],
        help="address to listen on; default: %(default)s, this machine alone",
    )
    parser.add_argument(
        "--port", type=port, metavar="N", help="default: the first free one from 7860 on"
    )
    parser.add_argument(
        "--examples",
        metavar="FOLDER",
        help="folder of example clips; default: examples/clips of a clone, if it is one",
    )
    group = parser.add_argument_group("limits per video")
    group.add_argument(
        "--max-upload",
        type=byte_count,
        default=100_000_000,
        metavar="SIZE",
        help="largest file, such as 500kB, 100MB or 1GB; default: 100MB",
    )
    group.add_argument(
        "--max-seconds",
        type=seconds,
        default=120.0,
        metavar="S",
        help="longest; default: 120",
    )
    group.add_argument(
        "--max-frames", type=positive, default=7200, metavar="N", help="default: 7200"
    )
    group.add_argument(
        "--max-wait",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds after which a video gets no further scores; default: 60",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    from keras_mlp3d import app

    if options.host not in _HERE:
        note(f"every machine that reaches {options.host} can use the page")
    limits = app.Limits(
        options.max_upload, options.max_seconds, options.max_frames, options.max_wait
    )
    app.launch(
        options.preset,
        options.host,
        options.port,
        limits,
        options.examples,
        ready=lambda address: say(f"The page is at {address} (Ctrl-C ends it)."),
    )
    return SUCCESS


def byte_count(text: str) -> int:
    """Read a number of bytes, such as "100MB", "1.5 GB" or "2000"."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([a-zA-Z]{0,2})", text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    count = int(float(found[1]) * unit) if found and unit else 0
    if count < 1:
        raise argparse.ArgumentTypeError(
            f"expected a size such as 500kB, 100MB or 1GB, got {text!r}"
        )
    return count


def port(text: str) -> int:
    """Read the number of a port."""
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return number
