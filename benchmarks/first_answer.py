"""How long a user waits for the first answer, in a new process, on each backend.

    python benchmarks/first_answer.py
    python benchmarks/first_answer.py --backends jax --rounds 5

Each number is that of a process of its own: `keras-mlp3d predict` of one video with the default
preset, and a script whose `fit` takes one step of four clips with `mlp3d_nano`. On JAX programs are
kept between processes, so "first" is a start with nothing kept, "next" a later one, and "off" one
with KERAS_MLP3D_COMPILE_CACHE=off; on the other backends nothing is kept, and all three are the
same thing, so that they show how much the numbers vary. Seconds on the clock and of processor, the
median of the rounds with the extremes.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VIDEO = sorted((ROOT / "examples" / "clips" / "grid_words").rglob("*.mp4"))[0]
FIT = """
import numpy as np
import keras_mlp3d as km

model = km.MLP3D.from_preset("mlp3d_nano", load_weights=False, num_classes=4)
model.compile("adam", "sparse_categorical_crossentropy")
clips = np.random.default_rng(0).integers(0, 256, (4, 16, 64, 64, 3)).astype("uint8")
model.fit(clips, np.arange(4), batch_size=4, verbose=0)
"""
PROGRAMS = {
    "predict": [sys.executable, "-m", "keras_mlp3d", "predict", str(VIDEO)],
    "fit": [sys.executable, "-c", FIT],
}
BACKENDS = ("tensorflow", "jax", "torch")


def seconds(program, backend, cache, switch=""):
    """Return (seconds on the clock, of processor) of one process."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("JAX_")
    } | {
        "KERAS_BACKEND": backend,
        "HF_ASSETS_CACHE": str(cache),
        "KERAS_MLP3D_COMPILE_CACHE": switch,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(PROGRAMS[program], env=environment, check=True, stdout=subprocess.DEVNULL)
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(program, backend, rounds):
    """Return {"first", "next" or "off": [(clock, processor) of each round]}."""
    found = {"first": [], "next": [], "off": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            found["first"].append(seconds(program, backend, cache))
            found["next"].append(seconds(program, backend, cache))
            found["off"].append(seconds(program, backend, cache, "off"))
    return found


def summary(values):
    """Return the median and extremes, as text."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| backend | program | start | seconds | of processor |")
    print("| --- | --- | --- | ---: | ---: |")
    for backend in options.backends:
        for program in PROGRAMS:
            for start, rows in measure(program, backend, options.rounds).items():
                clock, processor = zip(*rows, strict=True)
                cells = (backend, program, start, summary(clock), summary(processor))
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
