"""How far apart clips are at the classifier of an untrained network, by what its pixels are.

    python benchmarks/pixel_statistics.py --data radar_gestures

A network learns from differences between clips. This prints how much of the features that reach the
classifier differs from clip to clip, before any training: their standard deviation over clips,
averaged over channels, where the features themselves have a root mean square of about 1. Each row
is `mlp3d_tiny` with the same random weights, and with other treatment of the same pixels.
"""

import argparse

import keras_mlp3d as km
from keras_mlp3d.data import VideoConverter, pixel_statistics, read_folder

import keras
import numpy as np


def spread(clips, seed, **options):
    """Return the standard deviation over clips of the mean tokens of an untrained network."""
    keras.utils.set_random_seed(seed)
    backbone = km.MLP3DBackbone.from_preset("mlp3d_tiny", load_weights=False, **options)
    features = [
        backbone.predict_on_batch(clips[start : start + 16]).mean(axis=(1, 2, 3))
        for start in range(0, len(clips), 16)
    ]
    return float(np.concatenate(features).std(axis=0).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    training = read_folder(options.data, "train")
    converter = VideoConverter(24, (64, 64), crop="none")
    found = pixel_statistics(training, converter)
    print(f"pixel_mean {found.pixel_mean}, pixel_std {found.pixel_std}, {found.videos} videos")
    rows = training.rows[:: max(1, len(training) // options.clips)][: options.clips]
    clips = np.stack([converter(row.path) for row in rows])
    own = {"pixel_mean": found.pixel_mean, "pixel_std": found.pixel_std}
    print("| pixels | clips differ by |\n| --- | ---: |")
    for name, changes in (
        ("ImageNet's statistics", {}),
        ("statistics of the data", own),
        ("ImageNet's, minus the mean over time", {"subtract_mean": True}),
        ("of the data, minus the mean over time", {**own, "subtract_mean": True}),
    ):
        values = [spread(clips, seed, **changes) for seed in options.seeds]
        print(f"| {name} | {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f}) |")


if __name__ == "__main__":
    main()
