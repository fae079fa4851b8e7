"""`keras-mlp3d cost`: multiply-accumulates and parameters of a preset."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.inputs import load_model
from keras_mlp3d.cli.options import add_command, image_size, positive
from keras_mlp3d.cli.terminal import SUCCESS, one_line, print_json, say

if TYPE_CHECKING:
    from keras_mlp3d.hub import Preset


def add_parser(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "cost",
        run,
        "count the cost of a network, layer by layer",
        "Count multiply-accumulates and parameters of a preset, layer by layer, for one clip. "
        "No weights are loaded.",
        [
            "keras-mlp3d cost mlp3d_xs --size 128",
            "keras-mlp3d cost mlp3d_nano --schedule short_range:4+shift_window:4",
        ],
        computes=True,
    )
    parser.add_argument(
        "preset", metavar="PRESET", help="built-in name, directory or hf:// address"
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="frames of the clip; default: the preset's"
    )
    parser.add_argument(
        "--size", type=image_size, metavar="N|HxW", help="pixels of the clip; default: the preset's"
    )
    parser.add_argument(
        "--schedule",
        metavar="S",
        help="time mixing instead of the preset's: kind:group_size; several alternate if joined by "
        "+, or are one per block if joined by commas",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Prints the cost."""
    from keras_mlp3d import cost, hub

    files = hub.read_preset(options.preset)
    shape = _input_shape(files, options)
    overrides: dict[str, Any] = {"load_weights": False}
    by_frame = files.class_name in ("CycleMLP", "FrameCycleMLP")
    if not by_frame:
        # The kernel of full time mixing is as large as the clip is long.
        overrides["input_shape"] = (shape[0], None, None, 3)
    if options.schedule is not None:
        if by_frame:
            raise ValueError("--schedule is for networks on clips; a CycleMLP mixes no time.")
        turns = options.schedule.split(",")
        overrides["schedule"] = turns if len(turns) > 1 else options.schedule
    model, _ = load_model(files, **overrides)
    counted = cost.count(model, shape)
    if options.json:
        print_json(
            {
                "preset": options.preset,
                "input_shape": list(shape),
                "macs": counted.macs,
                "params": counted.params,
                "layers": [
                    {
                        "name": layer.name,
                        "output_shape": list(layer.output_shape),
                        "macs": layer.macs,
                        "params": layer.params,
                    }
                    for layer in counted.layers
                ],
            }
        )
        return SUCCESS
    # A line break in a layer's name would look like a line of the table.
    layers = [dataclasses.replace(layer, name=one_line(layer.name)) for layer in counted.layers]
    for line in dataclasses.replace(counted, layers=tuple(layers)).table().splitlines():
        say(line)
    clip = " x ".join(str(length) for length in shape[:-1])
    say()
    say(
        f"{options.preset} at {clip}: {counted.macs / 1e9:.2f} G multiply-accumulates, "
        f"{counted.params / 1e6:.2f} M parameters"
    )
    return SUCCESS


def _input_shape(files: "Preset", options: argparse.Namespace) -> tuple[int, ...]:
    """Returns the shape of one input: of the options, or else of the preset."""
    clip = files.clip
    size = options.size or (clip.size if clip else files.metadata.get("image_size")) or (224, 224)
    if files.class_name == "CycleMLP":
        if options.frames is not None:
            raise ValueError("--frames is for networks on clips; a CycleMLP takes single images.")
        return (*size, 3)
    return (options.frames or (clip.frames if clip else 64), *size, 3)
