"""Trains small networks on `motion_shapes`: does grouped time mixing see the order of events?

For each schedule, `mlp3d_nano` is trained from scratch on generated video files and evaluated on
files of the test split (other seeds, other textures). A network that mixes no time (S = 1, or
CycleMLP on every frame) cannot exceed 50 %: clips of (a, b) and (b, a) have the same tubelets.

    python benchmarks/motion_shapes.py                        # all of the table
    python benchmarks/motion_shapes.py --networks SR-SW --save presets/mlp3d_nano_motion_shapes
"""

import argparse
import json
import math
import os
import pathlib
import platform
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from keras_mlp3d.data import VideoLoader, motion_shapes, read_folder

import keras
import numpy as np

NETWORKS = {
    "LR": "long_range:4",
    "ST": "shift_token:4",
    "SR-LR": "short_range:4+long_range:4",
    "SR-SW": "short_range:4+shift_window:4",
    "SR": "short_range:4",
    "S=1": "short_range:1",
    "CycleMLP": None,
}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def read_clips(folder, split, num_clips, converter):
    """Write missing video files, and decode all into memory."""
    directory = pathlib.Path(folder, split)
    motion_shapes.write_motion_shapes(directory, split=split, num_clips=num_clips)
    manifest = read_folder(directory, split)
    videos = VideoLoader(manifest, converter, batch_size=100)
    clips, labels = (np.concatenate(part) for part in zip(*videos, strict=True))
    return clips, labels, manifest.class_names


def make_network(name, converter, class_names):
    """Return an untrained network of the size of `mlp3d_nano`, and its training frames.

    CycleMLP is trained on every fourth frame, at the cost of the 3-D networks, and evaluated
    on all frames.
    """
    options = {"num_classes": len(class_names), "class_names": class_names, "dropout": 0.0}
    if NETWORKS[name] is not None:
        model = km.MLP3D.from_preset(
            "mlp3d_nano",
            load_weights=False,
            schedule=NETWORKS[name],
            converter=converter,
            **options,
        )
        return model, slice(None)
    model = km.FrameCycleMLP.from_preset(
        "cyclemlp_nano", load_weights=False, converter=converter, **options
    )
    return model, slice(None, None, 4)


def train(model, clips, labels, epochs, batch_size, learning_rate):
    """Train with AdamW, one epoch of warm-up and a cosine to zero."""
    steps = math.ceil(len(clips) / batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps * (epochs - 1), warmup_target=learning_rate, warmup_steps=steps
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.02, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    model.compile(optimizer, LOSS, metrics=["accuracy"])
    model.fit(clips, labels, batch_size=batch_size, epochs=epochs, verbose=2)


def main():
    """Train networks and print a row per network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--train-clips", type=int, default=3000)
    parser.add_argument("--test-clips", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", help="folder that keeps the video files; else a temporary one")
    parser.add_argument("--save", help="directory of the preset made from the last network")
    parser.add_argument("--results", help="JSON file to write the rows to")
    arguments = parser.parse_args()
    nano = km.MLP3D.from_preset("mlp3d_nano", load_weights=False)
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data or temporary
        started = time.perf_counter()
        clips, labels, names = read_clips(folder, "train", arguments.train_clips, nano.converter)
        test_clips, test_labels, _ = read_clips(
            folder, "test", arguments.test_clips, nano.converter
        )
        print(
            f"{len(clips)} training and {len(test_clips)} test clips in "
            f"{time.perf_counter() - started:.0f} s, {keras.backend.backend()}, "
            f"{os.cpu_count()} processors",
            flush=True,
        )
        for name in arguments.networks:
            km.training.set_random_seed(arguments.seed)
            model, frames = make_network(name, nano.converter, names)
            started = time.perf_counter()
            train(
                model,
                clips[:, frames],
                labels,
                arguments.epochs,
                arguments.batch_size,
                arguments.learning_rate,
            )
            seconds = time.perf_counter() - started
            _, accuracy = model.evaluate(test_clips, test_labels, batch_size=50, verbose=0)
            rows[name] = {"accuracy": round(accuracy, 4), "seconds": round(seconds)}
            print(f"{name:10s} test accuracy {accuracy:.3f}  training {seconds:.0f} s", flush=True)
            if arguments.results:
                pathlib.Path(arguments.results).write_text(json.dumps(rows, indent=2) + "\n")
    if arguments.save:
        save(model, name, rows[name]["accuracy"], arguments)


def save(model, name, accuracy, arguments):
    """Save the network as a preset, with a description of its training."""
    shape = (model.converter.num_frames, *model.converter.image_size, 3)
    command = (
        f"python benchmarks/motion_shapes.py --networks {name} --train-clips "
        f"{arguments.train_clips} --test-clips {arguments.test_clips} --epochs {arguments.epochs} "
        f"--batch-size {arguments.batch_size} --learning-rate {arguments.learning_rate} "
        f"--seed {arguments.seed} --save {arguments.save}"
    )
    model.save_to_preset(
        arguments.save,
        description=(
            f"mlp3d_nano ({name}, S = 4) trained on motion_shapes: it names the two of five events "
            "that a shape performs, in their order."
        ),
        macs=km.cost.count(model, shape).macs,
        metrics=[
            {
                "name": "top-1 accuracy",
                "value": accuracy,
                "dataset": "motion_shapes",
                "split": f"test, {arguments.test_clips} clips",
                "command": command,
            }
        ],
        training={
            "command": command,
            "data": f"motion_shapes, train, {arguments.train_clips} clips, generated",
            "hardware": f"CPU, {os.cpu_count()} processors ({platform.machine()}), "
            f"{keras.backend.backend()}",
        },
        license="apache-2.0",
        source="ours",
    )


if __name__ == "__main__":
    main()
