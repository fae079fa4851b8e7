"""`keras-mlp3d correlation`: how far a search's estimates can be trusted."""

import importlib.util
import math
import pathlib

from keras_mlp3d.cli._runs import (
    add_data_options,
    add_recipe_options,
    manifests,
    recipe_of,
    verbosity,
)
from keras_mlp3d.cli._stop_on_signal import StopOnSignal
from keras_mlp3d.cli.common import SUCCESS, add_command, positive
from keras_mlp3d.cli.compare import announce

_RESULT, _PICTURE = "correlation.json", "correlation.png"


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "correlation",
        run,
        "compare the estimates of a search with accuracies of networks trained by themselves",
        "Train some schedules by themselves and set their accuracy against the estimate with the "
        "weights of a search's supernet, with Spearman's rank correlation. Without --schedule they "
        "are SR, LR, ST, SR-LR and SR-SW over the group sizes of the space, and the found one. "
        "Killed or interrupted, the same command goes on where it was.",
        [
            "keras-mlp3d correlation --search runs/search --data videos --recipe motion_shapes",
        ],
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
        help="kind:group_size, several joined by + to take turns, or one for each block joined by "
        "commas; give it several times",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=16, metavar="N", help="clips scored at once; "
        "default: %(default)s"
    )  # fmt: skip


def run(options):
    """Estimates, trains, prints a table, writes and draws."""
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
    trainer.accept_changed_data = options.accept_changed_data
    with StopOnSignal() as trainer.stop:
        found = search.correlation(schedules, scorer, trainer, folder / _RESULT, progress=announce)
    if importlib.util.find_spec("matplotlib") is not None:
        from keras_mlp3d import plots

        plots.plot_correlation(
            found.estimated, found.real, found.names, found.rho, folder / _PICTURE
        )
    width = max(map(len, found.names))
    print(f"{'':<{width}}  estimated    real")
    for name, estimated, real in zip(found.names, found.estimated, found.real, strict=True):
        print(f"{name:<{width}}     {estimated:.4f}  {real:.4f}")
    rho = "none, as one side is the same for all" if math.isnan(found.rho) else f"{found.rho:.3f}"
    print(f"Spearman's rank correlation of {len(found.names)} networks: {rho}")
    return SUCCESS


def _schedules(options, space, result, depth):
    """{name: one `Mixing` for each block}: those asked for, or all that the space has."""
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


def _canonical(schedule, space):
    """The schedule with the space's name for S = 1, in which all kinds agree."""
    one = [mixing for mixing in space.mixings if mixing.group_size == 1]
    return tuple(one[0] if one and mixing.group_size == 1 else mixing for mixing in schedule)
