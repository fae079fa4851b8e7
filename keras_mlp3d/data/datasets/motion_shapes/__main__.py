"""`python -m keras_mlp3d.data.datasets.motion_shapes`: writes the data set as video files."""

import argparse
import sys
from collections.abc import Sequence

from keras_mlp3d._utils.progress import Progress
from keras_mlp3d.data.datasets.motion_shapes import (
    EXTRA_CLASS_NAMES,
    SPLITS,
    write_motion_shapes,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: write the data set and show progress."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_mlp3d.data.datasets.motion_shapes",
        description="Write the motion-shapes videos, one folder per class.",
    )
    parser.add_argument("directory")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--num-clips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-frames", type=int, default=32)
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--fps", type=int, default=16)
    parser.add_argument("--classes", nargs="+", metavar="A_THEN_B", help="default: the 20 classes")
    parser.add_argument("--extra", action="store_true", help="the classes of other events instead")
    options = vars(parser.parse_args(arguments))
    if options.pop("extra"):
        options["classes"] = options["classes"] or EXTRA_CLASS_NAMES
    try:
        with Progress("files") as progress:
            written = write_motion_shapes(**options, progress=progress)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{written} files written to {options['directory']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
