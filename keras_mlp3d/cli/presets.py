"""`keras-mlp3d presets`: the built-in presets."""

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.options import add_command
from keras_mlp3d.cli.terminal import SUCCESS, print_json, say

if TYPE_CHECKING:
    from keras_mlp3d.hub import Preset

_INDENT = "    "


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "presets",
        run,
        "list the built-in presets",
        "List the built-in presets: class, parameters, multiply-accumulates of one clip, the clip "
        "(frames x height x width) and their weights: none, bundled, or fetched at the first load.",
        ["keras-mlp3d presets"],
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Print the presets."""
    from keras_mlp3d.hub.preset import list_presets, read_builtin

    presets = [_row(read_builtin(name)) for name in list_presets()]
    if options.json:
        print_json(presets)
        return SUCCESS
    table = [("name", "class", "parameters", "GMACs", "clip", "weights")]
    for row in presets:
        size = [row["frames"], *row["image_size"]] if row["image_size"] else []
        table.append(
            (
                row["name"],
                row["class_name"],
                "" if row["parameter_count"] is None else f"{row['parameter_count']:,}",
                "" if row["macs"] is None else f"{row['macs'] / 1e9:.2f}",
                "x".join(str(length) for length in size if length),
                row["weights"] if row["weights"] in ("none", "bundled") else "fetched",
            )
        )
    widths = [max(len(line[column]) for line in table) for column in range(6)]
    width = min(max(shutil.get_terminal_size().columns, 60), 120)
    descriptions = ["", *map(_description, presets)]
    for line, description in zip(table, descriptions, strict=True):
        # Numbers are on the right of their columns, so that one space apart is enough.
        cells = [
            f"{cell:>{size}}" if column in (2, 3) else f"{cell:<{size + 1}}"
            for column, (cell, size) in enumerate(zip(line, widths, strict=True))
        ]
        say(" ".join(cells).rstrip())
        for part in textwrap.wrap(description, width - len(_INDENT)):
            say(_INDENT + part)
    return SUCCESS


def _row(preset: "Preset") -> dict[str, Any]:
    metadata, clip = preset.metadata, preset.clip
    size = clip.size if clip else metadata.get("image_size")
    return {
        "name": preset.handle,
        "class_name": preset.class_name,
        "parameter_count": metadata.get("parameter_count"),
        "macs": preset.macs,
        "frames": clip.frames if clip else None,
        "image_size": list(size) if size else None,
        "weights": preset.weights,
        "download_bytes": preset.download_bytes,
        "description": preset.description,
    }


def _description(row: dict[str, Any]) -> str:
    if row["download_bytes"] is None:
        return row["description"]
    megabytes = round(row["download_bytes"] / 1e6)
    return f"{row['description']} The first load downloads {megabytes} MB or more."
