"""`keras-mlp3d search`: finds the schedule for one's own videos."""

import importlib.util
import os
import pathlib

from keras_mlp3d._utils.progress import Progress
from keras_mlp3d.cli._runs import (
    add_data_options,
    add_recipe_options,
    manifests,
    recipe_of,
    verbosity,
)
from keras_mlp3d.cli._stop_on_signal import StopOnSignal
from keras_mlp3d.cli.common import SUCCESS, add_command, positive


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "search",
        run,
        "find the kinds and group sizes of time mixing for one's own videos",
        "Search the schedule of a network by accuracy minus cost. A supernet is trained whose "
        "blocks draw kind and group size at random; then block after block gets the candidate that "
        "does best on the validation videos. The folder of the run gets the supernet, every score, "
        "and in the end a preset with the schedule and the supernet's weights, and pictures. "
        "Killed or interrupted, the same command resumes it, also if a few videos are gone or new; "
        "with another --alpha it keeps the supernet and every score that it can use again.",
        [
            "keras-mlp3d search --data videos --preset mlp3d_nano --recipe motion_shapes \\",
            "    --run runs/search --set epochs=30",
            "keras-mlp3d train --data videos --preset runs/search/preset --run runs/found",
        ],
    )
    add_data_options(parser)
    parser.add_argument(
        "--preset", required=True, help="built-in name, directory or hf:// address to start from"
    )
    parser.add_argument(
        "--from-scratch", action="store_true", help="do not load the weights of the preset"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "--run",
        dest="folder",
        default="search",
        metavar="DIRECTORY",
        help="folder of the run; default: %(default)s",
    )
    parser.add_argument(
        "--anew",
        action="store_true",
        help="where the folder holds another search, move its files aside and start anew",
    )
    parser.add_argument(
        "--space",
        default="",
        metavar="KINDS/SIZES",
        help="such as short_range,shift_token/1,2,4; default: "
        "short_range,long_range,shift_window,shift_token/1,2,4,8",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=5e-3,
        metavar="A",
        help="accuracy that one GMAC must be worth; default: %(default)s",
    )
    parser.add_argument(
        "--repeats", type=positive, default=3, metavar="N", help="searches; default: %(default)s"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the choice; default: %(default)s"
    )
    parser.add_argument(
        "--batch-size", type=positive, default=16, metavar="N", help="clips scored at once; "
        "default: %(default)s"
    )  # fmt: skip


def run(options):
    """Trains the supernet, searches, writes the preset and draws."""
    from keras_mlp3d import search

    space, recipe = search.SearchSpace.parse(options.space), recipe_of(options)
    _check_numbers(options)
    training, validation = manifests(options)
    folder = pathlib.Path(options.folder)
    print(
        f"{len(training)} training and {len(validation)} validation videos of "
        f"{len(training.class_names)} classes; {len(space.mixings)} candidates a block; run in "
        f"{folder}"
    )
    with StopOnSignal() as stop:
        model = search.train_supernet(
            options.preset,
            space,
            recipe,
            training,
            folder,
            options.from_scratch,
            options.workers,
            verbosity(),
            stop=stop,
            anew=options.anew,
            accept_changed_data=options.accept_changed_data,
        )
    with Progress("videos") as decoding, Progress("candidates") as progress:
        result, scorer = search.find_schedule(
            model,
            space,
            validation,
            folder,
            options.repeats,
            options.alpha,
            options.seed,
            options.batch_size,
            workers=options.workers,
            anew=options.anew,
            accept_changed_data=options.accept_changed_data,
            decoding=decoding,
            progress=progress,
        )
    if scorer.failed:
        print(f"{len(scorer.failed)} validation videos cannot be read and count as wrong")
    _save(options, model, validation, result, scorer, folder)
    return SUCCESS


def _check_numbers(options):
    """What the search would refuse after hours of training."""
    if not 0 <= options.alpha < float("inf"):
        raise ValueError(f"--alpha must be a number of at least 0, got {options.alpha}.")
    if options.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {options.seed}.")


def _save(options, model, validation, result, scorer, folder):
    from keras_mlp3d import search

    found = search.extract(model, result.schedule)
    command = options.command_line
    data = pathlib.Path(options.data).name or os.path.basename(os.getcwd())
    start = pathlib.PurePath(options.preset).name
    found.save_to_preset(
        folder / "preset",
        description=f"{start} with the schedule that a search on {data} found, and the "
        "supernet's weights.",
        macs=round(result.cost * 1e9),
        metrics=[
            {
                "name": "top-1 accuracy, estimated with shared weights",
                "value": round(result.value, 4),
                "dataset": data,
                "split": f"{validation.split}, {scorer.expected} videos; the schedule was chosen "
                "by it",
                "command": command,
            }
        ],
        training={"command": command, "data": data},
        search={
            "schedule": [str(mixing) for mixing in result.schedule],
            "data": data,
            "manifest": validation.digest,
            "command": command,
            "V": result.value,
            "C": result.cost,
            "alpha": result.alpha,
            "space": result.space.to_dict(),
            "repeats": len(result.schedules),
            "agreement": list(result.agreement),
        },
    )
    _draw(model, result, folder)
    _print_result(result, folder)


def _draw(model, result, folder):
    if importlib.util.find_spec("matplotlib") is None:
        return
    from keras_mlp3d import plots

    plots.plot_search(result.to_dict()["scores"], folder / "process.png")
    plots.plot_schedule(
        result.schedule,
        folder / "schedule.png",
        model.backbone.depths,
        f"V = {100 * result.value:.1f} %, C = {result.cost:.3g} GMACs",
    )


def _print_result(result, folder):
    for repeat, schedule in enumerate(result.schedules):
        texts = " ".join(str(mixing) for mixing in schedule)
        mark = "*" if repeat == result.best else " "
        print(
            f"{mark} repeat {repeat + 1}: V {result.values[repeat]:.4f}, C "
            f"{result.costs[repeat]:.4g} GMACs: {texts}"
        )
    shares = " ".join(f"{share:.2f}" for share in result.agreement)
    print(f"  repeats that agree, block by block: {shares}")
    print(f"the network is the preset {folder / 'preset'}")
