"""`keras-mlp3d predict --window`: scores of long videos over time."""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.atomic_write import append, naming
from keras_mlp3d._utils.find_videos import Found, VideoFinder
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.cli.inputs import CLASSIFIERS, asked_converter, load_model
from keras_mlp3d.cli.options import amount, window_seconds
from keras_mlp3d.cli.terminal import BAD_INPUT, SUCCESS, note, print_error, say

#: Addresses that are no files, so that they need no --camera.
STREAM = re.compile(r"(rtsps?|rtmps?|udp|tcp|srt)://", re.IGNORECASE)
HOP = 0.5
#: Crops of whole videos by default; a window has one.
CROPS = 3

if TYPE_CHECKING:
    from keras_mlp3d.data import VideoConverter


def add_window_options(parser: argparse.ArgumentParser) -> None:
    """Add --window, --hop, --fps, --camera and --overlay."""
    group = parser.add_argument_group(
        "scores over time",
        "--json prints and --output FILE.jsonl writes a JSON object per window (path, start, end,\n"
        "labels, scores); --plot draws the scores of one video over time",
    )
    group.add_argument(
        "--window",
        type=window_seconds,
        metavar="SECONDS",
        help="classify windows of this length, such as 2 or 2s, by their center crop, instead of "
        "whole videos",
    )
    group.add_argument(
        "--hop",
        type=window_seconds,
        metavar="SECONDS",
        help="time from a window to the next; default: 0.5",
    )
    group.add_argument(
        "--fps",
        type=amount,
        metavar="N",
        help="frames per second of folders of pictures, whose files do not say it",
    )
    group.add_argument(
        "--camera",
        metavar="CAMERA",
        help="instead of videos, the newest window of a camera, again and again: 0, a device such "
        "as /dev/video0, or the address of a stream (rtsp://...); default of --window: 2",
    )
    group.add_argument(
        "--overlay", metavar="VIDEO", help="write one video with the best classes drawn on it"
    )


def check_window_options(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing together; the address of a stream becomes the camera."""
    if len(options.videos) == 1 and STREAM.match(options.videos[0]) and options.camera is None:
        options.camera = options.videos.pop()
    if not options.videos and options.camera is None:
        raise ValueError(
            "the following arguments are required: VIDEO, or --camera "
            "(see keras-mlp3d predict --help)"
        )
    if options.camera is None and options.window is None:
        for name in ("hop", "overlay"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} needs --window, the length of a window in seconds.")
        return
    if options.clips != 1:
        raise ValueError(
            f"--clips is for whole videos, and --window makes a clip of each window; got "
            f"--clips {options.clips}."
        )
    if options.crops != CROPS:
        raise ValueError(
            f"--crops is for whole videos, and --window makes a clip of each window; got "
            f"--crops {options.crops}."
        )
    if options.output is not None and not options.output.endswith(".jsonl"):
        raise ValueError(f"--output must end in .jsonl with --window, got {options.output!r}.")
    if options.camera is not None:
        if options.videos:
            raise ValueError(f"--camera takes no videos beside it, got {options.videos[0]!r}.")
        if options.fps is not None:
            raise ValueError("--fps is for folders of pictures; a camera gives the times itself.")
        if options.plot is not None or options.overlay is not None:
            raise ValueError("--plot and --overlay need a video that ends; a camera does not.")


def run_windows(options: argparse.Namespace) -> int:
    """Classify the windows of videos, and print, write and draw their scores."""
    from keras_mlp3d import plots
    from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

    if options.plot is not None:
        plots.check_picture_path(options.plot)
    if options.overlay is not None:
        plots.check_overlay_path(options.overlay)
        if os.path.lexists(options.overlay):  # perhaps the video itself
            raise ValueError(
                f"--overlay {options.overlay!r} exists: choose another file, or remove it."
            )
    videos = iter(VideoFinder(options.videos, note, VIDEO_SUFFIXES))
    first = list(itertools.islice(videos, 2))
    drawn = options.plot is not None or options.overlay is not None
    if drawn and len(first) > 1:
        raise ValueError("--plot and --overlay with --window take one video, got more.")
    with contextlib.closing(WindowRows(options)) as rows:
        job = _Windows(options, rows)
        return max([job.take(found) for found in itertools.chain(first, videos)], default=SUCCESS)


def _new_file(path: str) -> pathlib.Path:
    """Make a file that must not exist: hours of results are not overwritten."""
    try:
        with naming(path), open(path, "x", encoding="ascii"):
            return pathlib.Path(path)
    except FileExistsError:
        raise ValueError(
            f"--output {path!r} exists: choose another file, or remove it. Windows are not resumed."
        ) from None


class WindowRows:
    """Prints and writes a row for each window, at once.

    Args:
        options: Those of the command. Its `output` must not exist.
    """

    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._output = _new_file(options.output) if options.output else None
        self._is_empty = True

    def close(self) -> None:
        """Remove the file if it has no row, so that a corrected command can use its name."""
        if self._output is not None and self._is_empty:
            with contextlib.suppress(OSError):
                self._output.unlink()

    def add(self, path: str, window: Any, names: Any) -> None:
        """Take the scores of a window.

        Args:
            path: The video.
            window: `inference.WindowScores`.
            names: Names of all classes.
        """
        best = (-window.scores).argsort(kind="stable")[: self._options.top_k].tolist()
        labels, scores = [names[k] for k in best], [round(float(window.scores[k]), 6) for k in best]
        row = {"path": path, "start": window.start, "end": window.end}
        self.write({**row, "labels": labels, "scores": scores})
        if not self._options.json:
            said = ", ".join(
                f"{100 * score:.1f} % {one_line(label)}"
                for label, score in zip(labels[:3], scores[:3], strict=True)
            )
            say(f"  {window.start:8.2f} s to {window.end:8.2f} s  {said}")

    def write(self, row: dict[str, Any]) -> None:
        """Print a row as JSON if that is asked for, and append it to the file if there is one."""
        line = json.dumps(row, allow_nan=False)
        if self._options.json:
            say(line)
        if self._output is not None:
            append(self._output, f"{line}\n".encode("ascii"))
            self._is_empty = False


def class_names_of(model: Any) -> list[str]:
    """Return the names of a network's classes, or "class 0" and so on."""
    return model.class_names or [f"class {place}" for place in range(model.num_classes)]


class _Windows:
    """Classifies the windows of one video after the other.

    Args:
        options: Those of the command.
        rows: Takes the results.
    """

    def __init__(self, options: argparse.Namespace, rows: "WindowRows"):
        self._options, self._rows = options, rows
        self._loaded: tuple[Any, VideoConverter] | None = None

    def _network(self) -> "tuple[Any, VideoConverter]":
        if self._loaded is None:
            model, files = load_model(self._options.preset, CLASSIFIERS)
            self._loaded = model, asked_converter(model, files, self._options)
        return self._loaded

    def take(self, found: Found) -> int:
        """Handle one video, or one place without videos; return the exit code."""
        from keras_mlp3d.data.datasets.check_file import reason_of

        if found.error:
            return self._fail(found.path, found.error, found.message)
        model, _ = self._network()
        names = class_names_of(model)
        if not self._options.json:
            say(one_line(found.path))
        kept: list[Any] = []
        windows: Iterator[Any] | None = None
        while True:
            # Whatever reading raises is about this video; what writing raises is about the output.
            try:
                windows = self._scores(found.path) if windows is None else windows
                window = next(windows, None)
            except Exception as error:
                return self._fail(found.path, reason_of(error))
            if window is None:
                break
            self._rows.add(found.path, window, names)
            if self._options.plot is not None or self._options.overlay is not None:
                kept.append(window)
        self._draw(found.path, kept, names)
        return SUCCESS

    def _scores(self, path: str) -> Iterator[Any]:
        from keras_mlp3d.inference import classify_windows

        model, converter = self._network()
        hop = HOP if self._options.hop is None else self._options.hop
        options = self._options
        return classify_windows(
            model, path, options.window, hop, options.batch_size, converter, options.fps
        )

    def _draw(self, path: str, windows: list[Any], names: Any) -> None:
        from keras_mlp3d import plots
        from keras_mlp3d.data.video.sources import open_video

        options = self._options
        if options.plot is not None:
            plots.plot_timeline(windows, names, options.plot, options.top_k, os.path.basename(path))
        if options.overlay is not None:
            with open_video(path, options.fps) as reader:
                times = reader.times.tolist()
                frames = ((times[index], picture) for index, picture in reader.frames())
                plots.write_overlay(frames, windows, names, options.overlay, reader.fps)

    def _fail(self, path: str, reason: str, message: str = "") -> int:
        self._rows.write({"path": path, "error": reason})
        print_error(message or f"cannot read the video {path!r}: {reason}")
        return BAD_INPUT
