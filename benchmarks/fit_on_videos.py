"""Measures `fit` on video files against its parts: how well decoding and training overlap.

    python benchmarks/fit_on_videos.py [--data lip_phrases] [--clips 480] [--rounds 5]
        [--epochs 3] [--workers 2] [--processes 0] [--beside 0]

A small network trains by the recipe `lip_phrases`, on the videos of a folder (`train/<class>/`) or
on generated ones of 160 x 80 pixels and 6 to 17 frames. Measured in turn, round after round, each
for the same epochs, after a round to warm up:

- decoding: the batches of the loader are read and dropped;
- steps: `fit` on batches that are in memory;
- both: decoding in another program while this one takes the steps, until both have ended. They
  exchange nothing, so this is what the two cost each other on these processors;
- fit: `fit` on the loader.

Of each, the seconds of an epoch and its seconds of processor time. If everything overlapped, `fit`
would take as long as the slowest of these: decoding, steps, and the processor time of both divided
by the number of processors. Printed is that bound, and what share of it `fit` reaches; and what
share of both.

With `--processes N`, N processes decode for `fit`; decoding alone is measured in threads as before.
With `--beside N`, N other programs compute meanwhile.
"""

import argparse
import contextlib
import os
import pathlib
import pickle
import statistics
import subprocess
import sys
import tempfile
import time

import keras_mlp3d as km  # before Keras and PyTorch: it decides how PyTorch's threads wait
from input import write_video
from keras_mlp3d._utils.backend import WITHOUT_KERAS
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, read_folder
from keras_mlp3d.training import Recipe, make_loaders, make_optimizer, set_random_seed
from waiting_threads import busy

import keras
import numpy as np

SCHEDULE = "short_range:8"
#: Another program that makes the batches of some epochs each time that it is asked to.
DECODING = """
import pickle, sys
from keras_mlp3d.data.loading.read_ahead import ReadAhead
source, workers = pickle.load(sys.stdin.buffer)
reader, epoch = ReadAhead(source.jobs, source.num_batches, workers, True, source.join), 0
while line := sys.stdin.buffer.readline():
    for epoch in range(epoch, epoch + int(line)):
        for batch in range(source.num_batches):
            reader.get(epoch, batch, ahead=2)
    epoch += 1
    print(flush=True)
"""


class InMemory(keras.utils.PyDataset):
    """Batches that are there already."""

    def __init__(self, batches):
        super().__init__()
        self._batches = batches

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        return self._batches[index]


def generated(folder, clips):
    """Write videos of the size and length of those of the data set."""
    rng, rows = np.random.default_rng(0), []
    for number in range(clips):
        path = pathlib.Path(folder, f"{number}.mp4")
        write_video(path, int(rng.integers(6, 18)), (80, 160), rng)
        rows.append(VideoRow(str(path), number % 10))
    return Manifest(rows, [f"class {k}" for k in range(10)], "train")


def from_folder(path, clips):
    """Read the first videos of every class."""
    manifest = read_folder(path, "train")
    rows = [manifest.rows[k] for k in np.linspace(0, len(manifest.rows) - 1, clips).astype(int)]
    return Manifest(rows, manifest.class_names, "train", root=manifest.root)


def timed(function, epochs):
    """Return seconds, and seconds of processor time, of an epoch of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return (time.perf_counter() - wall) / epochs, (time.process_time() - processor) / epochs


@contextlib.contextmanager
def decoding_apart(source, workers):
    """Yield a function that lets another program decode epochs, and one that waits for it."""
    pipe, command = subprocess.PIPE, [sys.executable, *WITHOUT_KERAS, "-c", DECODING]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as program:
        pickle.dump((source, workers), program.stdin)

        def start(epochs):
            program.stdin.write(f"{epochs}\n".encode())
            program.stdin.flush()

        yield start, program.stdout.readline
        program.stdin.close()


def measure(manifest, options):
    """Return {part: [(seconds, processor seconds) of each round]}."""
    epochs = options.epochs
    recipe = Recipe.load("lip_phrases").replace(batch_size=options.batch)
    converter = VideoConverter(recipe.num_frames, recipe.image_size, crop="none")
    set_random_seed(0)
    model = km.MLP3D.from_preset(
        "mlp3d_nano",
        load_weights=False,
        num_classes=len(manifest.class_names),
        converter=converter,
        schedule=SCHEDULE,
        subtract_mean=True,
    )
    loader, _ = make_loaders(recipe, manifest, None, converter, options.workers)
    model.compile(
        make_optimizer(model, recipe, len(loader), verbose=False),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    memory = InMemory(list(loader))
    feed, _ = make_loaders(recipe, manifest, None, converter, processes=options.processes)

    def fit(batches):
        model.fit(batches, epochs=epochs, shuffle=False, verbose=0)

    def decode():
        for _ in range(epochs):
            for _ in loader:
                pass

    def fit_on_videos():
        feed.epoch += 2  # of which no batch is prepared
        fit(feed)

    with decoding_apart(loader.source, options.workers) as (start, wait):
        parts = {
            "decoding": decode,
            "steps": lambda: fit(memory),
            "both": lambda: (start(epochs), fit(memory), wait()),
            "fit": fit_on_videos,
        }
        times = {name: [] for name in parts}
        for number in range(options.rounds + 1):
            for name, part in parts.items():
                found = timed(part, epochs)
                if number:
                    times[name].append(found)
    return times


def report(times, processors):
    """Print a row per part, and the share of the bound that `fit` reaches."""
    print("| part | s | least to most | processor s |\n| --- | ---: | --- | ---: |")
    for name, rows in times.items():
        wall = [row[0] for row in rows]
        processor = statistics.median(row[1] for row in rows)
        print(
            f"| {name} | {statistics.median(wall):.2f} | {min(wall):.2f} to {max(wall):.2f} "
            f"| {processor:.2f} |"
        )
    bounds = [
        max(decoding[0], steps[0], (decoding[1] + steps[1]) / processors)
        for decoding, steps in zip(times["decoding"], times["steps"], strict=True)
    ]
    for name, least in (("bound", bounds), ("both", [row[0] for row in times["both"]])):
        shares = [seconds / fit[0] for seconds, fit in zip(least, times["fit"], strict=True)]
        print(
            f"{name} {statistics.median(least):.2f} s; fit reaches {statistics.median(shares):.3f} "
            f"of it ({min(shares):.3f} to {max(shares):.3f})",
            flush=True,
        )


def main(arguments=None):
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of videos; default: generated ones")
    parser.add_argument("--clips", type=int, default=480)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="of a round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--processes", type=int, default=0, help="that decode, in place of threads")
    parser.add_argument("--beside", type=int, default=0, help="other programs that compute")
    options = parser.parse_args(arguments)
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, busy(options.beside):
        if options.data:
            manifest = from_folder(options.data, options.clips)
        else:
            manifest = generated(folder, options.clips)
        print(
            f"{keras.backend.backend()}, {options.epochs} epochs of {len(manifest)} clips, batches "
            f"of {options.batch}, {options.workers} workers, {processors} processors, "
            f"{options.beside} other programs"
        )
        report(measure(manifest, options), processors)


if __name__ == "__main__":
    main()
