"""`keras-mlp3d predict`: what a network says of videos."""

import os
import sys

from keras_mlp3d.cli._views import add_view_options, asked_converter
from keras_mlp3d.cli.common import (
    BAD_INPUT,
    CLASSIFIERS,
    SUCCESS,
    add_command,
    load_model,
    one_line,
    positive,
    print_error,
    print_json,
)

DEFAULT_PRESET = "mlp3d_nano_motion_shapes"

_SHOWN_FRAMES, _SHOWN_HEIGHT = 8, 240


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "predict",
        run,
        "classify videos",
        "Classify videos. Scores are averaged over all views of a video: clips x crops. A video "
        "that cannot be read is named on standard error, the others are classified, and the exit "
        "code is 2.",
        [
            "keras-mlp3d predict video.mp4",
            "keras-mlp3d predict videos/ --preset my_preset --clips 4 --plot predictions.png",
        ],
    )
    parser.add_argument(
        "videos",
        metavar="VIDEO",
        nargs="+",
        help="video file, or folder: all videos in it and below",
    )
    parser.add_argument(
        "--preset",
        default=DEFAULT_PRESET,
        help="built-in name, directory or hf:// address; default: %(default)s",
    )
    add_view_options(parser, crops=3)
    parser.add_argument(
        "--top-k", type=positive, default=5, metavar="N", help="classes to name; default: 5"
    )
    parser.add_argument(
        "--plot", metavar="PICTURE", help="write frames and scores as .png, .pdf or .svg"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")


def run(options):
    """Classifies, prints, and draws."""
    from keras_mlp3d import plots
    from keras_mlp3d.data import VideoError
    from keras_mlp3d.inference import classify

    paths = _find_videos(options.videos)
    if options.plot is not None:
        plots.check_picture_path(options.plot)
        if len(paths) > plots.MAX_ROWS:
            raise ValueError(f"--plot draws at most {plots.MAX_ROWS} videos, got {len(paths)}.")
    model, files = load_model(options.preset, CLASSIFIERS)
    converter = asked_converter(model, files, options)
    progress = _Progress(len(paths), options.json)
    predictions, frames, code = [], [], SUCCESS
    for path in paths:
        progress.show(path)
        try:
            [prediction] = classify(
                model,
                path,
                clips=options.clips,
                crops=options.crops,
                top_k=options.top_k,
                batch_size=options.batch_size,
                converter=converter,
            )
            if options.plot is not None:
                frames.append(_shown_frames(prediction))
        except (VideoError, FileNotFoundError) as error:
            progress.clear()
            print_error(error)
            code = BAD_INPUT
            continue
        predictions.append(prediction)
        progress.clear()
        if not options.json:
            _print_text(prediction)
    if options.json:
        print_json([_as_json(prediction) for prediction in predictions])
    if options.plot is not None and predictions:
        plots.plot_predictions(predictions, frames, options.plot, max_frames=_SHOWN_FRAMES)
    return code


def _find_videos(names):
    """Returns the video files that are meant, those of a folder sorted."""
    from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES

    paths = []
    for name in names:
        if not os.path.isdir(name):
            if not os.path.exists(name):
                raise FileNotFoundError(f"no such video file or folder: {name}")
            paths.append(name)
            continue
        inside = []
        for folder, folders, files in os.walk(name):
            folders[:] = [entry for entry in folders if not entry.startswith(".")]
            inside += [
                os.path.join(folder, file)
                for file in files
                if file.lower().endswith(VIDEO_SUFFIXES) and not file.startswith(".")
            ]
        if not inside:
            raise ValueError(
                f"The folder {name!r} holds no videos; files ending in {', '.join(VIDEO_SUFFIXES)} "
                "count."
            )
        paths += sorted(inside)
    return paths


def _shown_frames(prediction):
    """Returns some of the frames that the first clip of a video holds, whole and small."""
    import numpy as np

    from keras_mlp3d.data import read_video

    seen = prediction.frame_indices[0]
    places = (np.arange(_SHOWN_FRAMES) + 0.5) * len(seen) / _SHOWN_FRAMES
    frames, _ = read_video(prediction.path, indices=seen[places.astype(int)])
    step = max(1, frames.shape[1] // _SHOWN_HEIGHT)
    return frames[:, ::step, ::step].copy()


def _print_text(prediction):
    print(one_line(prediction.path))
    for label, score in zip(prediction.labels, prediction.scores, strict=True):
        print(f"  {100 * score:5.1f} %  {one_line(label)}")
    sys.stdout.flush()


def _as_json(prediction):
    return {
        "path": prediction.path,
        "labels": list(prediction.labels),
        "scores": list(prediction.scores),
        "frame_indices": prediction.frame_indices.tolist(),
    }


class _Progress:
    """A line on standard error that says how far it is, where a person watches and no text does."""

    def __init__(self, total, silent):
        watched = sys.stderr.isatty() and (silent or not sys.stdout.isatty())
        self.total, self.done, self.on = total, 0, watched and total > 1

    def show(self, path):
        self.done += 1
        if self.on:
            name = one_line(os.path.basename(path))[:50]
            print(f"\r\033[K{self.done}/{self.total} {name}", end="", file=sys.stderr, flush=True)

    def clear(self):
        if self.on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
