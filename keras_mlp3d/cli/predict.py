"""`keras-mlp3d predict`: classifies videos."""

import argparse
import contextlib
import hashlib
import itertools
import json
import sys
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.find_videos import Found, VideoFinder
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.cli.inputs import CLASSIFIERS, asked_converter, load_model
from keras_mlp3d.cli.options import (
    add_command,
    add_videos_argument,
    add_view_options,
    check_picture,
    check_ray_options,
    positive,
)
from keras_mlp3d.cli.predict_on_ray import (
    add_cluster_options,
    check_cluster_options,
    run_on_ray,
)
from keras_mlp3d.cli.results_file import ResultsFile, check_results_name
from keras_mlp3d.cli.stream import run_stream
from keras_mlp3d.cli.terminal import (
    BAD_INPUT,
    SUCCESS,
    JsonList,
    StatusLine,
    note,
    print_error,
    say,
)
from keras_mlp3d.cli.timeline import CROPS, add_window_options, check_window_options, run_windows

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_mlp3d.data import VideoConverter
    from keras_mlp3d.hub import Preset
    from keras_mlp3d.inference import Prediction

DEFAULT_PRESET = "mlp3d_tiny_grid_words"

_SHOWN_FRAMES, _SHOWN_HEIGHT = 8, 240
_COUNTED = 10_000  # videos to find before the first is read, so that their number is known


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "predict",
        run,
        "classify videos",
        "Classify videos. Scores are averaged over all views of a video: clips x crops. A video "
        "that is missing or unreadable is named on standard error, the other videos are "
        "classified, and the exit code is 2. With --output, each result is written at once, and "
        "the same command resumes: it skips the videos that have a result and tries failed videos "
        "again. With --ray, --output is a folder of Parquet parts. If a network scores each class "
        "by itself, a video may have several of the classes that are named, or none.",
        [
            "keras-mlp3d predict video.mp4",
            "keras-mlp3d predict videos/ --preset my_preset --clips 4 --plot predictions.png",
            "keras-mlp3d predict videos/ --output results.jsonl",
            "keras-mlp3d predict long.mp4 --window 2s --hop 0.5s --plot timeline.png",
            "keras-mlp3d predict --camera 0",
            "keras-mlp3d predict videos/ --ray local --output scores",
        ],
        computes=True,
        check=check,
    )
    add_videos_argument(parser, may_be_none=True)
    parser.add_argument(
        "--preset",
        default=DEFAULT_PRESET,
        help="built-in name, directory or hf:// address; default: %(default)s",
    )
    add_view_options(parser, crops=CROPS)
    parser.add_argument(
        "--top-k", type=positive, default=5, metavar="N", help="classes to name; default: 5"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write a row per video to a .jsonl or .csv file, or with --ray to a folder, failures "
        "with their error; resumes",
    )
    parser.add_argument(
        "--plot", metavar="PICTURE", help="write frames and scores as .png, .pdf or .svg"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")
    add_window_options(parser)
    add_cluster_options(parser)


def check(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing together, and files that cannot be written."""
    check_ray_options(options)
    if options.ray is not None:
        check_cluster_options(options)
        return
    check_window_options(options)
    if options.camera is not None or options.window is not None:
        return
    if options.output is not None:
        check_results_name(options.output)
    if options.plot is not None:
        check_picture(options.plot)


def run(options: argparse.Namespace) -> int:
    """Classify, print, write, and draw."""
    from keras_mlp3d import plots
    from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

    if options.ray is not None:
        return run_on_ray(options)
    if options.camera is not None:
        return run_stream(options)
    if options.window is not None:
        return run_windows(options)
    finder = VideoFinder(options.videos, note, VIDEO_SUFFIXES)
    videos = iter(finder)
    first = list(itertools.islice(videos, _COUNTED))
    if options.plot is not None and len(first) > plots.MAX_ROWS:
        raise ValueError(f"--plot draws at most {plots.MAX_ROWS} videos, got {len(first)}.")
    total = len(first) if len(first) < _COUNTED else None
    with contextlib.ExitStack() as stack:
        results = None
        if options.output is not None:
            drawn = [found.path for found in first] if options.plot is not None else ()
            results = stack.enter_context(ResultsFile(options.output, drawn))
        # The network is not loaded if there is nothing to classify and no results file.
        idle = results is None and all(found.error for found in first)
        job = _Job(options, total, results, None if idle else _Classifier(options))
        job.start()
        stack.callback(StatusLine.clear_all)
        stack.callback(job.end)
        try:
            for found in itertools.chain(first, videos):
                job.take(found)
        except KeyboardInterrupt:
            if results is None:
                raise
            raise KeyboardInterrupt(f"{results.count} results are in {options.output}.") from None
        if finder.left_out and not options.json and not idle:
            note(finder.left_out)
        return job.finish()


class _Classifier:
    """A network and what its results depend on."""

    def __init__(self, options: argparse.Namespace):
        from keras_mlp3d.models.network_checks import is_multi_label

        self._options = options
        self.model, files = load_model(options.preset, CLASSIFIERS)
        self._converter = asked_converter(self.model, files, options)
        self.labels = min(options.top_k, self.model.num_classes)
        self.multi_label = is_multi_label(self.model)
        self.settings = {
            "preset": options.preset,
            "model": _digest(self.model, files, self._converter),
            "clips": options.clips,
            "crops": options.crops,
            "top_k": options.top_k,
            "fps": options.fps,
            "frames": self._converter.num_frames,
            "size": list(self._converter.image_size),
        }

    def __call__(self, path: str) -> "Prediction":
        from keras_mlp3d.inference import classify

        [prediction] = classify(
            self.model,
            path,
            clips=self._options.clips,
            crops=self._options.crops,
            top_k=self._options.top_k,
            batch_size=self._options.batch_size,
            converter=self._converter,
            fps=self._options.fps,
            on_error="report",
        )
        return prediction


class _Job:
    """Skips or classifies each video, and prints, writes and draws the results.

    Args:
        options: Those of the command.
        total: How many videos there are, or None if they are too many to be counted first.
        results: None, or a `ResultsFile`.
        classifier: None if there is nothing to classify.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        total: int | None,
        results: ResultsFile | None,
        classifier: Any,
    ):
        self._options, self._results, self._classifier = options, results, classifier
        # Text on the same terminal shows well enough how much is done.
        watched = options.json or not sys.stdout.isatty()
        self._line = StatusLine(show=None if watched and total != 1 else False)
        self._done, self._total = 0, total
        self._list = JsonList() if options.json else None
        self._code = SUCCESS
        self._drawn: list[tuple[Prediction, np.ndarray]] = []

    def start(self) -> None:
        """Check that the results in the file were made with the same settings."""
        if self._results is None:
            return
        self._results.start(self._classifier.settings, self._classifier.labels)
        if self._results.count:
            note(
                f"{self._options.output} holds {_videos(self._results.count)}, which are not "
                "classified again"
            )

    def take(self, found: Found) -> None:
        """Handle one video, or one place without videos."""
        self._done += 1
        self._line(self._done, self._total, found.path)
        if found.error:
            self._fail(found.path, found.error, found.message)
        elif self._results is not None and self._results.is_done(found.path):
            if self._options.plot is not None:
                self._draw(found.path, self._results.row(found.path))
        else:
            self._classify(found.path)

    def end(self) -> None:
        """Complete what is printed, after an interrupt too."""
        if self._list is not None:
            self._list.end()

    def finish(self) -> int:
        """Complete what is drawn, and return the exit code."""
        from keras_mlp3d import plots

        if self._drawn:
            predictions, frames = zip(*self._drawn, strict=True)
            plots.plot_predictions(
                predictions, frames, self._options.plot, max_frames=_SHOWN_FRAMES
            )
        return self._code

    def _classify(self, path: str) -> None:
        prediction = self._classifier(path)
        if prediction.error:
            self._fail(path, prediction.error)
            return
        if self._results is not None:
            self._results.write(path, _row_of(prediction))
        if self._list is not None:
            self._list.add({"path": path, **_row_of(prediction)})
        else:
            _print_text(prediction)
        if self._options.plot is not None:
            self._draw(path, _row_of(prediction))

    def _draw(self, path: str, row: dict[str, Any]) -> None:
        from keras_mlp3d.data.datasets.check_file import reason_of

        try:
            prediction = _prediction_of(path, row, self._classifier.multi_label)
            self._drawn.append((prediction, _shown_frames(prediction)))
        except Exception as error:  # it was removed or damaged meanwhile, or its row was
            self._say(f"cannot read the video {path!r}: {reason_of(error)}")

    def _fail(self, path: str, reason: str, message: str = "") -> None:
        if self._results is not None:
            nothing: dict[str, Any] = {
                "labels": [],
                "scores": [],
                "frame_indices": None,
                "frame_times": None,
            }
            self._results.write(path, {"error": reason, **nothing})
        self._say(message or f"cannot read the video {path!r}: {reason}")

    def _say(self, message: str) -> None:
        self._code = BAD_INPUT
        print_error(message)


def _digest(model: "keras.Model", files: "Preset", converter: "VideoConverter") -> str:
    """Return a text that differs for other weights, settings or clips under the same name."""
    known = [files.class_name, files.config, files.task, converter.get_config()]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()[:16]


def _shown_frames(prediction: "Prediction") -> "np.ndarray":
    """Return some frames of the first clip of a video, uncropped and reduced."""
    import numpy as np

    from keras_mlp3d.data import read_video

    seen = prediction.frame_indices[0]
    places = (np.arange(_SHOWN_FRAMES) + 0.5) * len(seen) / _SHOWN_FRAMES
    frames, _ = read_video(prediction.path, indices=seen[places.astype(int)])
    step = max(1, frames.shape[1] // _SHOWN_HEIGHT)
    return frames[:, ::step, ::step].copy()


def _print_text(prediction: "Prediction") -> None:
    say(one_line(prediction.path))
    for label, score in zip(prediction.labels, prediction.scores, strict=True):
        say(f"  {100 * score:5.1f} %  {one_line(label)}")


def _row_of(prediction: "Prediction") -> dict[str, Any]:
    times = prediction.frame_times
    return {
        "error": None,
        "labels": list(prediction.labels),
        "scores": list(prediction.scores),
        "frame_indices": prediction.frame_indices.tolist(),
        "frame_times": None if times is None else times.round(6).tolist(),
    }


def _prediction_of(path: str, row: dict[str, Any], multi_label: bool) -> "Prediction":
    import numpy as np

    from keras_mlp3d.inference import Prediction

    indices = np.array(row["frame_indices"], "int64")
    labels, scores = tuple(row["labels"]), tuple(row["scores"])
    return Prediction(path, labels, scores, indices, multi_label=multi_label)


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count:,} videos"
