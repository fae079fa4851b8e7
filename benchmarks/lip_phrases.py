"""Measures what time mixing adds in lip reading: from scratch, on unseen speakers.

    python benchmarks/lip_phrases.py --data lip_phrases --run runs/lips

The data folder has sub-folders `train` and `val` with a folder per class. Each network is trained
by the recipe `lip_phrases` for each seed. Interrupted trainings are resumed, results of finished
ones are read. The table has the accuracy on all videos of `val` after the last epoch, on which no
choice depends, and after the best one.
"""

import argparse
import csv
import pathlib

import keras_mlp3d as km
from keras_mlp3d.data import VideoConverter, read_manifest
from keras_mlp3d.search import Trainer
from keras_mlp3d.training import Recipe

import numpy as np

#: Name -> schedule, and options of the network. All except the 2-D one see frames minus the mean
#: over time, which removes the appearance of the speaker. The 2-D one gets as many frames as the
#: 3-D networks have tokens in time.
NETWORKS = {
    "2-D": (None, {}),
    "S = 1": ("short_range:1", {}),
    # Result of `keras-mlp3d search` on these data, as in the preset mlp3d_nano_lip_phrases.
    "searched": (["shift_token:4", "short_range:8", "short_range:8", "short_range:8"], {}),
    "ST": ("shift_token:4", {}),
    "SR-SW": ("short_range:4+shift_window:4", {}),
    "SR 8": ("short_range:8", {}),
    "SR 8 unshared": ("short_range:8", {"share_weights": False}),
    "S = 1, mean kept": ("short_range:1", {"subtract_mean": False}),
    "SR 8 unshared, mean kept": (
        "short_range:8",
        {"share_weights": False, "subtract_mean": False},
    ),
}


def base_preset(folder, recipe, options):
    """Write the preset of a network and return its folder."""
    name = "-".join(["nano", *(f"{key}_{value}" for key, value in options.items())])
    path = pathlib.Path(folder, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        converter = VideoConverter(recipe.num_frames, recipe.image_size, crop="none")
        km.MLP3D.from_preset(
            "mlp3d_nano",
            load_weights=False,
            num_classes=2,
            converter=converter,
            **{"subtract_mean": True, **options},
        ).save_to_preset(path, description="A nano network, not trained.")
    return path


def last_and_best(run_folder):
    """Return the validation accuracy after the last epoch and after the best one."""
    with open(run_folder / "history.csv", newline="", encoding="utf-8") as file:
        accuracies = [float(row["val_accuracy"]) for row in csv.DictReader(file)]
    return accuracies[-1], max(accuracies)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS)[:7])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    recipe = Recipe.load("lip_phrases")
    if arguments.epochs:
        recipe = recipe.replace(epochs=arguments.epochs)
    data = [read_manifest(arguments.data, split) for split in ("train", "val")]
    print(f"{len(data[0])} training and {len(data[1])} validation videos, {recipe.epochs} epochs")
    print("network                    MMACs   last epoch (each seed)      mean    best epoch, mean")
    for name in arguments.networks:
        schedule, options = NETWORKS[name]
        if schedule is None:
            trained = recipe.replace(num_frames=recipe.num_frames // 4)
        else:
            trained = recipe
        preset = base_preset(pathlib.Path(arguments.run, "presets"), recipe, options)
        trainer = Trainer(
            preset,
            trained,
            *data,
            folder=pathlib.Path(arguments.run, preset.name),
            from_scratch=True,
            workers=arguments.workers,
            verbose=0,
        )
        results = []
        for seed in arguments.seeds:
            trainer(schedule, seed)
            results.append(last_and_best(trainer.run_folder(schedule, seed)))
        last, best = np.transpose(results)
        each = " ".join(f"{value:.3f}" for value in last)
        spread = f" +- {last.std(ddof=1):.3f}" if len(last) > 1 else ""
        print(
            f"{name:<26} {1e3 * trainer.gmacs(schedule):5.1f}   {each:<24} "
            f"{last.mean():.3f}{spread}    {best.mean():.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
