"""Trains a small network on clips with several labels: which events happen at the same time?

A shape of `motion_shapes` performs up to three of five events at once, or none. The clips are
video files, and CSVs name their events as `blink|spin`. `mlp3d_nano` with `activation="sigmoid"`
learns them from scratch; the validation clips choose its epoch, and it is measured on test clips,
of other scenes and textures, that chose nothing.

    python benchmarks/several_events.py --data events --run runs/events

The run's folder then has `test.json`, `test.png` (average precisions) and `clips.png`.
"""

import argparse
import os
import pathlib
import platform
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from keras_mlp3d.data import Manifest, VideoRow, motion_shapes, pixel_statistics, read_manifest
from keras_mlp3d.data.datasets.motion_shapes.files import encode_clip
from keras_mlp3d.training import Recipe, clip_converter, make_loaders, network_options

import keras
import numpy as np

SEPARATOR = "|"
#: Probability of a clip with 0, 1, 2 and 3 events.
COUNTS = (0.1, 0.35, 0.35, 0.2)
_SHOWN = 6  # clips in the picture


def write_clips(folder, split, num_clips, size=32):
    """Write the missing video files of a split, and its CSV; return its manifest."""
    directory = pathlib.Path(folder, split)
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([motion_shapes.SPLITS.index(split), 17])
    rows = []
    for k in range(num_clips):
        count = rng.choice(len(COUNTS), p=COUNTS)
        events = np.sort(rng.choice(len(motion_shapes.EVENTS), count, replace=False))
        path = directory / f"{k:05d}.mp4"
        if not path.exists():
            names = [motion_shapes.EVENTS[event] for event in events]
            clip = motion_shapes.render_together(names, k, split, size=size)
            part = path.with_suffix(".part")
            part.write_bytes(encode_clip(clip))
            part.replace(path)
        rows.append(VideoRow(str(path), events.tolist()))
    table = directory.with_suffix(".csv")
    Manifest(rows, motion_shapes.EVENTS, split).write_csv(table, SEPARATOR)
    return read_manifest(table, split, motion_shapes.EVENTS, label_separator=SEPARATOR)


def make_network(recipe, train, preset):
    """Return an untrained network that scores each event by itself."""
    stored = km.MLP3D.from_preset(preset, load_weights=False)
    converter = clip_converter(stored.converter, recipe)
    return km.MLP3D.from_preset(
        preset,
        load_weights=False,
        num_classes=len(train.class_names),
        class_names=list(train.class_names),
        activation="sigmoid",
        converter=converter,
        **network_options(recipe, converter.num_frames),
    )


def draw(model, found, test, folder):
    """Draw the average precisions, and some test clips with what the network says of them."""
    km.plots.plot_average_precision(
        found.average_precisions,
        found.class_names,
        folder / "test.png",
        found.class_counts.tolist(),
        found.expected,
    )
    paths = [row.path for row in test.rows[:_SHOWN]]
    predictions = km.inference.classify(model, paths, crops=1)
    frames = [km.data.read_video(path)[0] for path in paths]
    km.plots.plot_predictions(predictions, frames, folder / "clips.png")


def main():
    """Write the clips, train, evaluate, and print the average precision of each event."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder that keeps the video files")
    parser.add_argument("--run", required=True, help="folder of the run; the same one resumes")
    parser.add_argument("--preset", default="mlp3d_nano")
    parser.add_argument("--train-clips", type=int, default=1000)
    parser.add_argument("--val-clips", type=int, default=200)
    parser.add_argument("--test-clips", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    started = time.process_time()
    train, val, test = (
        write_clips(arguments.data, split, getattr(arguments, f"{split}_clips"))
        for split in motion_shapes.SPLITS
    )
    recipe = Recipe.load("motion_shapes").replace(epochs=arguments.epochs)
    pixels = pixel_statistics(train, km.data.VideoConverter(recipe.num_frames, recipe.image_size))
    recipe = recipe.replace(pixel_mean=pixels.pixel_mean, pixel_std=pixels.pixel_std)
    km.training.set_random_seed(recipe.seed)
    model = make_network(recipe, train, arguments.preset)
    loaders = make_loaders(recipe, train, val, model.converter, workers=1)
    print(f"{len(train)}, {len(val)} and {len(test)} clips to train, choose the epoch and test")
    result = km.training.train(model, recipe, *loaders, arguments.run, verbose=2)
    found = km.inference.evaluate(model, test, workers=1)
    folder = pathlib.Path(arguments.run)
    found.write_json(folder / "test.json")
    draw(model, found, test, folder)
    low, high = found.mean_average_precision_interval
    rows = zip(found.class_names, found.average_precisions, found.class_counts, strict=True)
    for name, value, count in rows:
        print(f"{name:10s} {value:.3f}  {count} of {found.expected} clips")
    print(
        f"mean average precision {found.mean_average_precision:.3f} (95 % interval {low:.3f} to "
        f"{high:.3f}) on {found.expected} test clips; epoch {result.best_epoch + 1} of "
        f"{recipe.epochs}; {time.process_time() - started:.0f} s of processor time in all, "
        f"{keras.backend.backend()}, {platform.machine()}"
    )


if __name__ == "__main__":
    main()
