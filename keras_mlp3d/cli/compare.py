"""`keras-mlp3d compare`: accuracy against cost of the paper's schedules and a searched one."""

import argparse
import contextlib
import importlib.util
import pathlib
from collections.abc import Iterable
from typing import Any

from keras_mlp3d.cli.inputs import manifests, recipe_of
from keras_mlp3d.cli.options import (
    add_command,
    add_data_options,
    add_ray_options,
    add_recipe_options,
    check_ray_options,
)
from keras_mlp3d.cli.signals import StopOnSignal
from keras_mlp3d.cli.terminal import SUCCESS, say, verbosity

_RESULT, _PICTURE = "comparison.json", "comparison.png"


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "compare",
        run,
        "train the paper's hand-made networks and the searched one, and compare them",
        "Train the networks of section 3.4's comparison with one recipe: the 2-D network, SR, LR, "
        "ST, SR-LR and SR-SW over group sizes, and the searched network. Each has its own folder "
        "in the folder of the run. After a kill or Ctrl-C, the same command resumes. With --ray, "
        "several networks are trained at a time.",
        [
            "keras-mlp3d compare --data videos --preset mlp3d_nano --recipe motion_shapes \\",
            "    --run runs/compare --searched runs/search/preset --sizes 1,2,4,8 --seeds 0,1,2",
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
    parser.add_argument(
        "--frames-preset",
        metavar="PRESET",
        help="preset of the 2-D network; default: one of --preset's size with random weights",
    )
    parser.add_argument(
        "--families",
        default="SR,LR,ST,SR-LR,SR-SW",
        metavar="F,F",
        help="kinds of the hand-made networks; default: %(default)s",
    )
    parser.add_argument("--without-2d", action="store_true", help="leave the 2-D network out")
    add_recipe_options(parser)
    parser.add_argument(
        "--run",
        dest="folder",
        default="compare",
        metavar="DIRECTORY",
        help="folder of the run; default: %(default)s",
    )
    parser.add_argument("--searched", metavar="PRESET", help="preset whose schedule a search found")
    parser.add_argument(
        "--sizes", default="1,2,4,8", metavar="S,S", help="group sizes; default: %(default)s"
    )
    parser.add_argument(
        "--seeds", default="0", metavar="N,N", help="seeds of the trainings; default: %(default)s"
    )
    add_anew(parser)
    add_ray_options(parser, "train the networks")


def check(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing together, and numbers that are none."""
    check_ray_options(options)
    _numbers("--sizes", options.sizes, 1)
    _numbers("--seeds", options.seeds, 0)


def run(options: argparse.Namespace) -> int:
    """Train all networks, print a table, write and draw."""
    from keras_mlp3d import hub, parse_schedule, search
    from keras_mlp3d.search.space import check_mixings

    sizes, seeds = _numbers("--sizes", options.sizes, 1), _numbers("--seeds", options.seeds, 0)
    searched: Any = None
    if options.searched is not None:
        searched = hub.read_preset(options.searched).schedule
        if searched is None:
            raise ValueError(f"--searched must have a schedule; {options.searched!r} has none.")
        searched = parse_schedule(searched, len(searched))
    families = [family.strip() for family in options.families.split(",")]
    networks = search.paper_networks(sizes, searched, families)
    if options.without_2d:
        networks = networks[1:]
    folder = pathlib.Path(options.folder)
    trainer = search.Trainer(
        options.preset,
        recipe_of(options),
        *manifests(options),
        folder,
        options.from_scratch,
        options.frames_preset,
        options.workers,
        verbosity(),
    )
    for network in networks:
        if network.schedule is not None:
            mixings = parse_schedule(network.schedule, trainer.depth)
            check_mixings(mixings, trainer.converter.num_frames)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.accept_changed_data, trainer.anew = options.accept_changed_data, options.anew
    jobs = [(network.schedule, seed) for network in networks for seed in seeds]
    with StopOnSignal() as trainer.stop, trainings(trainer, jobs, options) as measure:
        rows = search.compare(networks, measure, seeds, folder / _RESULT, announce)
    if importlib.util.find_spec("matplotlib") is not None:
        from keras_mlp3d import plots

        plots.plot_comparison([row.to_dict() for row in rows], folder / _PICTURE)
    width = max(len(row.network.name) for row in rows)
    for row in rows:
        each = " ".join(f"{accuracy:.4f}" for accuracy in row.accuracies)
        several = f"  ({each})" if len(row.accuracies) > 1 else ""
        say(f"{row.network.name:<{width}}  {row.gmacs:8.4g} GMACs  {row.accuracy:.4f}{several}")
    say(f"the results are in {folder / _RESULT}")
    return SUCCESS


def add_anew(parser: argparse.ArgumentParser) -> None:
    """Add --anew."""
    parser.add_argument(
        "--anew",
        action="store_true",
        help="if the folder of a network holds another training, move its files into a sub-folder "
        "and train from scratch",
    )


def trainings(
    trainer: Any, jobs: Iterable[tuple[Any, int]], options: argparse.Namespace
) -> contextlib.AbstractContextManager[Any]:
    """Return, in a `with`, what trains: the trainer, or with --ray the workers of a cluster.

    Args:
        trainer: `search.Trainer`.
        jobs: `(schedule, seed)` of each training.
        options: The parsed arguments.
    """
    from keras_mlp3d import search

    if options.ray is None:
        return contextlib.nullcontext(trainer)
    return search.on_ray(
        trainer, jobs, options.ray, options.worker_cpus or 1, options.worker_gpus or 0
    )


def announce(done: int, total: int, name: str | None) -> None:
    """Print which training of how many begins."""
    if name is not None:
        say(f"training {done + 1} of {total}: {name}")


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= least for part in parts):
        raise ValueError(f"{option} must be whole numbers from {least}, as in 1,2, got {text!r}.")
    return tuple(dict.fromkeys(int(part) for part in parts))
