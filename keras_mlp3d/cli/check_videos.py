"""`keras-mlp3d check-videos`: decodes every video of a data set."""

import contextlib
import os
import sys

from keras_mlp3d.cli.common import FAILURE, SUCCESS, add_command, one_line, positive
from keras_mlp3d.cli.manifest_options import add_manifest_options, read_data


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "check-videos",
        run,
        "decode every video of a data set, and report those that cannot be read",
        "Decode every video of a data set from its first frame to its last. Files with an error "
        "are named on standard output. The exit code is 0 if all can be read, 1 if some cannot "
        "or only in part, and 2 if the list itself is wrong.",
        [
            "keras-mlp3d check-videos videos/ --report report.csv",
            "keras-mlp3d check-videos val.csv --workers 4",
        ],
    )
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="folder with one sub-folder a class, or CSV file: path,label[,start,end]",
    )
    parser.add_argument(
        "--split",
        default="train",
        metavar="NAME",
        help="sub-folder to check, where the folder has one a split; default: %(default)s",
    )
    parser.add_argument(
        "--report", metavar="FILE", help="write a CSV of all files: file,codec,frames,error"
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="threads; default: one for each processor"
    )
    add_manifest_options(parser)


def run(options):
    """Checks, reports, and counts."""
    from keras_mlp3d.data import check_videos, write_check_report

    manifest = read_data(options, options.manifest, options.split)
    folder = os.path.dirname(os.path.abspath(options.report or "."))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no such folder for --report: {folder}")
    total = len({row.path for row in manifest.rows})
    checks = list(_watched(check_videos(manifest, options.workers), total))
    wrong = [check for check in checks if check.error]
    if options.report is not None:
        write_check_report(checks, options.report)
    for check in wrong:
        print(one_line(f"{check.path}: {check.error}"))
    partly = sum(check.frames > 0 for check in wrong)
    print(
        f"{total} {'file' if total == 1 else 'files'}: {total - len(wrong)} whole, "
        f"{partly} readable in part, {len(wrong) - partly} unreadable"
    )
    return FAILURE if wrong else SUCCESS


def _watched(checks, total):
    """Passes checks on, with Keras's progress bar on standard error where a person watches."""
    if not sys.stderr.isatty():
        yield from checks
        return
    import keras

    bar = keras.utils.Progbar(total, unit_name="video")
    for done, check in enumerate(checks, start=1):
        with contextlib.redirect_stdout(sys.stderr):
            bar.update(done)
        yield check
