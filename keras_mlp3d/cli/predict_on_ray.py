"""`keras-mlp3d predict --ray`: classifies very many videos on a Ray cluster."""

import argparse

from keras_mlp3d._utils.find_videos import VideoFinder
from keras_mlp3d.cli.inputs import changed_converter
from keras_mlp3d.cli.options import add_ray_options, positive
from keras_mlp3d.cli.signals import sigterm_as_ctrl_c
from keras_mlp3d.cli.terminal import BAD_INPUT, SUCCESS, StatusLine, note, say

_ELSEWHERE = ("plot", "json", "window", "hop", "fps", "camera", "overlay")


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Add --ray and what goes with it."""
    add_ray_options(parser, "classify")
    parser.add_argument(
        "--ray-workers",
        type=positive,
        metavar="N",
        help="with --ray: number of workers; default: as many as there are CPUs and GPUs for",
    )
    parser.add_argument(
        "--part-size",
        type=positive,
        metavar="N",
        help="with --ray: largest number of videos per file; default: 256",
    )


def check_cluster_options(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing with --ray, and the lack of those that it needs."""
    if options.output is None:
        raise ValueError("--ray needs --output FOLDER, for the scores as Parquet files.")
    for name in _ELSEWHERE:
        if getattr(options, name):
            raise ValueError(f"--{name} and --ray exclude each other.")


def run_on_ray(options: argparse.Namespace) -> int:
    """Classify, write Parquet parts, and say how many videos are in them."""
    from keras_mlp3d import hub
    from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES
    from keras_mlp3d.inference import classify_dataset

    files = hub.read_preset(options.preset)
    converter = hub.make_converter(files.converter) if files.converter else None
    finder = VideoFinder(options.videos, note, VIDEO_SUFFIXES)
    with StatusLine("videos") as line, sigterm_as_ctrl_c():
        try:
            scores = classify_dataset(
                (found.path for found in finder),
                options.preset,
                options.output,
                clips=options.clips,
                crops=options.crops,
                top_k=options.top_k,
                batch_size=options.batch_size,
                converter=changed_converter(converter, files, options),
                address=options.ray,
                workers=options.ray_workers,
                cpus_per_worker=options.worker_cpus or 1,
                gpus_per_worker=options.worker_gpus or 0,
                part_size=options.part_size or 256,
                retry_errors=True,
                progress=line,
            )
        except KeyboardInterrupt:
            text = f"The finished parts are in {options.output}."
            raise KeyboardInterrupt(text) from None
    if finder.left_out:
        note(finder.left_out)
    good = scores.videos - scores.failed
    say(f"{good} of {scores.videos} videos are classified, {scores.scored} of them now")
    if scores.failed:
        note(f"unreadable: {scores.failed} of {scores.videos}; the column `error` says why")
    say(f"the results are in {options.output}")
    return BAD_INPUT if scores.failed else SUCCESS
