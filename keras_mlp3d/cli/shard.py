"""`keras-mlp3d shard`: writes a data set as TFRecord shards, which training reads fastest."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.cli.inputs import read_data, refuse_manifest_options
from keras_mlp3d.cli.options import add_command, add_manifest_options, positive
from keras_mlp3d.cli.terminal import SUCCESS, StatusLine, say

if TYPE_CHECKING:
    from keras_mlp3d.data import Manifest

_FORMATS = ("auto", "kinetics", "something-v1", "something-v2")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "shard",
        run,
        "write a data set as TFRecord shards, the fastest to train on",
        "Write the videos of a data set into TFRecord files, frames as JPEG pictures. After a "
        "kill or Ctrl-C, the same command resumes. --data and --val of train and evaluate take "
        "the folder. Needs keras-mlp3d[shards].",
        [
            "keras-mlp3d shard videos/ --to shards --short-side 128",
            "keras-mlp3d shard validate.csv --split val --format kinetics --videos k400/val \\",
            "    --to shards",
        ],
    )
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="folder with one sub-folder per class, or CSV file: path,label[,start,end]; with "
        "--format, the list of Kinetics or the folder of Something-Something's lists",
    )
    parser.add_argument("--to", required=True, metavar="DIRECTORY", help="folder to write to")
    parser.add_argument(
        "--split", default="train", metavar="NAME", help="split to write; default: %(default)s"
    )
    parser.add_argument(
        "--format", choices=_FORMATS, default="auto", help="what MANIFEST is; default: %(default)s"
    )
    parser.add_argument(
        "--videos", metavar="DIRECTORY", help="folder of the videos, for the data sets of --format"
    )
    parser.add_argument(
        "--shards", type=positive, metavar="N", help="files; default: one per 500 videos"
    )
    parser.add_argument(
        "--store",
        choices=("frames", "video"),
        default="frames",
        help="JPEG pictures of the frames, or the video files as they are; default: %(default)s",
    )
    parser.add_argument(
        "--short-side",
        type=positive,
        default=256,
        metavar="PIXELS",
        help="reduce larger frames to this; default: %(default)s",
    )
    parser.add_argument(
        "--quality",
        type=positive,
        default=3,
        metavar="N",
        help="quantizer of the JPEG pictures, from 1 (best, largest) to 31; default: %(default)s",
    )
    parser.add_argument(
        "--unreadable",
        choices=("skip", "error"),
        help="leave out unreadable videos, or stop; default: skip in the split train",
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="threads; default: one per processor"
    )
    add_manifest_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the shards, and print what was left out."""
    from keras_mlp3d.data import write_shards

    manifest = _manifest(options)
    if manifest.not_found:
        say(f"{len(manifest.not_found)} videos of the list do not exist", error=True)
    with StatusLine("clips") as line:
        report = write_shards(
            manifest,
            options.to,
            num_shards=options.shards,
            store=options.store,
            short_side=options.short_side,
            quality=options.quality,
            unreadable=options.unreadable,
            workers=options.workers,
            progress=line,
        )
    for name, reason in report.left_out:
        say(one_line(f"{name}: left out: {reason}"))
    for name, reason in report.damaged:
        say(one_line(f"{name}: stored in part: {reason}"))
    say(
        f"{report.clips} clips, {len(report.left_out)} left out; {report.written} shards written, "
        f"{report.kept} kept; {report.index}"
    )
    return SUCCESS


def _manifest(options: argparse.Namespace) -> "Manifest":
    from keras_mlp3d import data

    if options.format == "auto":
        if options.videos is not None:
            raise ValueError("--videos needs --format: a folder or a CSV says where its videos are")
        return read_data(options, options.manifest, options.split)
    refuse_manifest_options(options, f"is not for --format {options.format}")
    if options.videos is None:
        raise ValueError(f"--format {options.format} needs --videos, the folder of the videos")
    readers: dict[str, Callable[..., Manifest]] = {
        "kinetics": data.read_kinetics,
        "something-v1": data.read_something_v1,
        "something-v2": data.read_something_v2,
    }
    return readers[options.format](options.manifest, options.videos, options.split)
