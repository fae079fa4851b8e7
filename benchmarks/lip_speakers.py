"""Whether a search beats hand-made schedules: lip reading, with each speaker left out in turn.

    python benchmarks/lip_speakers.py --data lip_phrases --run runs/speakers

The speakers of `train` and `val` together are divided into four folds of three. For each fold, a
search sees the other nine alone: its supernet is trained on seven, and two score the candidates.
The network that it finds and hand-made ones are then trained on all nine by the recipe
`lip_phrases`, and measured after the last epoch on the three that nothing has seen. So every clip
is answered once by each network, and no answer has chosen anything.

A training or search that was interrupted is resumed, and what is finished is read. Several
processes can share a run if each has other `--folds`; each prints a table of its own. With `--ray
ADDRESS` each fold is given to a worker of a Ray cluster, which sees data and run under these names.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import keras_mlp3d  # noqa: F401 (before keras: takes an installed backend)
from keras_mlp3d._utils.ray_cluster import connected
from keras_mlp3d.data import Manifest, read_folder
from keras_mlp3d.training import Recipe, parse_overrides
from lip_phrases import base_preset
from schedules_compared import SEARCHED, Comparison, print_table

import keras

HAND_MADE = {
    "SR 8": "short_range:8",
    "ST 4": "shift_token:4",
    "SR-SW 4": "short_range:4+shift_window:4",
    "S = 1": "short_range:1",
}
FOLDS = 4


def speaker_of(row):
    """Return the speaker is the beginning of the file's name."""
    return pathlib.Path(row.path).stem.split("_")[0]


def folds_of(manifests):
    """Return [(nine speakers' rows, three speakers' rows)], and the speakers left out."""
    rows = [row for manifest in manifests for row in manifest.rows]
    speakers = sorted({speaker_of(row) for row in rows})
    folds = []
    for fold in range(FOLDS):
        out = speakers[fold::FOLDS]
        inside = [row for row in rows if speaker_of(row) not in out]
        folds.append((inside, [row for row in rows if speaker_of(row) in out], out))
    return folds


def scoring_rows(rows):
    """Divide the rows of nine speakers: (rows of seven, rows of two to score candidates)."""
    scoring = sorted({speaker_of(row) for row in rows})[::5]
    apart = [row for row in rows if speaker_of(row) in scoring]
    return [row for row in rows if speaker_of(row) not in scoring], apart


def fold_of(options, number, recipe):
    """Return the comparison of networks trained without three speakers, and those speakers."""
    both = [read_folder(options.data, split) for split in ("train", "val")]
    inside, outside, left_out = folds_of(both)[number]
    names, folder = both[0].class_names, pathlib.Path(options.run, f"fold{number}")
    comparison = Comparison(
        folder,
        base_preset(folder, recipe, {}),
        recipe,
        HAND_MADE,
        Manifest(inside, names, "in", root=options.data),
        Manifest(outside, names, "out", root=options.data),
        scoring_rows,
        repeats=options.repeats,
    )
    return comparison, left_out


def give_to_ray(options):
    """Run this program for each fold in a worker; a fold that fails stops no other."""
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
        fold, left_out = fold_of(options, number, recipe)
        print(f"fold {number}: without {', '.join(left_out)}", flush=True)
        for name in options.networks:
            results[name][number] = fold.answers(name)
    print_table(results)
    for number in options.folds:
        if SEARCHED in results:
            print(f"fold {number}: {', '.join(results[SEARCHED][number]['schedule'])}")


if __name__ == "__main__":
    main()
