"""Measures how long threads of PyTorch should wait awake, quiet and beside other programs.

    python benchmarks/waiting_threads.py [--looks 1000 10000 300000] [--steps 40] [--rounds 3]
        [--beside 0 2] [--nice 0]

A small network takes training steps on clips of noise, in a process for each number of looks
(`GOMP_SPINCOUNT`; 300,000 is the library's own). The processes of one setting take turns, round
after round. Printed are the median seconds of a step and the extremes over the rounds. With
`--beside N`, N other programs compute meanwhile; with `--nice 10` they go before the training.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys

CHILD = """
import time
import keras_mlp3d as km
import keras, numpy as np
from keras_mlp3d.training import Recipe, make_optimizer, set_random_seed
set_random_seed(0)
network = km.MLP3D.from_preset(
    "mlp3d_nano", load_weights=False, num_classes=10, schedule="short_range:8"
)
optimizer = make_optimizer(network, Recipe.load("lip_phrases"), 15, verbose=False)
network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
clips = np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 32, 3)).astype("uint8")
labels = np.arange(BATCH) % 10
for number in range(STEPS + 3):
    start = time.perf_counter()
    network.train_on_batch(clips, labels)
    if number >= 3:
        print(time.perf_counter() - start)
"""


@contextlib.contextmanager
def busy(count):
    """Run other programs that compute all the time."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def step_seconds(looks, steps, batch, nice):
    """Return the median time of a step, in a process of its own."""
    program = CHILD.replace("BATCH", str(batch)).replace("STEPS", str(steps))
    environment = {**os.environ, "GOMP_SPINCOUNT": str(looks), "KERAS_BACKEND": "torch"}
    result = subprocess.run(
        ["nice", "-n", str(nice), sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return statistics.median(map(float, result.stdout.split()))


def main(arguments=None):
    """Measure each setting, and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--looks", type=int, nargs="+", default=[1000, 10_000, 300_000])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--nice", type=int, default=0, help="of the training")
    options = parser.parse_args(arguments)
    print("| other programs | looks | s a step | least to most |\n| ---: | ---: | ---: | --- |")
    for count in options.beside:
        with busy(count):
            rounds = [
                [
                    step_seconds(looks, options.steps, options.batch, options.nice)
                    for looks in options.looks
                ]
                for _ in range(options.rounds)
            ]
        for looks, found in zip(options.looks, zip(*rounds, strict=True), strict=True):
            print(
                f"| {count} | {looks:,} | {statistics.median(found):.3f} "
                f"| {min(found):.3f} to {max(found):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
