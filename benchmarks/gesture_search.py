"""Whether a search at the depth of Table 1 beats hand-made schedules: gestures seen by a radar.

    python benchmarks/gesture_search.py --data radar_gestures --run runs/gesture_search

The networks have the size of `mlp3d_xs` (ten blocks) and see 16 frames of 64 x 64. Three persons of
`train` are taken out before anything is trained, as by benchmarks/real_clips.py. Of the other
fourteen, eleven train the supernet, and three score its candidates. The network that the search
finds and hand-made ones are then trained from scratch on all fourteen by one recipe, and measured
after the last epoch on the three persons taken out and the five of `val`, which have chosen
nothing. Of each person's clips of a gesture every `--every`-th is trained on and every
`--scoring-every`-th scores; all of them judge.

The folder gets the search's trace, its pictures, a picture of all networks, and one of what the
supernet says of each network beside what it reaches. With `--to-preset DIRECTORY` the size is
written as a preset with the schedule that was found, without weights.

A training or search that was interrupted is resumed, and what is finished is read. Several
processes can share a run if each has other `--networks`; each prints a table of its own.
"""

import argparse
import functools
import itertools
import pathlib
import shlex

import keras_mlp3d as km
from keras_mlp3d import hub, plots
from keras_mlp3d.cost import count
from keras_mlp3d.data import Manifest, read_folder
from keras_mlp3d.models import parse_schedule
from keras_mlp3d.search import SearchSpace
from keras_mlp3d.training import Recipe, parse_overrides
from real_clips import in_memory, split
from schedules_compared import SEARCHED, Comparison, print_table

#: The groups of S = 2 are half of the four tokens in time, those of S = 4 are all of them.
HAND_MADE = {
    "ST 2": "shift_token:2",
    "ST 4": "shift_token:4",
    "SR-SW 2": "short_range:2+shift_window:2",
    "SR-SW 4": "short_range:4+shift_window:4",
    "SR 2": "short_range:2",
    "SR 4": "short_range:4",
    "S = 1": "short_range:1",
}
DESCRIPTION = (
    "{preset} with the schedule that a search on radar_gestures found, on clips of {frames} x "
    "{height} x {width}. Architecture without weights."
)
#: What the picture of the search shows of a score.
SHOWN = ("repeat", "block", "mixing", "value", "kept")
#: What differs from the recipe `radar_gestures`, which is one for a smaller network.
RECIPE = {"num_frames": 16, "learning_rate": 1e-3, "epochs": 12}


def person_of(name):
    """Return the person: the beginning of the name of a file."""
    return pathlib.Path(name).stem.split("_")[0]


def thinned(rows, every):
    """Return every so many rows of each person and class, in the order of their names."""
    rows = sorted(rows, key=lambda row: (row.label, person_of(row.path), row.path))
    groups = itertools.groupby(rows, key=lambda row: (row.label, person_of(row.path)))
    return [row for _, group in groups for row in [*group][::every]]


def scoring_rows(rows):
    """Divide the rows of fourteen persons: (rows of eleven, rows of three to score)."""
    scoring = set(sorted({person_of(row.path) for row in rows})[2::5])
    apart = [row for row in rows if person_of(row.path) in scoring]
    return [row for row in rows if person_of(row.path) not in scoring], apart


def comparison_of(options):
    """Return the comparison."""
    training, taken_out = split(read_folder(options.data, "train"), "radar_gestures")
    validation = read_folder(options.data, "val")
    names, root = training.class_names, training.root
    scoring = thinned(scoring_rows(training.rows)[1], options.scoring_every or options.every)
    changed = RECIPE | parse_overrides(options.set)
    recipe = Recipe.load("radar_gestures").replace(**changed)
    return Comparison(
        options.run,
        options.preset,
        recipe,
        HAND_MADE,
        Manifest(thinned(training.rows, options.every), names, "inside", root=root),
        Manifest((*taken_out.rows, *validation.rows), names, "outside", root=options.data),
        lambda rows: (scoring_rows(rows)[0], scoring),
        SearchSpace(group_sizes=(1, 2, 4)),
        options.repeats,
        options.tie,
        options.refine_epochs,
        batch_size=options.scoring_batch,
        in_memory=functools.partial(in_memory, preset=options.preset, recipe=recipe),
    )


def by_person(answers):
    """Return {person: the answers to this person's clips}."""
    persons = [person_of(name) for name in answers["names"]]
    return {
        person: {
            **answers,
            **{
                key: [each for each, p in zip(answers[key], persons, strict=True) if p == person]
                for key in ("names", "labels", "answers")
            },
        }
        for person in set(persons)
    }


def accuracy(answers):
    """Return the share of right answers."""
    pairs = [*zip(answers["answers"], answers["labels"], strict=True)]
    return sum(answer == label for answer, label in pairs) / len(pairs)


def network_of(name, answers):
    """Return a row of the picture of all networks."""
    family, _, size = name.rpartition(" ")
    known = name in (SEARCHED, "S = 1")
    return {
        "name": name,
        "family": name if known else family,
        "group_size": None if known else int(size),
        "gmacs": answers["macs"] / 1e9,
        "accuracies": [accuracy(answers)],
    }


def draw(comparison, results):
    """Draw all networks that are finished and, if it is, the search (Figures 4 to 7).

    What the pictures show of a search and other networks is in summary.json.
    """
    folder, networks = comparison.folder, [network_of(*each) for each in results.items()]
    plots.plot_comparison(networks, folder / "comparison.png")
    if SEARCHED not in results:
        return
    found, depths = comparison.searched(), hub.read_preset(comparison.preset).size.depths
    plots.plot_search(found["scores"], folder / "process.png")
    schedule = parse_schedule(found["schedule"], sum(depths))
    plots.plot_schedule(schedule, folder / "schedule.png", depths)
    if len(results) == 1:
        return
    schedules = {name: answers["schedule"] for name, answers in results.items()}
    real = {name: accuracy(answers) for name, answers in results.items()}
    told = comparison.correlation(schedules, real)
    path = folder / "correlation.png"
    plots.plot_correlation(told.estimated, told.real, told.names, told.rho, path)
    print(f"rank correlation of estimated and real accuracy: {told.rho:.2f}")
    for network, estimated in zip(networks, told.estimated, strict=True):
        network["estimated"] = estimated
    scores = [{name: row[name] for name in SHOWN} for row in found["scores"]]
    hub.write_json(folder / "summary.json", {"networks": networks, "scores": scores})


def write_preset(comparison, results, directory, description, command):
    """Write the size as a preset with the schedule that was found, without weights."""
    found, stored = comparison.searched(), hub.builtin_folder() / comparison.preset
    directory = pathlib.Path(directory)
    schedule = parse_schedule(found["schedule"], len(found["schedule"]))
    files = {path.name: hub.read_json(path) for path in stored.glob("*.json")}
    files[hub.CONFIG]["config"]["schedule"] = [[each.kind, each.group_size] for each in schedule]
    metadata = files[hub.METADATA]
    del metadata["parameter_count"]  # that of the other schedule
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        hub.write_json(directory / name, content)
    model = km.MLP3D.from_preset(directory, load_weights=False)
    clip = (metadata["clip"]["frames"], *metadata["clip"]["size"], 3)
    metadata |= {
        "description": description,
        "parameter_count": model.count_params(),
        "macs": count(model, clip).macs,
        "schedule_reason": "Found by a search: see `search`.",
        "search": {
            "schedule": [str(each) for each in schedule],
            "data": "radar_gestures",
            "command": command,
            "V": found["value"],
            "C": found["cost"],
            "alpha": found["alpha"],
            "tie": found["tie"],
            "refine_epochs": comparison.refine_epochs,
            "space": found["space"],
            "repeats": len(found["schedules"]),
            "agreement": found["agreement"],
            "ties": found["ties"],
            "accuracy_on_others": {
                "videos": len(comparison.outside),
                **{name: round(accuracy(answers), 3) for name, answers in results.items()},
            },
        },
    }
    hub.write_json(directory / hub.METADATA, metadata)


def command_of(parser, options):
    """Return the command that makes the search again: all that differs from the defaults."""
    parts = ["python", "benchmarks/gesture_search.py", "--data", "radar_gestures", "--run", "RUN"]
    for name in ("preset", "every", "scoring_every", "repeats", "tie", "refine_epochs", "set"):
        value = getattr(options, name)
        if value != parser.get_default(name):
            values = value if isinstance(value, list) else [value]
            parts += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--preset", default="mlp3d_xs")
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--scoring-every", type=int, help="by default as --every")
    parser.add_argument("--scoring-batch", type=int, default=32, help="clips scored at once")
    parser.add_argument(
        "--networks", nargs="+", default=[SEARCHED, *HAND_MADE], choices=[SEARCHED, *HAND_MADE]
    )
    parser.add_argument("--repeats", type=int, default=2, help="repeats of the search")
    parser.add_argument("--tie", type=float, help="below this confidence a lead is chance")
    parser.add_argument(
        "--refine-epochs", type=int, help="train the supernet on so long after each block"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--to-preset", metavar="DIRECTORY/NAME", help="write the schedule there")
    options = parser.parse_args()
    comparison = comparison_of(options)
    print(
        f"{len(comparison.inside)} videos to train on, {len(comparison.outside)} of other persons "
        "to judge",
        flush=True,
    )
    results = {name: comparison.answers(name) for name in options.networks}
    draw(comparison, results)
    print_table({name: by_person(found) for name, found in results.items()}, "person")
    if SEARCHED in results:
        print(f"searched: {', '.join(results[SEARCHED]['schedule'])}")
        shares = " ".join(f"{share:.2f}" for share in comparison.searched()["ties"])
        print(f"other candidates that tie with the best, block by block: {shares}")
    if options.to_preset:
        recipe = comparison.recipe
        height, width = recipe.image_size
        description = DESCRIPTION.format(
            preset=options.preset, frames=recipe.num_frames, height=height, width=width
        )
        command = command_of(parser, options)
        write_preset(comparison, results, options.to_preset, description, command)


if __name__ == "__main__":
    main()
