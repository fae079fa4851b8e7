"""Estimates a training on Kinetics-400 and the scoring of a million videos, from rates of this CPU.

Measured in processor seconds per clip, so that other work on the machine counts less: reading a
training clip with the augmentation of the recipe, a training step, reading a video for its views,
and a forward pass. The videos are 10 seconds of 340 x 256 at 25 fps, as H.264. From them it derives
hours on machines with some cores each:

    training: videos x epochs x copies x (reading + step) / (machines x cores)
    scoring:  videos x (reading + clips x crops x forward) / (machines x cores)

The estimates suppose that all cores work as this one did, that machines do not wait for one
another, and that disks and network keep up: none of that is measured. `--step-rate` takes the
clips per second of a device of yours, and the estimate then says how many cores must read for it.

    KERAS_BACKEND=torch OMP_NUM_THREADS=1 python benchmarks/scaling.py [--recipe kinetics400_search]
        [--preset mlp3d_xs] [--videos 8] [--rounds 3] [--machines 1 8 64] [--cores 32]
        [--step-rate CLIPS_PER_SECOND --devices N]
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from cells import processor
from input import write_video
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.training import Recipe, make_loaders, make_optimizer, network_options

import keras
import numpy as np

#: Of Kinetics-400, by section 4.1 of the paper; a million is a round number.
TRAINING_VIDEOS, SCORED_VIDEOS = 246_000, 1_000_000
SIZE, FRAMES = (256, 340), 250
VIEWS = {"1 clip x 3 crops": (1, 3), "4 clips x 3 crops": (4, 3)}


def processor_seconds(run, rounds):
    """Return the median of a function's processor seconds over all threads, and the extremes."""
    run()
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), min(seconds), max(seconds)


def per_clip(measured, clips):
    """Divide (median, least, most) by a number of clips."""
    return tuple(seconds / clips for seconds in measured)


def videos(folder, count):
    """Write videos, and return their manifest."""
    rng, rows = np.random.default_rng(0), []
    for number in range(count):
        path = pathlib.Path(folder, f"{number}.mp4")
        write_video(path, FRAMES, SIZE, rng)
        rows.append(VideoRow(str(path), number % 2))
    return Manifest(rows, ("a", "b"), "train")


def measure(manifest, recipe, preset, batch_size, rounds):
    """Return {what: (median, least, most) processor seconds per clip, or per video}."""
    few = recipe.replace(batch_size=batch_size, warmup_epochs=0)
    converter = VideoConverter(recipe.num_frames, recipe.image_size, recipe.sampling)
    loader, _ = make_loaders(few, manifest, None, converter, workers=1)

    def read():
        for place in range(len(loader)):
            loader[place]
        loader.on_epoch_end()

    clips = sum(len(loader[place][0]) for place in range(len(loader)))
    loader.on_epoch_end()
    found = {"reading a training clip": per_clip(processor_seconds(read, rounds), clips)}
    model = km.MLP3D.from_preset(
        preset, load_weights=False, num_classes=400, **network_options(few, recipe.num_frames)
    )
    model.compile(
        make_optimizer(model, few, len(loader)), keras.losses.CategoricalCrossentropy(True)
    )
    shape = (batch_size, recipe.num_frames, *recipe.image_size, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    labels = np.eye(400, dtype="float32")[:batch_size]
    step = processor_seconds(lambda: model.train_on_batch(batch, labels), rounds)
    found["a training step"] = per_clip(step, batch_size)
    forward = processor_seconds(lambda: model.predict_on_batch(batch), rounds)
    found["a forward pass"] = per_clip(forward, batch_size)
    for name, (count, crops) in VIEWS.items():

        def views(count=count, crops=crops):
            for row in manifest.rows:
                converter.read(row.path, clips=count, crops=crops)

        found[f"reading {name}"] = per_clip(processor_seconds(views, rounds), len(manifest))
    return found


def training_hours(read, step, clips, machines, cores):
    """Return the hours of a training, if each core works as the measured one."""
    return clips * (read + step) / (machines * cores) / 3600


def scoring_hours(read, forward, views, count, machines, cores):
    """Return the hours of scoring videos."""
    return count * (read + views * forward) / (machines * cores) / 3600


def fed_training(read, clips, rate, devices):
    """Return the hours of a training on devices with a measured rate, and the cores that feed it.

    Args:
        read: Processor seconds per training clip.
        clips: Number of clips.
        rate: Clips per second of one device.
        devices: Number of devices.
    """
    return clips / (rate * devices) / 3600, read * rate * devices


def report(found, recipe, scale, options):
    """Print the measured seconds, and the estimates with their arithmetic."""
    print("processor seconds, median (least to most)")
    for name, (middle, least, most) in found.items():
        print(f"  {name:28s} {middle:8.3f}  ({least:.3f} to {most:.3f})")
    read, step, forward = (
        found[name][0] for name in ("reading a training clip", "a training step", "a forward pass")
    )
    copies = recipe.batch_augmentation
    clips = TRAINING_VIDEOS * recipe.epochs * copies
    print(
        f"\n{recipe.name}: {TRAINING_VIDEOS:,} videos x {recipe.epochs} epochs x {copies} copies = "
        f"{clips:,} clips; core hours: reading {clips * read / 3600:,.0f}, steps "
        f"{clips * step / 3600:,.0f}"
    )
    for machines in options.machines:
        hours = training_hours(read, step, clips, machines, options.cores)
        print(f"  {machines:5d} machines of {options.cores} cores: {hours:12,.1f} h")
    if options.step_rate is not None:
        hours, cores = fed_training(read, clips, options.step_rate, options.devices)
        print(
            f"  {options.devices} devices of {options.step_rate:g} clips per second (as given): "
            f"{hours:,.1f} h, and {cores:,.0f} cores that read"
        )
    print(f"\nscoring {SCORED_VIDEOS:,} videos with {options.preset}, clips as in the recipe")
    for name, (count, crops) in VIEWS.items():
        seconds = found[f"reading {name}"][0]
        for machines in options.machines:
            hours = scoring_hours(
                seconds, forward, count * crops, SCORED_VIDEOS, machines, options.cores
            )
            print(f"  {name}, {machines:5d} machines of {options.cores} cores: {hours:10,.1f} h")
    print(f"\nmultiply-accumulates per clip at 224 x 224 over those here: {scale:.2f}")


def main(arguments=None):
    """Measure, and print the estimates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="kinetics400_search")
    parser.add_argument("--preset", default="mlp3d_xs")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--cores", type=int, default=32, help="of a machine")
    parser.add_argument("--step-rate", type=float, help="clips per second of a device, measured")
    parser.add_argument("--devices", type=int, default=8)
    options = parser.parse_args(arguments)
    recipe = Recipe.load(options.recipe)
    with tempfile.TemporaryDirectory() as folder:
        manifest = videos(folder, options.videos)
        found = measure(manifest, recipe, options.preset, options.batch_size, options.rounds)
    backbone = km.MLP3DBackbone.from_preset(options.preset, load_weights=False)
    here, large = (
        km.cost.count(backbone, (recipe.num_frames, *size, 3)).macs
        for size in (recipe.image_size, (224, 224))
    )
    print(f"{processor()}, {keras.backend.backend()}, {options.preset}, {here / 1e9:.1f} GMACs")
    report(found, recipe, large / here, options)


if __name__ == "__main__":
    main()
