"""Times a training step on PyTorch next to that of a plain PyTorch network, in turn.

    python benchmarks/training_step.py [--schedule shift_token:4] [--batch 4] [--frames 16]
        [--size 112] [--rounds 15]

`mlp3d_xs` by `train_on_batch` with `training.AdamW`, which recipes train with, and with Keras's
AdamW; the same network in a loop of PyTorch with PyTorch's AdamW; and `plain_torch.py` in such a
loop, with the AdamW that PyTorch takes by itself, weight by weight on a CPU, and with its fused
one. All in float32 with cross-entropy and without stochastic depth, which the plain network
lacks. Printed are seconds, and those of each over those of the two plain networks in the same
round: medians with the extremes. `device.py` sets the steps of all backends beside a matrix
product.
"""

import argparse
import os
import statistics

os.environ["KERAS_BACKEND"] = "torch"

import keras_mlp3d as km
from forward import seconds_of
from plain_torch import PlainMLP3D

import keras
import numpy as np
import torch

PLAIN = "plain", "plain, fused"


def loop_step(network, parameters, clip, labels, fused=None):
    """Return a training step as PyTorch's own loop takes it."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.05, fused=fused)

    def step():
        loss = torch.nn.functional.cross_entropy(network(clip), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def steps(options):
    """Return {name: training step}."""
    keras.utils.set_random_seed(0)
    shape = (options.frames, options.size, options.size, 3)
    model, keras_own, in_a_loop = (
        km.MLP3D.from_preset(
            "mlp3d_xs",
            load_weights=False,
            schedule=options.schedule,
            input_shape=shape,
            drop_path_rate=0.0,
        )
        for _ in range(3)
    )
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 256, (options.batch, *shape)).astype("uint8")
    classes = np.arange(options.batch) % model.num_classes
    clip, labels = torch.from_numpy(clips), torch.from_numpy(classes)
    backbone = model.backbone
    plain, with_fused = (
        PlainMLP3D(backbone.channels, backbone.depths, backbone.schedule, model.num_classes)
        for _ in PLAIN
    )
    loop = loop_step(lambda x: in_a_loop(x, training=True), in_a_loop.parameters(), clip, labels)
    for network, adamw in ((model, km.training.AdamW), (keras_own, keras.optimizers.AdamW)):
        network.compile(
            adamw(1e-4, weight_decay=0.05),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    return {
        "train_on_batch": lambda: model.train_on_batch(clips, classes),
        "with Keras's AdamW": lambda: keras_own.train_on_batch(clips, classes),
        "ours in a loop": loop,
        "plain": loop_step(plain, plain.parameters(), clip, labels),
        "plain, fused": loop_step(with_fused, with_fused.parameters(), clip, labels, True),
    }


def spread(values, digits):
    """Return the median with the extremes."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(arguments=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--schedule", default="shift_token:4")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    runs = steps(options)
    for run in [*runs.values()] * 2:
        run()
    rounds = [{name: seconds_of(run) for name, run in runs.items()} for _ in range(options.rounds)]
    for name in runs:
        seconds = [times[name] for times in rounds]
        said = [f"{name:20s} {spread(seconds, 3)} s"]
        for base in PLAIN:
            ratios = [times[name] / times[base] for times in rounds]
            said.append(f"over {base} {spread(ratios, 2)}")
        print(", ".join(said))


if __name__ == "__main__":
    main()
