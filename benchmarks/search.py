"""Measures the scoring of a candidate by a supernet against the evaluation of a network.

Videos of motion_shapes are written, and decoded once for the supernet. Measured in turn, round
after round, in one process: the score of a candidate with all blocks fixed, a score with all blocks
sampled at each forward pass, the predictions of an ordinary network for the same clips in memory,
and its `evaluate`, which decodes. Printed are medians and extremes over the rounds, and ratios to
the predictions.

    python benchmarks/search.py [--clips 200] [--rounds 7] [--preset mlp3d_nano]
"""

import argparse
import statistics
import tempfile

from cells import in_turn
from keras_mlp3d.data import motion_shapes, read_manifest
from keras_mlp3d.inference import evaluate
from keras_mlp3d.search import Scorer, SearchSpace, extract, supernet

import keras
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--preset", default="mlp3d_nano")
    arguments = parser.parse_args()
    space = SearchSpace()
    with tempfile.TemporaryDirectory() as folder:
        motion_shapes.write_motion_shapes(folder, num_clips=arguments.clips)
        videos = read_manifest(folder, "val")
        names = list(videos.class_names)
        model = supernet(arguments.preset, space, num_classes=len(names), class_names=names)
        size = arguments.batch_size
        scorer = Scorer(model, videos, batch_size=size)
        clips = np.stack([model.converter(row.path) for row in videos.rows])
        rng = np.random.default_rng(0)
        depth, number = sum(model.backbone.depths), len(space.mixings)
        schedules = [
            [space.mixings[index] for index in rng.integers(0, number, depth)]
            for _ in range(arguments.rounds + 1)
        ]
        networks = [extract(model, schedule) for schedule in schedules]
        for network in networks:  # compiled before the clock runs
            network.predict(clips[:size], batch_size=size, verbose=0)
        seconds = in_turn(
            {
                "predict": lambda i: networks[i].predict(clips, batch_size=size, verbose=0),
                "evaluate": lambda i: evaluate(networks[i], videos, workers=1),
                "candidate, fixed": lambda i: scorer(tuple(schedules[i]), i),
                "candidate, sampled": lambda i: scorer((None,) * depth, i),
            },
            arguments.rounds,
        )
    print(f"{keras.config.backend()}, {arguments.preset}, {len(clips)} clips {clips.shape[1:]}")
    for name, values in seconds.items():
        ratios = [value / base for value, base in zip(values, seconds["predict"], strict=True)]
        print(
            f"{name:<18} {statistics.median(values):6.2f} s ({min(values):.2f} to "
            f"{max(values):.2f})   over predict {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
