"""`keras-mlp3d train`: trains or fine-tunes a network on labeled videos."""

import argparse
import contextlib
import importlib.util
import os
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.one_writer import only_writer
from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d.cli.evaluation_table import draw_classes, headline, several
from keras_mlp3d.cli.inputs import CLASSIFIERS, image_converter, load_model, manifests, recipe_of
from keras_mlp3d.cli.options import (
    add_command,
    add_data_options,
    add_recipe_options,
    count,
    positive,
)
from keras_mlp3d.cli.signals import StopOnSignal
from keras_mlp3d.cli.terminal import SUCCESS, print_error, say, verbosity

if TYPE_CHECKING:
    import keras

    from keras_mlp3d.data import Manifest
    from keras_mlp3d.inference import Evaluation
    from keras_mlp3d.training import Distribution, Recipe, TrainingRun

_NAMED = 5  # unreadable videos that are named when all is done
#: From so many clips on, processes that decode are worth the time in which they start.
_MANY_CLIPS = 1_000
_MOST_PROCESSES = 8
_THREADS = 2


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "train",
        run,
        "train or fine-tune a network on labeled videos",
        "Train a network as a recipe says. Everything is written into the folder of the run: a "
        "checkpoint after every epoch, the history, and at the end the best network as a preset, "
        "with its curves, its confusion matrix and some wrong answers. If videos may have several "
        "labels (--label-separator), each class gets a score of its own, and there is a picture of "
        "their average precisions instead. Ctrl-C stops it after the "
        "current step and a checkpoint, a second Ctrl-C at once. The same command then resumes, "
        "also after a kill, and also if a few videos are gone or new.",
        [
            "keras-mlp3d train --data videos --preset mlp3d_nano_motion_shapes \\",
            "    --recipe fine_tune --run runs/first --set epochs=10",
            "keras-mlp3d predict video.mp4 --preset runs/first/preset",
        ],
        computes=True,
    )
    add_data_options(parser)
    parser.set_defaults(workers=None)  # whether a number is asked for decides on processes
    parser.add_argument(
        "--processes",
        type=count,
        metavar="N",
        help="decode in N processes, each with a Python of its own, in place of the threads of "
        f"--workers; 0: in these threads; default: on PyTorch, if videos times epochs are "
        f"{_MANY_CLIPS:,} or more and --workers is not given, one per processor, without a GPU one "
        f"fewer, and at most {_MOST_PROCESSES}, else 0",
    )
    parser.add_argument(
        "--preset",
        required=True,
        help="built-in name, directory or hf:// address to start from; a CycleMLP is trained frame "
        "by frame",
    )
    parser.add_argument(
        "--from-scratch", action="store_true", help="do not load the weights of the preset"
    )
    parser.add_argument("--schedule", help="another schedule, such as shift_token:4")
    add_recipe_options(parser)
    parser.add_argument(
        "--run",
        dest="folder",
        default="run",
        metavar="DIRECTORY",
        help="folder of the run; default: %(default)s",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=positive,
        metavar="STEPS",
        help="write a checkpoint also every STEPS steps; default: only after every epoch",
    )
    parser.add_argument(
        "--anew",
        action="store_true",
        help="if the folder holds another run, move its files into a sub-folder and start from "
        "scratch",
    )
    parser.add_argument(
        "--track",
        choices=("tensorboard", "wandb", "mlflow"),
        metavar="SERVICE",
        help="also send loss and accuracy to tensorboard, wandb (Weights & Biases) or mlflow; a "
        "resumed training continues the same run there",
    )
    parser.add_argument(
        "--devices",
        type=positive,
        metavar="N",
        help="devices of this process that share each batch (TensorFlow, JAX); default: all",
    )


def run(options: argparse.Namespace) -> int:
    """Train on all devices, evaluate, and write the preset."""
    from keras_mlp3d.training import distribute

    with distribute(options.devices) as distribution, contextlib.ExitStack() as stack:
        if not distribution.is_chief:
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        return _train(options, distribution)


def _processes(options, clips):
    """Return how many processes decode: as asked for, or on PyTorch, where a step is Python too.

    Args:
        options: Arguments of the command line. A number of threads that is asked for is kept.
        clips: Number of clips that the training takes, over all epochs.
    """
    import keras

    if options.processes is not None:
        return options.processes
    if keras.backend.backend() != "torch" or clips < _MANY_CLIPS or options.workers is not None:
        return 0
    trainings = os.environ.get("LOCAL_WORLD_SIZE", "")  # of torchrun on this machine
    processors = default_workers() // (int(trainings) if trainings.isdecimal() else 1)
    if processors < 2:
        return 0
    for_steps = 1 if _device_of_steps() == "cpu" else 0
    processes = min(processors - for_steps, _MOST_PROCESSES)
    say(f"processes that decode: {processes} (--processes 0: threads)")
    return processes


def _device_of_steps():
    """Return the kind of device that PyTorch computes on."""
    import keras

    return keras.ops.convert_to_tensor(0.0).device.type


def _train(options: argparse.Namespace, distribution: "Distribution") -> int:
    from keras_mlp3d.training import (
        EventFiles,
        data_identity,
        make_loaders,
        set_random_seed,
        tracked,
        train,
    )

    recipe = recipe_of(options)
    training, validation = manifests(options, needs_validation=False)
    set_random_seed(recipe.seed)
    model = _model(options, recipe, training)
    processes = _processes(options, len(training) * recipe.epochs)
    options.workers = options.workers or _THREADS
    loader, checks = make_loaders(
        *(recipe, training, validation, model.converter, options.workers, distribution.shard),
        processes=processes,
    )
    identity = {
        "model": {
            "preset": options.preset,
            "from_scratch": options.from_scratch,
            "schedule": options.schedule,
        },
        **data_identity(training, validation),
    }
    say(
        f"{len(training)} training and {len(validation or ())} validation videos of "
        f"{len(training.class_names)} classes; run in {options.folder}"
    )
    if EventFiles.available():
        say(f"curves while it trains: tensorboard --logdir {shlex.quote(options.folder)}")
    service = options.track if distribution.is_chief else None
    tracking = tracked(service, options.folder, recipe, **identity["model"])
    # From the first comparison to the preset.
    with only_writer(options.folder) if distribution.is_chief else contextlib.nullcontext():
        with tracking as callbacks, StopOnSignal() as stop:
            result = train(
                *(model, recipe, loader, checks, options.folder, identity, verbosity()),
                options.checkpoint_every,
                stop,
                options.anew,
                options.accept_changed_data,
                callbacks,
            )
        _print_unreadable(result)
        _finish(options, model, validation, result)
    return SUCCESS


def _model(options: argparse.Namespace, recipe: "Recipe", training: "Manifest") -> "keras.Model":
    from keras_mlp3d import hub
    from keras_mlp3d.training import clip_converter, network_options

    stored = hub.read_preset(options.preset)
    if training.multi_label and stored.class_name not in ("MLP3D", "MLP3DBackbone"):
        raise ValueError(
            "The videos may have several labels, which an MLP3D alone learns; the preset "
            f"{options.preset!r} holds a {stored.class_name}."
        )
    if stored.converter is not None:
        converter = hub.make_converter(stored.converter)
    elif stored.class_name == "CycleMLP":
        converter = image_converter(stored)
    else:
        raise ValueError(f"The preset {options.preset!r} does not say how a video becomes a clip.")
    converter = clip_converter(converter, recipe)
    overrides = network_options(recipe, converter.num_frames)
    if options.schedule is not None:
        overrides["schedule"] = options.schedule
    model, _ = load_model(
        stored,
        CLASSIFIERS,
        on_clips=True,
        load_weights=not options.from_scratch and stored.metadata.get("weights") != "none",
        num_classes=len(training.class_names),
        class_names=list(training.class_names),
        activation="sigmoid" if training.multi_label else None,
        **overrides,
    )
    model.converter = converter
    return model


def _finish(
    options: argparse.Namespace,
    model: "keras.Model",
    validation: "Manifest | None",
    result: "TrainingRun",
) -> None:
    """Evaluate the best network, write it as a preset, and draw."""
    from keras_mlp3d.inference import evaluate
    from keras_mlp3d.models.switchable import without_training
    from keras_mlp3d.training import current_distribution

    if not current_distribution().is_chief:
        if validation is not None:  # the devices of all processes may be needed for it
            evaluate(model, validation, workers=options.workers)
        return
    folder = pathlib.Path(options.folder)
    drawing = importlib.util.find_spec("matplotlib") is not None
    if drawing:
        from keras_mlp3d import plots

        plots.plot_curves(result.history, folder / "curves.png")
    command = options.command_line
    metadata: dict[str, Any] = {
        "training": {"command": command, "best_epoch": result.best_epoch + 1}
    }
    if validation is not None:
        evaluation = evaluate(model, validation, workers=options.workers)
        evaluation.write_json(folder / "evaluation.json")
        _print_failed(evaluation, folder / "evaluation.json")
        if drawing:
            _draw(evaluation, folder)
        metric, value, interval = headline(evaluation)
        said = "none" if value is None else f"{value:.4f}"
        if interval is not None:
            said += f" (95 % interval {interval[0]:.4f} to {interval[1]:.4f})"
        say(
            f"{metric.removesuffix(' accuracy')} {said} on {evaluation.expected} validation "
            f"videos, epoch {result.best_epoch + 1}"
        )
        metadata["metrics"] = [
            {
                "name": metric,
                "value": None if value is None else round(value, 4),
                "dataset": pathlib.Path(options.val or options.data).name,
                "split": f"val, {evaluation.expected} videos; chosen by it among "
                f"{len(result.history['loss'])} epochs",
                "command": command,
            }
        ]
    if getattr(model, "lora_rank", None) is not None:
        model.save_lora_weights(folder / "adapters.lora.h5")
        model.merge_lora()
        say(f"the adapters alone are {folder / 'adapters.lora.h5'}")
    without_training(model).save_to_preset(
        folder / "preset",
        description=f"{options.preset} trained with {options.recipe}.",
        **metadata,
    )
    say(f"the network is the preset {folder / 'preset'}")


def _draw(evaluation: "Evaluation", folder: pathlib.Path) -> None:
    """Draw which classes are mistaken, or, if videos may have several, which are hard."""
    from keras_mlp3d import plots
    from keras_mlp3d.inference import wrong_answers

    if several(evaluation) is not None:
        draw_classes(evaluation, folder / "average_precision.png")
        return
    draw_classes(evaluation, folder / "confusion.png")
    plots.plot_wrong_answers(*wrong_answers(evaluation), folder / "wrong.png")


def _print_unreadable(result: "TrainingRun") -> None:
    """Print how many videos were unreadable in the run, and which file names them."""
    for split, what in (("training", "replaced by others"), ("validation", "counted as wrong")):
        count = sum(video.split == split for video in result.unreadable)
        if count:
            say(
                f"{count} {split} video{'s were' if count > 1 else ' was'} unreadable in some "
                f"epochs and {what}: {pathlib.Path(result.folder) / 'unreadable.csv'}"
            )


def _print_failed(evaluation: "Evaluation", path: pathlib.Path) -> None:
    """Name the unreadable videos of an evaluation."""
    shown = evaluation.failed[:_NAMED]
    for name, reason in shown:
        print_error(f"cannot read the video {name!r}: {reason}")
    if len(evaluation.failed) > len(shown):
        print_error(f"and {len(evaluation.failed) - len(shown)} more; {path} lists them all")
    if evaluation.failed:
        say(
            f"{len(evaluation.failed)} of {evaluation.expected} validation videos cannot be read "
            "and count as wrong"
        )
