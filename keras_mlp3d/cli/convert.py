"""`keras-mlp3d convert`: a CycleMLP checkpoint becomes a preset of CycleMLP or MLP-3D."""

import argparse
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.inputs import load_model
from keras_mlp3d.cli.options import add_command, positive
from keras_mlp3d.cli.terminal import SUCCESS, say

if TYPE_CHECKING:
    from keras_mlp3d.hub import Preset

    Shapes = Mapping[str, tuple[int, ...]]

#: A file with more classes is a mistake; the large image data sets have some 22,000.
_MAX_CLASSES = 100_000
_SIZES = ("channels", "depths", "mlp_ratios")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "convert",
        run,
        "make a preset from a CycleMLP checkpoint",
        "Make a preset from a CycleMLP checkpoint (.pth or .safetensors): a preset of CycleMLP, or "
        "with --inflate of the MLP-3D that starts from it (center initialization).",
        [
            "keras-mlp3d convert CycleMLP_B1.pth --to my_cyclemlp",
            "keras-mlp3d convert CycleMLP_B1.pth --to my_mlp3d --inflate mlp3d_xs",
        ],
        computes=True,
        check=check,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=".pth or .safetensors file")
    parser.add_argument(
        "--to",
        required=True,
        metavar="DIRECTORY",
        help="where the preset goes: new, empty, or an earlier preset, which is replaced",
    )
    parser.add_argument(
        "--inflate", metavar="PRESET", help="make this MLP-3D, such as mlp3d_xs, from the weights"
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="PRESET",
        help="the CycleMLP of the checkpoint; default: detected from its shapes",
    )
    parser.add_argument(
        "--num-classes",
        type=positive,
        metavar="N",
        help="with --inflate: classes of the MLP-3D; default: as many as its preset has",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing together, and a folder that is taken."""
    from keras_mlp3d.hub.files import check_directory

    check_directory(options.to)
    if options.inflate is None and options.num_classes is not None:
        raise ValueError("--num-classes is for --inflate: a CycleMLP keeps the checkpoint's head.")


def run(options: argparse.Namespace) -> int:
    """Convert and save. All checks that do not need the checkpoint come before it is read."""
    from keras_mlp3d import conversion, cost, hub

    target = None
    if options.inflate is not None:
        target = _read(options.inflate, "MLP3D", "--inflate")
    source = None if options.source is None else _read(options.source, "CycleMLP", "--from")

    shapes = _checkpoint_shapes(options.checkpoint, source)
    source = source or _find_architecture(shapes, options.checkpoint)
    if target is not None:
        _check_sizes(source, target)
    model, _ = load_model(source, load_weights=False, num_classes=_num_classes(shapes))
    conversion.load_cyclemlp(model, options.checkpoint)

    name = os.path.basename(options.checkpoint)
    origin = f"Converted from {name}, SHA-256 {hub.file_sha256(options.checkpoint)}"
    metadata: dict[str, Any] = {"source": origin}
    if target is None:
        description = f"CycleMLP with the weights of {name}, the sizes of {source.handle}."
        size = source.metadata.get("image_size")
        shape = size and (*size, 3)
        metadata["image_size"] = size
        fresh = []
    else:
        frame_model = model
        model, _ = load_model(target, load_weights=False, num_classes=options.num_classes)
        fresh = conversion.inflate(frame_model, model)
        description = (
            f"MLP-3D with the sizes and schedule of {target.handle}, started from the CycleMLP "
            f"weights of {name} by center initialization; not trained on videos."
        )
        shape = target.clip and (target.clip.frames, *target.clip.size, 3)
    if shape:
        metadata["macs"] = cost.count(model, shape).macs
    model.save_to_preset(options.to, description, **metadata)
    say(f"{options.to}: {description}")
    if fresh:
        say(f"New, not from the checkpoint: {', '.join(fresh)}")
    return SUCCESS


def _read(handle: str, class_name: str, option: str) -> "Preset":
    from keras_mlp3d import hub

    files = hub.read_preset(handle)
    if files.class_name != class_name:
        fitting = ", ".join(known.handle for known in _built_in(class_name))
        raise ValueError(
            f"{option} needs a preset of {class_name}, such as {fitting}; {handle!r} holds a "
            f"{files.class_name}."
        )
    return files


def _sizes(files: "Preset") -> dict[str, tuple[float, ...]]:
    """Return channels, depths and MLP ratios of a preset as tuples of four."""
    values = {}
    for name in _SIZES:
        value = files.config[name]
        values[name] = tuple(value) if isinstance(value, list | tuple) else (value,) * 4
    return values


def _built_in(class_name: str) -> "list[Preset]":
    from keras_mlp3d import hub

    presets = [hub.read_builtin(name) for name in hub.list_presets()]
    return [f for f in presets if f.class_name == class_name and not f.is_converted]


def _checkpoint_shapes(path: str, source: "Preset | None") -> "Shapes":
    """Return {key: shape} of a checkpoint."""
    from keras_mlp3d.conversion.checkpoint import find_state_dict, read_checkpoint

    candidates = [source, *_built_in("CycleMLP")] if source else _built_in("CycleMLP")
    largest = max(files.metadata.get("parameter_count", 0) for files in candidates)
    state = find_state_dict(read_checkpoint(path, largest), f"Checkpoint {path!r}")
    return {key: tuple(value.shape) for key, value in state.items()}


def _find_architecture(shapes: "Shapes", path: str) -> "Preset":
    """Return the built-in CycleMLP whose sizes a checkpoint has."""
    sizes: dict[str, list[float]] = {name: [] for name in _SIZES}
    for stage in (0, 2, 4, 6):
        norm = re.compile(rf"network\.{stage}\.\d+\.norm1\.weight")
        wide = shapes.get(f"network.{stage}.0.norm1.weight") or (0,)
        hidden = shapes.get(f"network.{stage}.0.mlp.fc1.weight") or (0,)
        sizes["channels"].append(wide[0])
        sizes["depths"].append(sum(norm.fullmatch(key) is not None for key in shapes))
        sizes["mlp_ratios"].append(hidden[0] / wide[0] if wide[0] else 0)
    found = {name: tuple(value) for name, value in sizes.items()}
    for files in _built_in("CycleMLP"):
        if _sizes(files) == found:
            return files
    known = ", ".join(files.handle for files in _built_in("CycleMLP"))
    raise ValueError(
        f"Checkpoint {path!r} is of none of {known}: its channels are {found['channels']}, its "
        f"depths {found['depths']}. Name the preset of its CycleMLP with --from."
    )


def _num_classes(shapes: "Shapes") -> int | None:
    """Return how many classes a checkpoint has, or None if it has no head."""
    classes = (shapes.get("head.bias") or (None,))[0]
    if classes is not None and not 1 <= classes <= _MAX_CLASSES:
        raise ValueError(
            f"The checkpoint has a head of {classes} classes; between 1 and {_MAX_CLASSES} are "
            "converted."
        )
    return classes


def _check_sizes(source: "Preset", target: "Preset") -> None:
    """Refuse an MLP-3D that has other sizes than the CycleMLP, before either is built."""
    if _sizes(source) == _sizes(target):
        return
    fitting = [f.handle for f in _built_in("MLP3D") if _sizes(f) == _sizes(source)]
    raise ValueError(
        f"--inflate {target.handle} does not fit the checkpoint, which is a {source.handle}: the "
        f"sizes differ. It fits: {', '.join(fitting) or 'no built-in preset'}."
    )
