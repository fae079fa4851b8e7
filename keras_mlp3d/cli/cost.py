"""`keras-mlp3d cost`: multiply-accumulates, parameters and training memory of a preset."""

import argparse
import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.inputs import load_model
from keras_mlp3d.cli.options import add_command, image_size, positive
from keras_mlp3d.cli.terminal import SUCCESS, one_line, print_json, say

if TYPE_CHECKING:
    from keras_mlp3d.cost import TrainingStep
    from keras_mlp3d.hub import Preset

#: Dtype policies of a training, as a recipe takes them.
DTYPES = ("float32", "bfloat16", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("adamw", "sgd")
#: Options that need --training, and their values without it.
_TRAINING = {
    "batch": None,
    "dtype": None,
    "optimizer": None,
    "ema": False,
    "remat": False,
    "memory": None,
    "rate": None,
    "bandwidth": None,
}


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "cost",
        run,
        "count the cost of a network, layer by layer",
        "Count multiply-accumulates and parameters of a preset, layer by layer, for one clip; with "
        "--training, the memory of a training step. No weights are loaded, and nothing is run.",
        [
            "keras-mlp3d cost mlp3d_xs --size 128",
            "keras-mlp3d cost mlp3d_nano --schedule short_range:4+shift_window:4",
            "keras-mlp3d cost mlp3d_xs --training --batch 8 --dtype mixed_bfloat16 --memory 22GB",
        ],
        computes=True,
        check=check,
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
    _add_training_options(parser)


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "a training step",
        "Memory as Keras uses it on PyTorch. What the card's driver and libraries take is not "
        "in it:\ngive --memory less than the card has.",
    )
    group.add_argument(
        "--training", action="store_true", help="count a training step: memory, layer by layer"
    )
    group.add_argument("--batch", type=positive, metavar="N", help="clips per step; default: 1")
    group.add_argument("--dtype", choices=DTYPES, help="dtype policy; default: float32")
    group.add_argument("--optimizer", choices=OPTIMIZERS, help="default: adamw")
    group.add_argument(
        "--ema", action="store_true", help="with a moving average of the weights (ema_momentum)"
    )
    group.add_argument(
        "--remat", action="store_true", help="blocks compute their activations again"
    )
    group.add_argument(
        "--memory", type=_memory, metavar="SIZE", help="say the largest batch in it: 22GB, 22GiB"
    )
    group.add_argument(
        "--rate",
        type=_flops,
        metavar="RATE",
        help="say the time of a step at this rate of matrix products: 100TFLOP/s",
    )
    group.add_argument(
        "--bandwidth",
        type=_bandwidth,
        metavar="RATE",
        help="with --rate: add the time of what memory moves, at the rate at which it adds two "
        "large arrays: 11GB/s",
    )


_BYTES = {"mb": 1e6, "gb": 1e9, "tb": 1e12, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40}
_FLOPS = {"gflop/s": 1e9, "tflop/s": 1e12, "pflop/s": 1e15}
_BANDWIDTHS = {f"{unit}/s": number for unit, number in _BYTES.items()}


def _memory(text: str) -> float:
    """Read bytes with a unit, such as 24GB (10^9 bytes each) or 24GiB (2^30)."""
    return _with_unit(text, _BYTES, "memory above 0 with a unit, such as 22GB or 22GiB")


def _flops(text: str) -> float:
    """Read operations per second with a unit, such as "100 TFLOP/s" or 50GFLOP/s."""
    return _with_unit(text, _FLOPS, "a rate above 0 with a unit, such as 100TFLOP/s")


def _bandwidth(text: str) -> float:
    """Read bytes per second with a unit, such as 11GB/s."""
    return _with_unit(text, _BANDWIDTHS, "a bandwidth above 0 with a unit, such as 11GB/s")


def _with_unit(text: str, units: Mapping[str, float], expected: str) -> float:
    found = re.fullmatch(r"([0-9]{1,12}(?:[.][0-9]{1,12})?) ?([A-Za-z/]+)", text.strip())
    number = float(found[1]) * units.get(found[2].lower(), 0.0) if found else 0.0
    if not number:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number


def check(options: argparse.Namespace) -> None:
    """Refuse options of a training step without --training."""
    if not options.training:
        for name, unset in _TRAINING.items():
            if getattr(options, name) != unset:
                raise ValueError(f"--{name} is for a training step: add --training.")
    if options.bandwidth is not None and options.rate is None:
        raise ValueError("--bandwidth is for the time of a step: add --rate.")


def run(options: argparse.Namespace) -> int:
    """Print the cost."""
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
    overrides.update(_training_overrides(files, options))
    model, _ = load_model(files, **overrides)
    if options.training:
        return _print_training_step(model, shape, options)
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
    """Return the shape of one input: of the options, or else of the preset."""
    clip = files.clip
    size = options.size or (clip.size if clip else files.metadata.get("image_size")) or (224, 224)
    if files.class_name == "CycleMLP":
        if options.frames is not None:
            raise ValueError("--frames is for networks on clips; a CycleMLP takes single images.")
        return (*size, 3)
    return (options.frames or (clip.frames if clip else 64), *size, 3)


def _training_overrides(files: "Preset", options: argparse.Namespace) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if options.dtype is not None:
        overrides["dtype"] = options.dtype
    if options.remat:
        if files.class_name in ("CycleMLP", "FrameCycleMLP"):
            raise ValueError(
                "--remat is for networks on clips; the blocks of a CycleMLP have none."
            )
        overrides["remat"] = True
    return overrides


def _print_training_step(model: Any, shape: tuple[int, ...], options: argparse.Namespace) -> int:
    import keras

    from keras_mlp3d import cost

    chosen = {"optimizer": options.optimizer or "adamw", "ema": options.ema}
    step = cost.training_step(model, shape, options.batch or 1, **chosen)
    largest = None
    if options.memory is not None:
        largest = cost.largest_batch(model, options.memory, shape, **chosen)
    seconds = None
    if options.rate is not None:
        seconds = step.seconds(options.rate, options.bandwidth)
    dtype = options.dtype or model.dtype_policy.name
    if options.json:
        content = dataclasses.asdict(step)
        content["optimizer_bytes"] = content.pop("optimizer")
        print_json(
            {
                "preset": options.preset,
                "input_shape": list(shape),
                "dtype": dtype,
                "remat": options.remat,
                "memory_counted_as": "torch",
                **chosen,
                **content,
                "seconds": seconds,
                "largest_batch": largest,
            }
        )
        return SUCCESS
    for line in _training_lines(step):
        say(line)
    clip = " x ".join(str(length) for length in shape[:-1])
    remat = ", remat" if options.remat else ""
    say()
    say(
        f"{options.preset} at {clip}, batch {step.batch}, {dtype}, {chosen['optimizer']}{remat}: "
        f"{step.peak / 1e9:.2f} GB at the peak ({one_line(step.peak_at)}), "
        f"{step.macs / 1e9:.2f} G multiply-accumulates"
    )
    if keras.backend.backend() != "torch":
        say(
            "memory is counted as PyTorch keeps it; on a CPU, JAX and TensorFlow took 1.3 to 1.8 "
            "times as much (docs/devices.md)"
        )
    if seconds is not None:
        rate = f"{options.rate / 1e12:g} TFLOP/s"
        if options.bandwidth is None:
            say(f"{seconds:.3g} s per step for matrix products alone, at {rate}")
        else:
            say(f"{seconds:.3g} s per step, at {rate} and {options.bandwidth / 1e9:g} GB/s")
    if largest is not None:
        size = f"{options.memory / 1e9:g} GB"
        say(f"largest batch in {size}: {largest}" if largest else f"no clip fits in {size}")
    return SUCCESS


def _training_lines(step: "TrainingStep") -> list[str]:
    """Return the layers' table, and the parts of the memory below."""
    # A line break in a layer's name would look like a line of the table.
    layers = [dataclasses.replace(row, name=one_line(row.name)) for row in step.layers]
    lines = dataclasses.replace(step, layers=tuple(layers)).table().splitlines()
    parts = ("weights", "gradients", "optimizer", "clips", "activations", "peak")
    values = [f"{getattr(step, part):,}" for part in parts]
    width = max(map(len, values))
    lines += [
        "",
        *(f"{part:<11}  {value:>{width}}" for part, value in zip(parts, values, strict=True)),
    ]
    return lines
