"""Runs a loop as with a webcam: classifies the last frames in memory again and again.

Before each call of `classify`, some new frames replace the oldest in a list, as with a camera.
Nothing is written to a disk. Printed are the time per call of `classify` without the making of
frames, as median and extremes since the last line, and the memory of this process after some calls,
with its growth since the first of them. The exit code is 1 if the memory grew by more than
`--tolerance`.

    python benchmarks/webcam.py [--calls 300] [--preset mlp3d_nano_motion_shapes] [--crops 3]
"""

import argparse
import collections
import gc
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from keras_mlp3d.inference import classify

import keras
import numpy as np

FPS = 25


def camera(height, width):
    """Yield frames, uint8 (height, width, 3), endlessly: moving waves and noise."""
    rng = np.random.default_rng(0)
    columns, rows = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    speeds, noise = rng.uniform(1, 4, 3), rng.normal(0, 6, (8, height, width, 3))
    number = 0
    while True:
        waves = 60 * np.sin((columns + speeds * number) / 9) + 50 * np.cos((rows - number) / 7)
        yield (127 + waves + noise[number % len(noise)]).clip(0, 255).astype("uint8")
        number += 1


def resident_bytes():
    """Return the resident memory of this process in bytes."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(arguments=None):
    """Run the loop; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="mlp3d_nano_motion_shapes")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--at", type=int, nargs="+", default=[50, 150, 300], help="calls to weigh")
    parser.add_argument("--frames", type=int, default=2 * FPS, help="last frames that are kept")
    parser.add_argument("--new", type=int, default=5, help="new frames before each call")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("H", "W"))
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--crops", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=0.02, help="growth of memory allowed")
    options = parser.parse_args(arguments)

    model = km.MLP3D.from_preset(options.preset)
    frames, last = camera(*options.size), collections.deque(maxlen=options.frames)
    last.extend(next(frames) for _ in range(options.frames))
    seconds, memory = [], {}
    print(
        f"{options.preset}, {keras.backend.backend()}: {options.calls} calls with the last "
        f"{options.frames} frames of {options.size[0]} x {options.size[1]}, {options.crops} crops"
    )
    for call in range(1, options.calls + 1):
        last.extend(next(frames) for _ in range(options.new))
        started = time.perf_counter()
        [prediction] = classify(
            model, list(last), clips=options.clips, crops=options.crops, fps=FPS
        )
        seconds.append(time.perf_counter() - started)
        if call in options.at:
            memory[call] = resident_bytes()
            growth = memory[call] / memory[min(memory)] - 1
            print(
                f"call {call:5d}: {memory[call] / 2**20:8.1f} MiB ({growth:+.2%}), "
                f"{1000 * statistics.median(seconds):7.1f} ms per call "
                f"({1000 * min(seconds):.1f} to {1000 * max(seconds):.1f}), "
                f"frames seen up to {prediction.frame_times.max():.2f} s, {prediction.labels[0]}",
                flush=True,
            )
            seconds = []
    growth = max(memory.values()) / memory[min(memory)] - 1 if memory else 0.0
    print(f"memory grew by at most {growth:.2%} from call {min(memory, default=0)} on")
    return int(growth > options.tolerance)


if __name__ == "__main__":
    sys.exit(main())
