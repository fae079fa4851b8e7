"""`keras-mlp3d pixel-statistics`: mean and standard deviation of a data set's pixels."""

import argparse
import json
from typing import Any

from keras_mlp3d.cli.inputs import read_data
from keras_mlp3d.cli.options import (
    add_command,
    add_manifest_argument,
    add_manifest_options,
    image_size,
    positive,
)
from keras_mlp3d.cli.terminal import SUCCESS, note, say


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "pixel-statistics",
        run,
        "measure the pixels of a data set, for a training from scratch",
        "Measure the mean and the standard deviation of red, green and blue, as options of a "
        "training from scratch. With ImageNet's, which the presets have, a network can fail to "
        "learn from videos that look unlike ImageNet, such as those with a dark background. "
        "Unreadable videos are named and left out.",
        [
            "keras-mlp3d pixel-statistics videos/",
            "keras-mlp3d train --data videos --preset mlp3d_tiny --from-scratch \\",
            "    --set pixel_mean=[0.01,0.01,0.01] --set pixel_std=[0.06,0.08,0.06]",
        ],
    )
    add_manifest_argument(parser, "measure")
    parser.add_argument(
        "--videos",
        type=positive,
        default=1000,
        metavar="N",
        help="videos that are read, spread over the data set; default: %(default)s",
    )
    parser.add_argument(
        "--frames", type=positive, default=32, metavar="N", help="frames of a clip; default: 32"
    )
    parser.add_argument(
        "--size",
        type=image_size,
        default=(128, 128),
        metavar="N|HxW",
        help="pixels of a clip; default: 128",
    )
    parser.add_argument(
        "--workers", type=positive, default=2, metavar="N", help="threads that decode; default: 2"
    )
    add_manifest_options(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the options of a training."""
    from keras_mlp3d.data import VideoConverter, pixel_statistics

    manifest = read_data(options, options.manifest, options.split)
    converter = VideoConverter(options.frames, options.size)
    found = pixel_statistics(manifest, converter, options.videos, options.workers)
    for name in ("pixel_mean", "pixel_std"):
        say(f"--set {name}={json.dumps(getattr(found, name), separators=(',', ':'))}")
    unreadable = f", {len(found.unreadable)} unreadable" if found.unreadable else ""
    note(f"{found.videos} of {len(manifest)} videos measured{unreadable}")
    return SUCCESS
