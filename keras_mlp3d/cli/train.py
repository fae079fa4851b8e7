"""`keras-mlp3d train`: trains or fine-tunes a network on labelled videos."""

import dataclasses
import importlib.util
import os
import pathlib
import shlex
import sys

from keras_mlp3d.cli.common import SUCCESS, add_command, load_model, positive

_CLASSES = ("MLP3D", "TwoPathMLP3D")


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "train",
        run,
        "train or fine-tune a network on labelled videos",
        "Train a network as a recipe says. Everything is written into the folder of the run: a "
        "checkpoint after every epoch, the history, and in the end the best network as a preset, "
        "with its curves and its confusion matrix. Killed or interrupted, the same command goes "
        "on where it was.",
        [
            "keras-mlp3d train --data videos --preset mlp3d_nano_motion_shapes \\",
            "    --recipe fine_tune --run runs/first --set epochs=10",
            "keras-mlp3d predict video.mp4 --preset runs/first/preset",
        ],
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="MANIFEST_OR_FOLDER",
        help="training videos: CSV of path,label[,start,end], or folder with a sub-folder a class "
        "(its sub-folder 'train' where it has one)",
    )
    parser.add_argument(
        "--val",
        metavar="MANIFEST_OR_FOLDER",
        help="validation videos; default: the sub-folder 'val' of --data where it has one",
    )
    parser.add_argument(
        "--preset", required=True, help="built-in name, directory or hf:// address to start from"
    )
    parser.add_argument(
        "--from-scratch", action="store_true", help="do not load the weights of the preset"
    )
    parser.add_argument("--schedule", help="another schedule, such as shift_token:4")
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
    parser.add_argument(
        "--run",
        dest="folder",
        default="run",
        metavar="DIRECTORY",
        help="folder of the run; default: %(default)s",
    )
    parser.add_argument(
        "--workers", type=positive, default=2, metavar="N", help="threads that decode; default: 2"
    )


def run(options):
    """Trains, evaluates, and writes the preset."""
    import keras

    from keras_mlp3d.data import Augmenter, VideoLoader
    from keras_mlp3d.training import Recipe, parse_overrides, train

    recipe = Recipe.load(options.recipe).replace(**parse_overrides(options.set))
    training, validation = _manifests(options)
    keras.utils.set_random_seed(recipe.seed)
    model = _model(options, recipe, training.class_names)
    steps = {
        "batch_augmentation": None if recipe.batch_augmentation == 1 else recipe.batch_augmentation,
        "label_smoothing": recipe.label_smoothing,
    }
    augment = Augmenter.from_config({**recipe.augmentation, **steps})
    loader = VideoLoader(
        training,
        _training_converter(model.converter, recipe),
        recipe.batch_size * recipe.batch_augmentation,
        training=True,
        augment=augment,
        seed=recipe.seed,
        workers=options.workers,
    )
    checks = validation and VideoLoader(
        validation,
        model.converter,
        recipe.batch_size,
        one_hot=loader.source.one_hot,
        workers=options.workers,
    )
    identity = {
        "model": {
            "preset": options.preset,
            "from_scratch": options.from_scratch,
            "schedule": options.schedule,
        },
        "training": {"clips": len(training), "digest": training.digest},
        "validation": validation and {"clips": len(validation), "digest": validation.digest},
    }
    print(
        f"{len(training)} training and {len(validation or ())} validation videos of "
        f"{len(training.class_names)} classes; run in {options.folder}"
    )
    # A bar is for whoever watches; a log gets a line an epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    result = train(model, recipe, loader, checks, options.folder, identity, verbose)
    unreadable = loader.source.unreadable
    if unreadable:
        print(f"{len(unreadable)} training videos could not be read and were skipped")
    _finish(options, model, validation, result)
    return SUCCESS


def _manifests(options):
    from keras_mlp3d.data import read_manifest

    training = read_manifest(options.data, "train")
    val = options.val
    if val is None and os.path.isdir(os.path.join(options.data, "val")):
        val = options.data
    if val is None:
        return training, None
    names = None if os.path.isdir(val) else training.class_names
    validation = read_manifest(val, "val", class_names=names)
    if validation.class_names != training.class_names:
        odd = sorted({*validation.class_names} ^ {*training.class_names})
        raise ValueError(
            f"--val must have the classes of --data; only one of them has "
            f"{', '.join(map(repr, odd[:5]))}."
        )
    return training, validation


def _model(options, recipe, class_names):
    from keras_mlp3d import hub

    stored = hub.read_preset(options.preset)
    overrides = {
        "drop_path_rate": recipe.drop_path_rate,
        "dropout": recipe.dropout,
        "schedule": options.schedule,
        "dtype": None if recipe.dtype == "float32" else recipe.dtype,
        "max_group_size": recipe.max_group_size,
    }
    overrides = {name: value for name, value in overrides.items() if value is not None}
    model, _ = load_model(
        options.preset,
        _CLASSES,
        load_weights=not options.from_scratch and stored.metadata.get("weights") != "none",
        num_classes=len(class_names),
        class_names=list(class_names),
        activation=None,
        **overrides,
    )
    values = {
        "num_frames": recipe.num_frames,
        "image_size": recipe.image_size,
        "sampling": recipe.sampling,
        "frame_stride": recipe.frame_stride,
    }
    values = {name: value for name, value in values.items() if value is not None}
    if model.converter is None:
        raise ValueError(
            f"The preset {options.preset!r} does not say how clips are made of videos."
        )
    model.converter = dataclasses.replace(model.converter, **values)
    return model


def _training_converter(converter, recipe):
    """The paper crops at random, where no augmentation does."""
    if converter.crop != "center" or "crop" in recipe.augmentation:
        return converter
    return dataclasses.replace(converter, crop="random")


def _finish(options, model, validation, result):
    """Evaluates the best network, writes it as a preset, and draws."""
    from keras_mlp3d.inference import evaluate

    folder = pathlib.Path(options.folder)
    drawing = importlib.util.find_spec("matplotlib") is not None
    if drawing:
        from keras_mlp3d import plots

        plots.plot_curves(result.history, folder / "curves.png")
    command = shlex.join(["keras-mlp3d", *sys.argv[1:]])
    metadata = {"training": {"command": command, "best_epoch": result.best_epoch + 1}}
    if validation is not None:
        evaluation = evaluate(model, validation, workers=options.workers)
        evaluation.write_json(folder / "evaluation.json")
        if drawing:
            plots.plot_confusion(
                evaluation.confusion, evaluation.class_names, folder / "confusion.png"
            )
        low, high = evaluation.top1_interval
        print(
            f"top-1 {evaluation.top1:.4f} (95 % interval {low:.4f} to {high:.4f}) on "
            f"{evaluation.expected} validation videos, epoch {result.best_epoch + 1}"
        )
        metadata["metrics"] = [
            {
                "name": "top-1 accuracy",
                "value": round(evaluation.top1, 4),
                "dataset": pathlib.Path(options.val or options.data).name,
                "split": f"val, {evaluation.expected} videos; chosen by it among "
                f"{len(result.history['loss'])} epochs",
                "command": command,
            }
        ]
    model.save_to_preset(
        folder / "preset",
        description=f"{options.preset} trained with {options.recipe}.",
        **metadata,
    )
    print(f"the network is the preset {folder / 'preset'}")
