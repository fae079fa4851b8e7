"""What the commands that train on a data set and search on it share."""

import os
import sys

from keras_mlp3d.cli.common import positive
from keras_mlp3d.cli.manifest_options import add_manifest_options, read_data


def add_data_options(parser):
    """Adds --data, --val, --accept-changed-data and --workers."""
    parser.add_argument(
        "--data",
        required=True,
        metavar="MANIFEST_OR_FOLDER",
        help="training videos: CSV of path,label[,start,end], or folder with a sub-folder a class "
        "(its sub-folder 'train' if it has one)",
    )
    parser.add_argument(
        "--val",
        metavar="MANIFEST_OR_FOLDER",
        help="validation videos; default: the sub-folder 'val' of --data",
    )
    parser.add_argument(
        "--accept-changed-data",
        action="store_true",
        help="resume although more than a few of the videos are gone, new or of another class",
    )
    parser.add_argument(
        "--workers", type=positive, default=2, metavar="N", help="threads that decode; default: 2"
    )
    add_manifest_options(parser)


def add_recipe_options(parser):
    """Adds --recipe and --set."""
    parser.add_argument(
        "--recipe", default="fine_tune", help="built-in name or file; default: %(default)s"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value of the recipe, such as epochs=10 or augmentation.flip=0.5",
    )


def manifests(options, needs_validation=True):
    """Returns the training and the validation manifest, of the same classes, or None for it."""
    training = read_data(options, options.data, "train")
    val = options.val
    if val is None and os.path.isdir(os.path.join(options.data, "val")):
        val = options.data
    if val is None and not needs_validation:
        return training, None
    if val is None:
        raise ValueError("--val is needed, as --data has no sub-folder 'val'.")
    names = None if os.path.isdir(val) else training.class_names
    validation = read_data(options, val, "val", names)
    if validation.class_names != training.class_names:
        odd = sorted({*validation.class_names} ^ {*training.class_names})
        raise ValueError(
            f"--val must have the classes of --data; only one of them has "
            f"{', '.join(map(repr, odd[:5]))}."
        )
    return training, validation


def recipe_of(options):
    """Returns the recipe with the values that were set."""
    from keras_mlp3d.training import Recipe, parse_overrides

    return Recipe.load(options.recipe).replace(**parse_overrides(options.set))


def verbosity():
    """A bar is for whoever watches; a log gets a line an epoch."""
    return 1 if sys.stdout.isatty() else 2
