"""`keras-mlp3d correlation`: how far a search's estimates can be trusted."""

import argparse
import importlib.util
import math
import pathlib
from typing import TYPE_CHECKING, Any

from keras_mlp3d.cli.compare import add_anew, announce, trainings
from keras_mlp3d.cli.inputs import manifests, recipe_of
from keras_mlp3d.cli.options import (
    add_command,
    add_data_options,
    add_ray_options,
    add_recipe_options,
    check_ray_options,
    positive,
)
from keras_mlp3d.cli.signals import StopOnSignal
from keras_mlp3d.cli.terminal import SUCCESS, say, verbosity

if TYPE_CHECKING:
    from keras_mlp3d import Mixing
    from keras_mlp3d.search import SearchSpace

_RESULT, _PICTURE = "correlation.json", "correlation.png"


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "correlation",
        run,
        "compare the estimates of a search with the accuracy of networks trained alone",
        "Train networks alone, each with one schedule, and compare their accuracy with the "
        "estimates of a search's supernet by Spearman's rank correlation. Without --schedule, they "
        "are SR, LR, ST, SR-LR and SR-SW over the group sizes of the space, and the schedule that "
        "the search found. After a kill or Ctrl-C, the same command resumes. With --ray, several "
        "networks are trained at a time.",
        [
            "keras-mlp3d correlation --search runs/search --data videos --recipe motion_shapes",
        ],
        computes=True,
        check=check_ray_options,
    )
    parser.add_argument(
        "--search", required=True, metavar="DIRECTORY", help="folder of a search that is finished"
    )
    add_data_options(parser)
    add_recipe_options(parser)
    parser.add_argument(
        "--from-scratch", action="store_true", help="train without the weights of the preset"
    )
    parser.add_argument(
        "--schedule",
        action="append",
        metavar="S",
        help="kind:group_size; several alternate if joined by +, or are one per block if joined by "
        "commas; may be given several times",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=16, metavar="N", help="clips scored at once; "
        "default: %(default)s"
    )  # fmt: skip
    add_anew(parser)
    add_ray_options(parser, "train the networks")


def run(options: argparse.Namespace) -> int:
    """Estimate, train, print a table, write and draw."""
    from keras_mlp3d import search

    folder = pathlib.Path(options.search)
    training, validation = manifests(options)
    model, space, preset = search.load_supernet(folder)
    trainer = search.Trainer(
        preset,
        recipe_of(options),
        training,
        validation,
        folder / "correlation",
        options.from_scratch,
        workers=options.workers,
        verbose=verbosity(),
    )
    schedules = _schedules(options, space, folder / search.RESULT, trainer.depth)
    scorer = search.Scorer(
        model, validation, options.batch_size, trainer.converter, workers=options.workers
    )
    (folder / "correlation").mkdir(exist_ok=True)
    trainer.accept_changed_data, trainer.anew = options.accept_changed_data, options.anew
    jobs = [(schedule, 0) for schedule in schedules.values()]
    with StopOnSignal() as trainer.stop, trainings(trainer, jobs, options) as measure:
        found = search.correlation(schedules, scorer, measure, folder / _RESULT, progress=announce)
    if importlib.util.find_spec("matplotlib") is not None:
        from keras_mlp3d import plots

        plots.plot_correlation(
            found.estimated, found.real, found.names, found.rho, folder / _PICTURE
        )
    width = max(map(len, found.names))
    say(f"{'':<{width}}  estimated    real")
    for name, estimated, real in zip(found.names, found.estimated, found.real, strict=True):
        say(f"{name:<{width}}     {estimated:.4f}  {real:.4f}")
    rho = "none, as one side is the same for all" if math.isnan(found.rho) else f"{found.rho:.3f}"
    say(f"Spearman's rank correlation of {len(found.names)} networks: {rho}")
    return SUCCESS


def _schedules(
    options: argparse.Namespace, space: "SearchSpace", result: pathlib.Path, depth: int
) -> "dict[str, tuple[Mixing, ...]]":
    """Return {name: one `Mixing` per block} of --schedule, or of all schedules in the space."""
    from keras_mlp3d import parse_schedule, search
    from keras_mlp3d.hub.files import read_json

    if options.schedule is not None:
        given = [text.split(",") if "," in text else text for text in options.schedule]
    else:
        given = [network.schedule for network in search.paper_networks(space.group_sizes)[1:]]
        if result.is_file():
            given.append(read_json(result)["schedule"])
    known = set(space.mixings)
    parsed = [parse_schedule(schedule, depth) for schedule in given]
    schedules = {
        search.short_name(schedule, depth): schedule
        for schedule in parsed
        if options.schedule is not None or known.issuperset(_canonical(schedule, space))
    }
    return {name: _canonical(schedule, space) for name, schedule in schedules.items()}


def _canonical(schedule: "tuple[Mixing, ...]", space: "SearchSpace") -> "tuple[Mixing, ...]":
    """Return the schedule with the space's name for S = 1, in which all kinds agree."""
    one = [mixing for mixing in space.mixings if mixing.group_size == 1]
    return tuple(one[0] if one and mixing.group_size == 1 else mixing for mixing in schedule)
