"""Compares the logits of the backends, for the same weights and the same clip.

Each backend builds the network in its own process. One seed gives the same weights on all backends,
which is checked. Printed is the largest difference of any two, divided by the spread of the logits.

    python benchmarks/backends.py [--preset mlp3d_xs] [--frames 16] [--size 112]
"""

import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

BACKENDS = ("jax", "torch", "tensorflow")


def compute(arguments):
    """Write the logits and a checksum of the weights of the live backend."""
    import keras_mlp3d as km

    import keras

    km.training.set_random_seed(0)
    model = km.MLP3D.from_preset(arguments.preset, load_weights=False)
    # Move time mixing, biases and norms away from their symmetric start.
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1:
            start = keras.ops.convert_to_numpy(weight)
            weight.assign(start + 0.1 * generator.standard_normal(weight.shape))
    shape = (2, arguments.frames, arguments.size, arguments.size, 3)
    clip = generator.integers(0, 256, shape).astype("uint8")
    logits = keras.ops.convert_to_numpy(model(clip, training=False))
    total = sum(
        float(np.abs(keras.ops.convert_to_numpy(weight)).sum(dtype="float64"))
        for weight in model.trainable_weights
    )
    np.savez(arguments.here, logits=logits, total=total)


def main():
    """Run the backends and compare them pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="mlp3d_xs")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--here", help="file to write the live backend's logits to")
    arguments = parser.parse_args()
    if arguments.here:
        compute(arguments)
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for backend in BACKENDS:
            path = pathlib.Path(folder, f"{backend}.npz")
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, __file__, *sys.argv[1:], "--here", str(path)]
            subprocess.run(command, env=environment, check=True)
            with np.load(path) as file:
                results[backend] = {name: file[name] for name in file.files}
    for one, other in itertools.combinations(BACKENDS, 2):
        a, b = results[one], results[other]
        if not np.isclose(a["total"], b["total"], rtol=1e-9):
            raise SystemExit(f"{one} and {other} have other weights")
        difference = np.abs(a["logits"] - b["logits"]).max() / a["logits"].std()
        print(f"{one:10s} {other:10s} largest difference over spread {difference:.1e}")


if __name__ == "__main__":
    main()
