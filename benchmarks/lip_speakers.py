"""Whether a search beats hand-made schedules: lip reading, with each speaker left out in turn.

    python benchmarks/lip_speakers.py --data lip_phrases --run runs/speakers

The speakers of `train` and `val` together are divided into four folds of three. For each fold, a
search sees the other nine alone: its supernet is trained on seven, and two score the candidates.
The network that it finds and hand-made ones are then trained on all nine by the recipe
`lip_phrases`, and measured after the last epoch on the three that nothing has seen. So every clip
is answered once by each network, and no answer has chosen anything.

A training or search that was interrupted is resumed, and what is finished is read. Several
processes can share a run if each has other `--folds`; the table has what is finished. With `--ray
ADDRESS` each fold is given to a worker of a Ray cluster, which sees data and run under these names.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

import keras_mlp3d as km

# isort: split

import keras

from keras_mlp3d._utils.ray_cluster import connected
from keras_mlp3d.data import Manifest, VideoConverter, read_folder
from keras_mlp3d.inference import evaluate
from keras_mlp3d.inference.evaluation import wilson_interval
from keras_mlp3d.models import parse_schedule
from keras_mlp3d.search import SearchSpace, Trainer, find_schedule, train_supernet
from keras_mlp3d.training import (
    Recipe,
    data_identity,
    make_loaders,
    parse_overrides,
    set_random_seed,
    train,
)

SEARCHED = "searched"
HAND_MADE = {
    "SR 8": "short_range:8",
    "ST 4": "shift_token:4",
    "SR-SW 4": "short_range:4+shift_window:4",
    "S = 1": "short_range:1",
}
FOLDS = 4


def speaker_of(row):
    """The speaker is the beginning of the file's name."""
    return pathlib.Path(row.path).stem.split("_")[0]


def folds_of(manifests):
    """Returns [(nine speakers' rows, three speakers' rows)], and the speakers left out."""
    rows = [row for manifest in manifests for row in manifest.rows]
    speakers = sorted({speaker_of(row) for row in rows})
    folds = []
    for fold in range(FOLDS):
        out = speakers[fold::FOLDS]
        inside = [row for row in rows if speaker_of(row) not in out]
        folds.append((inside, [row for row in rows if speaker_of(row) in out], out))
    return folds


def scoring_rows(rows):
    """Divides the rows of nine speakers: (rows of seven, rows of two to score candidates)."""
    scoring = sorted({speaker_of(row) for row in rows})[::5]
    apart = [row for row in rows if speaker_of(row) in scoring]
    return [row for row in rows if speaker_of(row) not in scoring], apart


class Fold:
    """The networks that are trained without three speakers.

    Args:
        options: Arguments of the command line.
        number: Number of the fold.
        recipe: `Recipe` of all trainings.
    """

    def __init__(self, options, number, recipe):
        both = [read_folder(options.data, split) for split in ("train", "val")]
        inside, outside, self.left_out = folds_of(both)[number]
        self.names = both[0].class_names
        self.inside, self.outside = self.manifest(inside, "in"), self.manifest(outside, "out")
        self.options, self.recipe = options, recipe
        self.folder = pathlib.Path(options.run, f"fold{number}")
        self.preset = self.write_preset()

    def manifest(self, rows, split):
        """A data set of these rows."""
        return Manifest(rows, self.names, split)

    def write_preset(self):
        """Writes the size of the networks: `mlp3d_nano` that sees motion alone."""
        path = self.folder / "nano"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            converter = VideoConverter(self.recipe.num_frames, self.recipe.image_size, crop="none")
            km.MLP3D.from_preset(
                "mlp3d_nano",
                load_weights=False,
                num_classes=2,
                converter=converter,
                subtract_mean=True,
            ).save_to_preset(path, description="A nano network, not trained.")
        return path

    def searched(self):
        """Returns the schedule that a search finds, which sees the nine speakers alone."""
        folder = self.folder / "search"
        if not (folder / "result.json").exists():
            space = SearchSpace()
            supernet_rows, scoring = scoring_rows(self.inside.rows)
            training = self.manifest(supernet_rows, "supernet")
            set_random_seed(0)
            model = train_supernet(
                self.preset, space, self.recipe, training, folder, True, verbose=2
            )
            find_schedule(
                model,
                space,
                self.manifest(scoring, "scoring"),
                folder,
                repeats=self.options.repeats,
                batch_size=20,
                workers=1,
            )
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))["schedule"]

    def answers(self, name):
        """Trains a network, unless that is done; returns its answers to the clips left out."""
        folder = self.folder / "".join(filter(str.isalnum, name))
        path = folder / "answers.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        schedule = self.searched() if name == SEARCHED else HAND_MADE[name]
        # The trainer builds the network. No video chooses its epoch: it is the last one.
        trainer = Trainer(
            self.preset, self.recipe, self.inside, self.outside, folder, from_scratch=True
        )
        set_random_seed(0)
        model = trainer.model(schedule)
        data, _ = make_loaders(self.recipe, self.inside, None, trainer.converter, 1)
        identity = {"model": {"schedule": schedule}, **data_identity(self.inside, None)}
        train(model, self.recipe, data, None, folder, identity, verbose=2)
        evaluation = evaluate(model, self.outside)
        chosen = parse_schedule(schedule, depth=4)
        answers = {
            "schedule": [str(mixing) for mixing in chosen],
            "macs": round(1e9 * trainer.gmacs(schedule)),
            "labels": [int(row.label) for row in self.outside.rows],
            "answers": [result.best for result in evaluation.predictions],
        }
        part = path.with_suffix(".part")
        part.write_text(json.dumps(answers), encoding="utf-8")
        part.replace(path)
        return answers


def paired_interval(first, second):
    """Difference of two accuracies on the same clips, with its 95 % interval.

    Args:
        first: Whether each answer of one network is right.
        second: The same of another network.
    """
    count = len(first)
    gained = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    difference = (gained - lost) / count
    deviation = math.sqrt(max(gained + lost - (gained - lost) ** 2 / count, 0)) / count
    return difference, difference - 1.96 * deviation, difference + 1.96 * deviation


def print_table(results):
    """Prints a row per network, over all folds that are finished.

    Args:
        results: {name: {fold: answers}}
    """
    folds = sorted(set.intersection(*(set(found) for found in results.values())))
    right = {
        name: [
            answer == label
            for fold in folds
            for answer, label in zip(found[fold]["answers"], found[fold]["labels"], strict=True)
        ]
        for name, found in results.items()
    }
    each = " | ".join(f"fold {fold}" for fold in folds)
    print(f"| network | MMACs | {each} | all | interval | less than {SEARCHED} by |")
    print("| --- " * (len(folds) + 5) + "|")
    for name, found in results.items():
        macs = sum(found[fold]["macs"] for fold in folds) / len(folds) / 1e6
        size = {fold: len(found[fold]["labels"]) for fold in folds}
        shares, start = [], 0
        for fold in folds:
            shares.append(f"{sum(right[name][start : start + size[fold]]) / size[fold]:.3f}")
            start += size[fold]
        total = sum(right[name])
        low, high = wilson_interval(total, len(right[name]))
        behind = (
            ""
            if name == SEARCHED or SEARCHED not in right
            else (
                "{:+.3f} ({:+.3f} to {:+.3f})".format(
                    *paired_interval(right[SEARCHED], right[name])
                )
            )
        )
        print(
            f"| {name} | {macs:.1f} | {' | '.join(shares)} | {total / len(right[name]):.3f} "
            f"| {low:.3f} to {high:.3f} | {behind} |"
        )
    for fold in folds:
        if SEARCHED in results:
            print(f"fold {fold}: {', '.join(results[SEARCHED][fold]['schedule'])}")


def give_to_ray(options):
    """Runs this program for each fold in a worker; a fold that fails stops no other."""
    command = [sys.executable, os.path.abspath(__file__), "--data", os.path.abspath(options.data)]
    command += ["--run", os.path.abspath(options.run), "--repeats", str(options.repeats)]
    command += ["--networks", *options.networks, "--set", *options.set]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "OMP_NUM_THREADS": "1"}

    def run_fold(number):
        subprocess.run([*command, "--folds", str(number)], env=environment, check=True)

    with connected(options.ray) as ray:
        remote = ray.remote(num_cpus=1, max_retries=3)(run_fold)
        failed = []
        for number, fold in [(number, remote.remote(number)) for number in options.folds]:
            try:
                ray.get(fold)
            except ray.exceptions.RayError as error:
                failed.append(number)
                print(f"fold {number}: {error}", file=sys.stderr)
    if failed:
        sys.exit(f"error: folds {failed} have failed; the same command resumes them.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(FOLDS)))
    parser.add_argument(
        "--networks", nargs="+", default=[SEARCHED, *HAND_MADE], choices=[SEARCHED, *HAND_MADE]
    )
    parser.add_argument("--repeats", type=int, default=3, help="repeats of each search")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--ray", metavar="ADDRESS", help="local, auto, HOST:PORT or ray://...")
    options = parser.parse_args()
    if options.ray is not None:
        give_to_ray(options)
    recipe = Recipe.load("lip_phrases").replace(**parse_overrides(options.set))
    results = {name: {} for name in options.networks}
    for number in options.folds:
        fold = Fold(options, number, recipe)
        print(f"fold {number}: without {', '.join(fold.left_out)}", flush=True)
        for name in options.networks:
            results[name][number] = fold.answers(name)
    print_table(results)


if __name__ == "__main__":
    main()
