"""Compares the time of a training step on PyTorch that `cost` predicts with what is measured.

    python benchmarks/training_time.py [--networks mlp3d_xs mlp3d_s mlp3d_m mlp3d_l]
        [--frames 16] [--size 224] [--batch 1] [--remat] [--rounds 5]

Two numbers of the machine are measured first: the rate of a product of two matrices of
2048 x 2048, and the bandwidth of an addition of two arrays of 64 MB, whose sum is a new one. From
them follows the time of a step of each network, which is then measured: `train_on_batch` with
`training.AdamW`, in float32. Ratios are predicted over measured, with products alone and with what
memory moves; the machine's numbers are measured again beside each network, and the median is taken.
"""

import argparse
import os
import statistics

os.environ["KERAS_BACKEND"] = "torch"

import keras_mlp3d as km
from cells import spread
from forward import seconds_of

import keras
import numpy as np
import torch

NETWORKS = ("mlp3d_xs", "mlp3d_s", "mlp3d_m", "mlp3d_l")
SIDE, ENTRIES, CLASSES = 2048, 16_000_000, 174


def machine():
    """Return (operations per second of a matrix product, bytes per second of an addition)."""
    matrix, array = torch.randn(SIDE, SIDE), torch.randn(ENTRIES)
    product = statistics.median(seconds_of(lambda: matrix @ matrix) for _ in range(5))
    addition = statistics.median(seconds_of(lambda: array + array) for _ in range(5))
    return 2 * SIDE**3 / product, 3 * 4 * ENTRIES / addition


def step_of(network, options):
    """Return what `cost` counts of a step, and a function that takes one."""
    model = km.MLP3D.from_preset(
        network, load_weights=False, num_classes=CLASSES, remat=options.remat
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(km.training.AdamW(1e-4), loss)
    shape = (options.frames, options.size, options.size, 3)
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 256, (options.batch, *shape)).astype("float32")
    labels = generator.integers(0, CLASSES, options.batch)
    counted = km.cost.training_step(model, shape, options.batch)
    return counted, lambda: model.train_on_batch(clips, labels)


def main(arguments=None):
    """Measure the machine and the networks, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    machines, rows = [machine()], []
    for network in options.networks:
        counted, step = step_of(network, options)
        step()
        measured = [seconds_of(step) for _ in range(options.rounds)]
        rows.append((network, counted, measured))
        machines.append(machine())
    rate, bandwidth = map(statistics.median, zip(*machines, strict=True))
    print(f"{rate / 1e9:.3g} GFLOP/s, {bandwidth / 1e9:.3g} GB/s", flush=True)
    clip = f"{options.frames}x{options.size}x{options.size}"
    for network, counted, measured in rows:
        seconds = statistics.median(measured)
        products, both = (counted.seconds(rate, moved) for moved in (None, bandwidth))
        print(
            f"{network} {clip} batch {options.batch}: {spread(measured, '.3f')} s, predicted "
            f"{both:.3f}, ratio {both / seconds:.2f} (products alone {products / seconds:.2f})"
        )


if __name__ == "__main__":
    main()
