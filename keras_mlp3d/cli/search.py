"""`keras-mlp3d search`: finds the schedule for your own videos."""

import argparse
import importlib.util
import os
import pathlib
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.cli.inputs import manifests, recipe_of
from keras_mlp3d.cli.options import add_command, add_data_options, add_recipe_options, positive
from keras_mlp3d.cli.signals import StopOnSignal
from keras_mlp3d.cli.terminal import SUCCESS, StatusLine, say, verbosity

if TYPE_CHECKING:
    from keras_mlp3d import MLP3D
    from keras_mlp3d.data import Manifest
    from keras_mlp3d.search import Scorer, SearchResult


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "search",
        run,
        "find the kinds and group sizes of time mixing for your own videos",
        "Search the schedule of a network by accuracy minus cost. First a supernet is trained, "
        "whose blocks sample kind and group size at random. Then one block after another gets the "
        "candidate with the best result on the validation videos. The folder of the run gets the "
        "supernet, every score, and at the end pictures and a preset with the schedule and the "
        "supernet's weights. After a kill or Ctrl-C, the same command resumes, also if a few "
        "videos are gone or new; with another --alpha it keeps the supernet and every score that "
        "is still valid.",
        [
            "keras-mlp3d search --data videos --preset mlp3d_nano --recipe motion_shapes \\",
            "    --run runs/search --set epochs=30",
            "keras-mlp3d train --data videos --preset runs/search/preset --run runs/found",
        ],
        computes=True,
        check=check,
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
        help="if the folder holds another search, move its files aside and start from scratch",
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
        help="accuracy that one GMAC must gain; default: %(default)s",
    )
    parser.add_argument(
        "--tie",
        type=float,
        metavar="CONFIDENCE",
        help="such as 0.95: if the lead of the best candidate over cheaper ones may be chance, "
        "with this confidence, keep the cheapest; default: keep the best",
    )
    parser.add_argument(
        "--refine-epochs",
        type=positive,
        metavar="N",
        help="train the supernet for N more epochs whenever a block is decided; default: do not",
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


def run(options: argparse.Namespace) -> int:
    """Train the supernet, search, write the preset and draw."""
    from keras_mlp3d import search

    space, recipe = search.SearchSpace.parse(options.space), recipe_of(options)
    training, validation = manifests(options)
    folder = pathlib.Path(options.folder)
    say(
        f"{len(training)} training and {len(validation)} validation videos of "
        f"{len(training.class_names)} classes; {len(space.mixings)} candidates per block; run in "
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
    refine = None
    if options.refine_epochs is not None:
        refine = search.Refinement(
            model,
            search.refinement_recipe(recipe, options.refine_epochs),
            training,
            folder / "refined",
            options.workers,
            verbosity(),
            StopOnSignal,
        )
    with StatusLine("videos") as decoding, StatusLine("candidates") as progress:
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
            tie=options.tie,
            refine=refine,
        )
    if scorer.failed:
        say(f"{len(scorer.failed)} validation videos cannot be read and count as wrong")
    _save(options, model, validation, result, scorer, folder)
    return SUCCESS


def check(options: argparse.Namespace) -> None:
    """Check what the search would refuse after hours of training."""
    check_number("--alpha", options.alpha, minimum=0)
    check_integer("--seed", options.seed, minimum=0)
    if options.tie is not None:
        check_number("--tie", options.tie, above=0, below=1)


def _save(
    options: argparse.Namespace,
    model: "MLP3D",
    validation: "Manifest",
    result: "SearchResult",
    scorer: "Scorer",
    folder: pathlib.Path,
) -> None:
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
            "tie": options.tie,
            "refine_epochs": options.refine_epochs,
            "space": result.space.to_dict(),
            "repeats": len(result.schedules),
            "agreement": list(result.agreement),
            "ties": None if result.ties is None else list(result.ties),
        },
    )
    _draw(model, result, folder)
    _print_result(result, folder)


def _draw(model: "MLP3D", result: "SearchResult", folder: pathlib.Path) -> None:
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


def _print_result(result: "SearchResult", folder: pathlib.Path) -> None:
    for repeat, schedule in enumerate(result.schedules):
        texts = " ".join(str(mixing) for mixing in schedule)
        mark = "*" if repeat == result.best else " "
        say(
            f"{mark} repeat {repeat + 1}: V {result.values[repeat]:.4f}, C "
            f"{result.costs[repeat]:.4g} GMACs: {texts}"
        )
    shares = " ".join(f"{share:.2f}" for share in result.agreement)
    say(f"  repeats that agree, block by block: {shares}")
    if result.ties is not None:
        shares = " ".join(f"{share:.2f}" for share in result.ties)
        say(f"  other candidates that tie with the best, block by block: {shares}")
    say(f"the network is the preset {folder / 'preset'}")
