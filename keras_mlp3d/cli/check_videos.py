"""`keras-mlp3d check-videos`: decodes every video of a data set."""

import argparse
import collections
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.cli.inputs import read_data
from keras_mlp3d.cli.options import (
    add_command,
    add_manifest_argument,
    add_manifest_options,
    positive,
    seconds,
)
from keras_mlp3d.cli.signals import sigterm_as_ctrl_c
from keras_mlp3d.cli.terminal import FAILURE, INTERRUPTED, SUCCESS, StatusLine, say

if TYPE_CHECKING:
    from keras_mlp3d.data import Manifest, VideoCheck

_NAMED = 20  # files left out that are named on the terminal, for each reason


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "check-videos",
        run,
        "decode every video of a data set, and report the unreadable files",
        "Decode every video of a data set from its first frame to its last. Files with an error "
        "are named on standard output, and so are notes: files whose index cannot be trusted, "
        "which are read in order, and what class folders hold besides videos. A file that crashes "
        "or hangs the decoder is reported too. The exit code is 0 if all files are readable, "
        "whatever the notes, 1 if some are unreadable or readable only in part, and 2 if the list "
        "itself is wrong.",
        [
            "keras-mlp3d check-videos videos/ --report report.csv",
            "keras-mlp3d check-videos val.csv --workers 4",
        ],
    )
    add_manifest_argument(parser, "check")
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="write a CSV of all files: file,codec,frames,error,promised,note; also of the files "
        "done when the command is interrupted",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="processes that decode; default: one per processor",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="give up a file after this time without a packet read or a frame decoded; default: 60",
    )
    add_manifest_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check, report, and count."""
    from keras_mlp3d.data import check_videos
    from keras_mlp3d.data.datasets.check import rows_of_files

    manifest = read_data(options, options.manifest, options.split)
    folder = os.path.dirname(os.path.abspath(options.report or "."))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no such folder for --report: {folder}")
    if options.report is not None and os.path.isdir(options.report):
        raise IsADirectoryError(f"--report must be a file, and is a folder: {options.report}")
    total = len(rows_of_files(manifest))
    checks, stopped = [], False
    try:
        with sigterm_as_ctrl_c():
            found = check_videos(manifest, options.workers, options.time_limit)
            with contextlib.closing(found):
                for check in _watched(found, total):
                    checks.append(check)
    except KeyboardInterrupt:
        stopped = True
    finally:
        # After any error too: what was found in hours of work is written and printed.
        besides = _left_out(manifest)
        try:
            if checks and options.report is not None:
                _write_report(options.report, checks, besides)
        finally:
            _print_checks(checks, besides)
            _print_counts(checks, besides, total)
    if stopped:
        return INTERRUPTED
    return FAILURE if any(check.error for check in checks) else SUCCESS


def _left_out(manifest: "Manifest") -> list[tuple[str, str]]:
    """Return `(name, reason)` for all that the data set has or lists without a row for it."""
    gone = [(name, "the data set lists it, and has no file of it") for name in manifest.not_found]
    return [*manifest.left_out, *gone]


def _write_report(
    path: str, checks: "Sequence[VideoCheck]", besides: Sequence[tuple[str, str]]
) -> None:
    from keras_mlp3d.data import VideoCheck, write_check_report

    rows = [VideoCheck(name, "", 0, note=f"left out: {reason}") for name, reason in besides]
    write_check_report([*checks, *rows], path)


def _print_checks(checks: "Sequence[VideoCheck]", besides: Sequence[tuple[str, str]]) -> None:
    for check in checks:
        if check.error:
            say(one_line(f"{check.path}: {check.error}"))
        if check.note:
            say(one_line(f"{check.path}: note: {check.note}"))
    by_reason: dict[str, list[str]] = {}
    for name, reason in besides:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        for name in names[:_NAMED]:
            say(one_line(f"{name}: left out: {reason}"))
        if len(names) > _NAMED:
            say(one_line(f"and {len(names) - _NAMED} more left out: {reason}"))


def _print_counts(
    checks: "Sequence[VideoCheck]", besides: Sequence[tuple[str, str]], total: int
) -> None:
    wrong = [check for check in checks if check.error]
    partly = sum(check.frames > 0 for check in wrong)
    say(
        f"{_files(len(checks))}: {len(checks) - len(wrong)} whole, {partly} readable in part, "
        f"{len(wrong) - partly} unreadable"
    )
    notes = sum(bool(check.note) for check in checks)
    if notes:
        say("1 note" if notes == 1 else f"{notes} notes")
    if besides:
        reasons = collections.Counter(reason for _, reason in besides).most_common(_NAMED)
        kinds = ", ".join(f"{count} x {reason}" for reason, count in reasons)
        say(one_line(f"{len(besides)} left out: {kinds}"))
    if len(checks) < total:
        say(f"stopped: {total - len(checks)} of {_files(total)} were not checked")


def _files(count: int) -> str:
    return f"{count} {'file' if count == 1 else 'files'}"


def _watched(checks: "Iterable[VideoCheck]", total: int) -> "Iterator[VideoCheck]":
    """Yield the checks and show how many are done."""
    with StatusLine("videos") as line:
        for done, check in enumerate(checks, start=1):
            line(done, total)
            yield check
