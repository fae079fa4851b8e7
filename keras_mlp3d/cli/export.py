"""`keras-mlp3d export`: a network for programs without Keras."""

import argparse
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.inputs import CLASSIFIERS, asked_converter, load_model, read_data
from keras_mlp3d.cli.options import add_command, add_manifest_options, image_size, positive
from keras_mlp3d.cli.start_keras import filtered_errors
from keras_mlp3d.cli.terminal import BAD_INPUT, SUCCESS, StatusLine, print_error, say

if TYPE_CHECKING:
    import numpy as np

    from keras_mlp3d.data import Manifest, VideoConverter
    from keras_mlp3d.export import Row

#: Those of `keras_mlp3d.export`, which is not imported for the help.
_FORMATS = ("tf_saved_model", "onnx", "openvino", "litert", "torch")
_TITLES = ("format", "version", "open axes", "MB", "top-1", "difference", "ms/clip")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "export",
        run,
        "write a network as ONNX, LiteRT, OpenVINO, SavedModel or PyTorch program",
        "Write a network in a format that runs without Keras. The result is run in its own runtime "
        "and compared with the network before it appears. Next to it are NAME.json (labels, "
        "converter, shapes) and NAME.example.py. With --benchmark, compare all formats that the "
        "backend can make.",
        [
            "keras-mlp3d export --preset my_preset --format onnx --to model.onnx --preprocessing",
            "keras-mlp3d export --preset my_preset --format litert --to model.tflite --int8 \\",
            "    --backend tensorflow",
            "keras-mlp3d export --preset my_preset --benchmark --data val.csv",
        ],
        computes=True,
        check=check,
    )
    parser.add_argument(
        "--preset", required=True, help="built-in name, directory or hf:// address of the network"
    )
    parser.add_argument("--format", choices=_FORMATS, help="format to write")
    parser.add_argument("--to", metavar="PATH", help="file to write, or folder for tf_saved_model")
    parser.add_argument(
        "--preprocessing",
        action="store_true",
        help="take uint8 frames of any number and size, and return scores",
    )
    parser.add_argument(
        "--int8", action="store_true", help="store weights in 8 bits; for onnx and litert"
    )
    parser.add_argument(
        "--clips", type=positive, default=1, metavar="N", help="clips per video; default: 1"
    )
    parser.add_argument(
        "--crops", type=positive, default=1, metavar="N", help="crops per clip; default: 1"
    )
    parser.add_argument(
        "--batch", type=positive, metavar="N", help="inputs per batch; default: any number"
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="frames per clip; default: any that fit"
    )
    parser.add_argument(
        "--size", type=image_size, metavar="N|HxW", help="pixels of a clip; default: any"
    )
    parser.add_argument(
        "--benchmark",
        action="store_true",
        help="print a table of all formats of the backend: size, accuracy, difference, time",
    )
    parser.add_argument(
        "--data",
        metavar="MANIFEST_OR_FOLDER",
        help="labeled videos for --benchmark: CSV of path,label, or folder with a sub-folder per "
        "class",
    )
    parser.add_argument(
        "--split",
        default="val",
        help="split, and the sub-folder to read if the folder has it; default: %(default)s",
    )
    add_manifest_options(parser)


def check(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing together, and the lack of those that are needed."""
    if options.benchmark:
        for name in ("format", "to", "preprocessing", "int8", "batch"):
            if getattr(options, name):
                raise ValueError(
                    f"--{name} has no effect with --benchmark, which tries all formats."
                )
        return
    for name in ("format", "to"):
        if getattr(options, name) is None:
            raise ValueError(f"--{name} is needed, except with --benchmark.")
    if options.data is not None:
        raise ValueError("--data is for --benchmark.")


def run(options: argparse.Namespace) -> int:
    """Export, or compare all formats."""
    if options.benchmark:
        return _benchmark(options)
    model, _ = load_model(options.preset, CLASSIFIERS, on_clips=options.preprocessing)
    with filtered_errors():  # other backends import TensorFlow for some formats
        exported = model.export(
            options.to,
            options.format,
            batch=options.batch,
            frames=options.frames,
            size=options.size,
            preprocessing=options.preprocessing,
            clips=options.clips,
            crops=options.crops,
            int8=options.int8,
        )
    say(
        f"{exported.path}: {exported.format}, {exported.version}, {exported.size / 1e6:.1f} MB, "
        f"open axes: {', '.join(exported.open_axes) or 'none'}; largest difference "
        f"{exported.largest_difference:.1e} of the spread of the logits"
    )
    return SUCCESS


def _benchmark(options: argparse.Namespace) -> int:
    from keras_mlp3d import export

    model, files = load_model(options.preset, CLASSIFIERS, on_clips=True)
    converter = asked_converter(model, files, options)
    failures: list[str] = []
    videos: Any = ()
    if options.data is not None:
        names = None if options.class_names is None else model.class_names
        manifest = read_data(options, options.data, options.split, names or model.class_names)
        if model.class_names is not None and list(manifest.class_names) != model.class_names:
            raise ValueError("--data must have the classes of the preset, in their order.")
        videos = _clips(manifest, dataclasses.replace(converter, crop="center"), failures)
    shape = (converter.num_frames, *converter.image_size, 3)
    with filtered_errors():
        rows = export.benchmark(model, shape, videos)
    say("| " + " | ".join(_TITLES) + " |")
    say("|" + " --- |" * len(_TITLES))
    for row in rows:
        say("| " + " | ".join(_cells(row)) + " |")
    for failure in failures:
        print_error(failure)
    return BAD_INPUT if failures else SUCCESS


def _clips(
    manifest: "Manifest", converter: "VideoConverter", failures: list[str]
) -> "Iterator[tuple[np.ndarray, int]]":
    """Yield the clip and the label of each readable video; unreadable ones go to `failures`."""
    from keras_mlp3d.data.datasets.check_file import reason_of

    manifest.check_one_label("--benchmark")
    with StatusLine("videos") as line:
        for number, row in enumerate(manifest.rows, start=1):
            line(number, len(manifest), row.name)
            label = int(manifest.labels[number - 1])
            try:
                yield converter(row.path, start=row.start, end=row.end), label
            # Any error is one of this video.
            except Exception as error:
                failures.append(f"cannot read the video {row.name!r}: {reason_of(error)}")


def _cells(row: "Row") -> list[str]:
    exported = row.exported
    if row.error:
        return [row.name, row.error, *("",) * (len(_TITLES) - 2)]
    return [
        row.name,
        "" if exported is None else exported.version,
        "" if exported is None else ", ".join(exported.open_axes) or "none",
        "" if exported is None else f"{exported.size / 1e6:.2f}",
        "" if row.top1 is None else f"{100 * row.top1:.1f} %",
        "" if exported is None else f"{exported.largest_difference:.1e}",
        f"{row.milliseconds:.1f}",
    ]
