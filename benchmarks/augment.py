"""Measures augmentation against decoding: milliseconds per clip, and their ratio, in one run.

The frames of a clip are written to two H.264 files, one of 426 x 240 pixels, as in
Something-Something V2, and one of the clip's size. One thread decodes them to RGB with PyAV. Each
operation of RandAugment runs at magnitude 7. The chain is crop, flip, RandAugment (4 operations,
each applied half of the time), erasing, then MixUp or CutMix, with other random numbers each time.
All are timed in turn, in processor time. Printed are medians, or means if the time depends on the
random numbers (RandAugment, the chain).

    python benchmarks/augment.py [--clips 16x112x112 64x128x128] [--rounds 15]
"""

import argparse
import pathlib
import statistics
import tempfile
import time

from keras_mlp3d.data.augment import (
    Augmenter,
    CutMix,
    HorizontalFlip,
    MixUp,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    clip_generator,
)
from keras_mlp3d.data.augment.rand_augment import OPERATIONS

import av
import numpy as np

VIDEO_SIZE = (240, 426)
BATCH = 4
#: Steps whose time depends on the random numbers: their mean is printed.
DRAWN = ("RandAugment", "the whole chain")


def write_video(path, num_frames, height, width):
    """Write a video with a bright bar that moves over waves."""
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=12)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for t in range(num_frames):
            waves = [
                127 + 90 * np.sin((rows + k * t) / (9 + k) + columns / (7 + 3 * k)) for k in (1, 2)
            ]
            picture = np.stack([*waves, (rows + columns + 5 * t) % 256], axis=-1).astype("uint8")
            picture[height // 4 : height // 2, t : t + width // 5] = 255
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def decode(path):
    """Return all frames of a video, decoded by PyAV, as uint8 (T, H, W, 3)."""
    with av.open(str(path)) as file:
        file.streams.video[0].thread_count = 1
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def operations(clip):
    """Return {name: function of the number of the round} of each step and of the chain."""
    size = clip.shape[1:3]
    batch = np.stack([np.roll(clip, 7 * k, axis=2) for k in range(BATCH)])
    labels = np.eye(BATCH)
    crop, flip, erasing = RandomResizedCrop(size), HorizontalFlip(1.0), RandomErasing(1.0)
    rand_augment, mix_up, cut_mix = RandAugment(), MixUp(0.8), CutMix(1.0)
    chain = Augmenter(
        crop=crop,
        flip=HorizontalFlip(),
        rand_augment=rand_augment,
        erasing=RandomErasing(),
        mix_up=mix_up,
        cut_mix=cut_mix,
        label_smoothing=0.1,
        num_classes=BATCH,
    )

    def whole(rng):
        clips = np.stack([chain(one, k, rng)[0] for k, one in enumerate(batch)])
        return chain.batch(clips, list(range(BATCH)), rng)

    runs = {
        "crop and resize": (lambda rng: crop(clip, rng), 1),
        "flip": (lambda rng: flip(clip, 0, rng), 1),
        "erasing": (lambda rng: erasing(clip, rng), 1),
        "MixUp": (lambda rng: mix_up(batch, labels, rng), BATCH),
        "CutMix": (lambda rng: cut_mix(batch, labels, rng), BATCH),
    }
    for name in OPERATIONS:
        one = RandAugment(1, probability=1.0, operations=[name])
        runs[name] = (lambda rng, one=one: one(clip, rng), 1)
    runs["RandAugment"] = (lambda rng: rand_augment(clip, rng), 1)
    runs["the whole chain"] = (whole, BATCH)
    return runs


def milliseconds(function, *arguments):
    """Run a function once and return its processor time."""
    start = time.process_time()
    function(*arguments)
    return 1000 * (time.process_time() - start)


def measure(shape, rounds):
    """Print a row per operation on clips of `shape`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ("large.mp4", "own.mp4")]
        for path, size in zip(paths, (VIDEO_SIZE, shape[1:]), strict=True):
            write_video(path, shape[0], *size)
        runs = operations(decode(paths[1]))
        decoding, times = [[], []], {name: [] for name in runs}
        for number in range(rounds):
            for path, taken in zip(paths, decoding, strict=True):
                taken.append(milliseconds(decode, path))
            for name, (run, clips) in runs.items():
                # The same random numbers for all steps, others in each round.
                times[name].append(milliseconds(run, clip_generator(0, 0, number)) / clips)
    large, own = map(statistics.median, decoding)
    print(
        f"\n{shape[0]} x {shape[1]} x {shape[2]}: decoding takes {large:.1f} ms from 426 x 240, "
        f"{own:.1f} ms from the clip's own size"
    )
    for name, taken in times.items():
        value = statistics.fmean(taken) if name in DRAWN else statistics.median(taken)
        print(f"  {name:16s} {value:7.2f} ms  ratios {value / large:6.3f} {value / own:6.3f}")


def main():
    """Measure all shapes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", nargs="+", default=["16x112x112", "64x128x128"])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for text in options.clips:
        measure(tuple(map(int, text.split("x"))), options.rounds)


if __name__ == "__main__":
    main()
