"""Compares the speed of the network with a matrix product, and with a plain PyTorch network.

For each installed backend, in its own process: seconds of one forward pass of `mlp3d_xs` on
1 x 64 x 128 x 128, float32, S = 4, and its multiply-accumulates per second divided by those of a
2048 x 2048 x 2048 matrix product, measured in turn with the same library. PyTorch also runs
`plain_torch.py`, a network written directly from the paper's listing (Cycle FC by gathering).

    python benchmarks/forward.py [--backends jax torch tensorflow] [--schedule shift_token:4]
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time

SHAPE = (64, 128, 128, 3)
SIDE = 2048


def measure(runs, multiply, rounds):
    """Time every form in turn, each between two matrix products, round after round.

    Returns:
        {form: [(seconds, seconds of the product next to it), ...]}, an entry for each round.
    """
    for function in (multiply, *runs.values()) * 2:
        function()
    times = {form: [] for form in runs}
    for _ in range(rounds):
        before = seconds_of(multiply)
        for form, run in runs.items():
            seconds, after = seconds_of(run), seconds_of(multiply)
            times[form].append((seconds, (before + after) / 2))
            before = after
    return times


def seconds_of(function):
    """Run a function once and return how long it took."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def jax_runs(model, clip, matrix):
    """Return the matrix product and {form: forward pass} for JAX."""
    import jax

    matrix = jax.device_put(matrix)
    product = jax.jit(lambda a: a @ a)
    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    forward = jax.jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])
    run = lambda: forward(trainable, others, clip).block_until_ready()  # noqa: E731
    return lambda: product(matrix).block_until_ready(), {"jit": run}


def torch_runs(model, clip, matrix):
    """Return the matrix product and {form: forward pass} for PyTorch."""
    from plain_torch import PlainMLP3D

    import torch

    torch.set_grad_enabled(False)
    matrix, clip = torch.from_numpy(matrix), torch.from_numpy(clip)
    compiled = torch.compile(lambda x: model(x, training=False))
    backbone = model.backbone
    plain = PlainMLP3D(backbone.channels, backbone.depths, backbone.schedule, model.num_classes)
    runs = {
        "eager": lambda: model(clip, training=False),
        "compiled": lambda: compiled(clip),
        "plain": lambda: plain(clip),
    }
    return lambda: matrix @ matrix, runs


def tensorflow_runs(model, clip, matrix):
    """Return the matrix product and {form: forward pass} for TensorFlow."""
    import tensorflow as tf

    matrix, clip = tf.constant(matrix), tf.constant(clip)
    product = tf.function(lambda a: a @ a)

    def forward(x):
        return model(x, training=False)

    graph, xla = tf.function(forward), tf.function(forward, jit_compile=True)
    runs = {"graph": lambda: graph(clip).numpy(), "xla": lambda: xla(clip).numpy()}
    return lambda: product(matrix).numpy(), runs


def run_backend(schedule, rounds):
    """Measure the live backend and print a row for each form of running."""
    import keras_mlp3d as km

    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = km.MLP3D.from_preset(
        "mlp3d_xs", load_weights=False, schedule=schedule, input_shape=SHAPE
    )
    macs = km.cost.count(model, SHAPE).macs
    generator = np.random.default_rng(0)
    clip = generator.integers(0, 256, (1, *SHAPE)).astype("uint8")
    matrix = generator.standard_normal((SIDE, SIDE)).astype("float32")
    backend = keras.backend.backend()
    multiply, runs = globals()[f"{backend}_runs"](model, clip, matrix)
    times = measure(runs, multiply, rounds)
    for form, pairs in times.items():
        seconds = statistics.median(run for run, _ in pairs)
        ratios = sorted((macs / run) / (SIDE**3 / product) for run, product in pairs)
        print(
            f"{backend:10s} {form:9s} {schedule:32s} {macs / 1e9:6.2f} GMAC  {seconds:6.3f} s  "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    for form in ("eager", "compiled"):
        if "plain" in times:
            pairs = zip(times["plain"], times[form], strict=True)
            faster = statistics.median(plain[0] / ours[0] for plain, ours in pairs)
            print(f"{backend:10s} plain PyTorch network over ours, {form}: {faster:.2f}")


def main():
    """Run every backend that is installed, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backends", nargs="+", default=["jax", "torch", "tensorflow"])
    parser.add_argument("--schedule", default="shift_token:4")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--here", action="store_true", help="measure the live backend")
    arguments = parser.parse_args()
    if arguments.here:
        run_backend(arguments.schedule, arguments.rounds)
        return
    for backend in arguments.backends:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend:10s} is not installed")
            continue
        command = [sys.executable, __file__, "--here", "--schedule", arguments.schedule]
        command += ["--rounds", str(arguments.rounds)]
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
