"""`keras-mlp3d evaluate`: how well a network classifies a data set."""

import argparse
import os
import pathlib
from typing import Any

from keras_mlp3d._utils.atomic_write import check_writable
from keras_mlp3d.cli.evaluation_table import draw_classes, print_table
from keras_mlp3d.cli.inputs import CLASSIFIERS, asked_converter, load_model, read_data
from keras_mlp3d.cli.options import (
    add_command,
    add_manifest_options,
    add_view_options,
    check_picture,
    positive,
)
from keras_mlp3d.cli.terminal import BAD_INPUT, SUCCESS, StatusLine, print_error

_NAMED_FAILURES = 10


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "evaluate",
        run,
        "measure accuracy on labeled videos",
        "Measure top-1 and top-5 accuracy on labeled videos, with 95 % Wilson intervals. Scores "
        "are averaged over all views of a video: clips x crops. An unreadable video counts as "
        "wrong and is named on standard error, and the exit code is 2. Of videos that may have "
        "several labels (--label-separator), it measures the mean over the classes of their "
        "average precision, with a 95 % interval by bootstrap.",
        [
            "keras-mlp3d evaluate --data videos/val --preset my_preset",
            "keras-mlp3d evaluate --data val.csv --preset my_preset --clips 4 --crops 3 \\",
            "    --json result.json --plot confusion.png --plot-wrong wrong.png",
        ],
        computes=True,
        check=check,
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="MANIFEST_OR_FOLDER",
        help="CSV of path,label[,start,end], or folder with a sub-folder per class",
    )
    parser.add_argument(
        "--preset", required=True, help="built-in name, directory or hf:// address of the network"
    )
    parser.add_argument(
        "--split",
        default="val",
        help="split, and the sub-folder to read if the folder has it; default: %(default)s",
    )
    add_view_options(parser, crops=1)
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="threads that decode; default: processors"
    )
    add_manifest_options(parser)
    parser.add_argument("--json", metavar="FILE", help="write all results, video by video")
    parser.add_argument(
        "--plot",
        metavar="PICTURE",
        help="write the confusion matrix, or the average precision of each class, as .png, .pdf or "
        ".svg",
    )
    parser.add_argument(
        "--plot-wrong",
        metavar="PICTURE",
        help="write the most confident wrong answers, with frames, as .png, .pdf or .svg",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before an hour of work and not after it."""
    for picture in filter(None, (options.plot, options.plot_wrong)):
        check_picture(picture)
    if options.json is not None:
        _check_file(options.json)


def run(options: argparse.Namespace) -> int:
    """Evaluate, print a table, write and draw."""
    from keras_mlp3d import plots
    from keras_mlp3d.inference import evaluate, wrong_answers

    model, files = load_model(options.preset, CLASSIFIERS)
    # A folder names all its classes; a CSV may lack some of the model's.
    names = None if os.path.isdir(options.data) else model.class_names
    manifest = read_data(options, options.data, options.split, names)
    if options.plot_wrong is not None:
        manifest.check_one_label("--plot-wrong")
    with StatusLine("videos") as line:
        evaluation = evaluate(
            model,
            manifest,
            clips=options.clips,
            crops=options.crops,
            batch_size=options.batch_size,
            converter=asked_converter(model, files, options),
            workers=options.workers,
            progress=line,
        )
    print_table(evaluation)
    if options.json is not None:
        evaluation.write_json(options.json)
    if options.plot is not None:
        draw_classes(evaluation, options.plot)
    if options.plot_wrong is not None:
        plots.plot_wrong_answers(*wrong_answers(evaluation), options.plot_wrong)
    for path, reason in evaluation.failed[:_NAMED_FAILURES]:
        print_error(f"cannot read the video {path!r}: {reason}")
    more = len(evaluation.failed) - _NAMED_FAILURES
    if more > 0:
        print_error(f"and {more} more unreadable videos; --json lists them all")
    return BAD_INPUT if evaluation.failed else SUCCESS


def _check_file(name: str) -> None:
    path = pathlib.Path(name)
    if path.is_dir():
        raise IsADirectoryError(f"Cannot write {name!r}: it is a directory.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {name!r}: the directory {str(path.parent)!r} does not exist."
        )
    check_writable(path)
