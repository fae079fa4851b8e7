"""Measures loading: clips per second of each loader against bare decoding, and memory over time.

Videos of 320 x 240 pixels with moving waves, edges and noise are written as H.264, and as shards
at their own size and at a short side of 128. Bare decoding uses PyAV only: it opens a video,
decodes it up to the last wanted frame, and converts the wanted frames to RGB, in as many threads as
the loaders have workers; "resized" also resizes the wanted frames with PyAV. All loaders make
training clips: frames sampled at random, resized and cropped. All are measured in turn, round after
round, in one process. Printed are medians and extremes over the rounds, and the ratios to bare
decoding of the same round. As epochs are short, their start takes a larger part of the time than in
training. Memory is measured on videos of 160 x 120.

A long file has ten minutes of 1280 x 720 pixels at 25 fps, with a key frame at least every 250
frames. One clip of 64 frames is read from it, uniform and dense, and compared with a bare seek and
decode of the same frames: PyAV seeks to the key frame before each, decodes up to it and resizes it.

    python benchmarks/input.py [--clips 60] [--frames 60 100] [--rounds 5] [--workers 2]
        [--memory-clips 5000] [--minutes 10]
"""

import argparse
import concurrent.futures
import gc
import os
import pathlib
import statistics
import tempfile
import time

from keras_mlp3d.data import (
    Manifest,
    VideoConverter,
    VideoLoader,
    VideoRow,
    make_dataset,
    read_shards,
    write_shards,
)
from keras_mlp3d.data.augment import clip_generator
from keras_mlp3d.data.video.sampling import clip_indices

import av
import numpy as np
from av.video.reformatter import VideoReformatter

SIZE, SHORT_SIDE, BATCH = (240, 320), 128, 4
#: (name, frames, size): the paper's clip for the search, and a short one.
#: Height and width of the long file, and the length in seconds of the repeated part.
LONG_SIZE, LONG_SECONDS = (720, 1280), 60
CLIPS = (("64 x 128 x 128", 64, 128), ("16 x 112 x 112", 16, 112))


def write_video(path, num_frames, size, rng):
    """Write a video of waves, a moving edge and noise, as H.264 if there is an encoder."""
    height, width = size
    columns, rows = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    speeds, phases = rng.uniform(-3, 3, 3), rng.uniform(4, 12, 3)
    # A few pictures of noise in turn: new noise would take longer than its coding.
    noise = rng.normal(0, 6, (8, height, width, 3)).astype("float32")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for t in range(num_frames):
            across = 60 * np.sin((columns + speeds * t) / phases)
            down = 50 * np.cos((rows - speeds * t) / (phases + 3))
            picture = (127 + across).astype("float32") + down.astype("float32")
            left = (3 * t) % (width - width // 4)
            picture[height // 4 : height // 2, left : left + width // 4] = (200, 40, 90)
            picture += noise[t % len(noise)]
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype("uint8"), "rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def write_data(folder, count, frames, size=SIZE):
    """Write videos of between two numbers of frames; return their manifest and frame counts."""
    pathlib.Path(folder).mkdir()
    rng, rows, lengths = np.random.default_rng(0), [], []
    for number in range(count):
        path = pathlib.Path(folder, f"{number}.mp4")
        lengths.append(int(rng.integers(frames[0], frames[1] + 1)))
        write_video(path, lengths[-1], size, rng)
        rows.append(VideoRow(str(path), number % 2))
    return Manifest(rows, ("a", "b"), "train"), lengths


def decode(path, indices, **size):
    """Return some frames as RGB, resized if a size is given, with PyAV only."""
    wanted, last, reformatter = set(indices), max(indices), VideoReformatter()
    with av.open(path) as file:
        stream = file.streams.video[0]
        stream.thread_count = 1
        frames = []
        for number, frame in enumerate(file.decode(stream)):
            if number in wanted:
                picture = reformatter.reformat(frame, format="rgb24", threads=1, **size)
                frames.append(picture.to_ndarray())
            if number == last:
                return frames
    return frames


def bare(pool, manifest, lengths, num_frames, epoch, **size):
    """Decode the frames of an epoch's clips and return the number of clips."""
    jobs = []
    for row, video in enumerate(manifest.rows):
        rng = clip_generator(0, epoch, row)
        indices = clip_indices("uniform", lengths[row], num_frames, rng=rng)[0]
        jobs.append(pool.submit(decode, video.path, indices.tolist(), **size))
    return sum(len(job.result()) > 0 for job in jobs)


def drain_loader(loader):
    """Read the batches of an epoch from a `VideoLoader` and return the number of clips."""
    count = sum(len(loader[batch][0]) for batch in range(len(loader)))
    loader.on_epoch_end()
    return count


def drain_dataset(dataset):
    """Read the batches of an epoch from a tf.data pipeline and return the number of clips."""
    return sum(clips.shape[0] for clips, _ in dataset)


def ways(pool, sets, lengths, num_frames, size, workers):
    """Return {name: function of the epoch} of bare decoding and of all loaders."""
    source = pool, sets["files"], lengths, num_frames
    small = {"height": SHORT_SIDE, "width": round(SIZE[1] * SHORT_SIDE / SIZE[0])}
    runs = {
        "bare decoding": lambda epoch: bare(*source, epoch),
        "bare decoding, resized": lambda epoch: bare(*source, epoch, **small),
    }
    for name, manifest in sets.items():
        converter = VideoConverter(num_frames, (size, size), crop="random", resize=SHORT_SIDE)
        options = {"batch_size": BATCH, "training": True, "workers": workers}
        dataset = make_dataset(manifest, converter, **options)
        loader = VideoLoader(manifest, converter, **options)
        runs[f"make_dataset, {name}"] = lambda epoch, dataset=dataset: drain_dataset(dataset)
        runs[f"VideoLoader, {name}"] = lambda epoch, loader=loader: drain_loader(loader)
    return runs


def measure(runs, rounds):
    """Return {name: clips per second of each round}, in turn, after a round to warm up."""
    speeds = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            clips = run(number)
            if number:
                speeds[name].append(clips / (time.perf_counter() - start))
    return speeds


def report(title, speeds):
    """Print medians and extremes, and the ratios to bare decoding of the same round."""
    print(f"\n{title}\n{'':28s} clips/s  (least to most)     ratio to bare  (least to most)")
    for name, values in speeds.items():
        ratios = [a / b for a, b in zip(values, speeds["bare decoding"], strict=True)]
        print(
            f"  {name:26s} {statistics.median(values):7.1f}  ({min(values):6.1f} to "
            f"{max(values):6.1f})   {statistics.median(ratios):7.3f}  ({min(ratios):.3f} to "
            f"{max(ratios):.3f})",
            flush=True,
        )


def resident():
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(name, batches, total):
    """Print the growth of the resident memory from a fifth of the clips to the last one."""
    seen, first = 0, None
    for clips in batches:
        seen += clips
        if first is None and seen >= total // 5:
            gc.collect()
            first, at = resident(), seen
        if seen >= total:
            break
    gc.collect()
    last = resident()
    print(
        f"  {name:26s} {first / 2**20:7.0f} MiB after clip {at}, {last / 2**20:.0f} after clip "
        f"{seen}: {100 * (last / first - 1):+.2f} %",
        flush=True,
    )


def batches_of_dataset(dataset):
    """Yield the number of clips per batch, epoch after epoch."""
    while True:
        for clips, _ in dataset:
            yield clips.shape[0]


def batches_of_loader(loader):
    """Yield the number of clips per batch, epoch after epoch."""
    while True:
        for batch in range(len(loader)):
            yield len(loader[batch][0])
        loader.on_epoch_end()


def measure_speed(folder, options):
    """Print the clips per second of all loaders."""
    manifest, lengths = write_data(f"{folder}/files", options.clips, options.frames)
    sets = {"files": manifest}
    for short_side in (None, SHORT_SIDE):
        place = f"{folder}/{short_side or SIZE[0]}"
        write_shards(manifest, place, short_side=short_side)
        sets[f"shards {short_side or SIZE[0]}"] = read_shards(place)
    print(f"{options.clips} videos, {SIZE[1]} x {SIZE[0]}, {options.workers} workers")
    for name, place in zip(sets, ("files", SIZE[0], SHORT_SIDE), strict=True):
        total = sum(path.stat().st_size for path in pathlib.Path(folder, str(place)).iterdir())
        print(f"  {name}: {total / options.clips / 1024:.0f} KiB a clip")
    for title, num_frames, size in CLIPS:
        with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
            runs = ways(pool, sets, lengths, num_frames, size, options.workers)
            report(f"clips of {title}", measure(runs, options.rounds))


def measure_memory(folder, options):
    """Print the growth of the memory with the number of clips, for all loaders."""
    manifest, _ = write_data(f"{folder}/small", 40, (16, 24), (120, 160))
    write_shards(manifest, f"{folder}/small-shards")
    converter = VideoConverter(16, (112, 112), crop="random")
    arguments = {"batch_size": BATCH, "training": True, "workers": options.workers}
    print(f"\nmemory over {options.memory_clips} clips of 16 x 112 x 112")
    for name, data in (("files", manifest), ("shards", read_shards(f"{folder}/small-shards"))):
        dataset = make_dataset(data, converter, **arguments)
        memory(f"make_dataset, {name}", batches_of_dataset(dataset), options.memory_clips)
        loader = VideoLoader(data, converter, **arguments)
        memory(f"VideoLoader, {name}", batches_of_loader(loader), options.memory_clips)


def write_long_video(path, minutes):
    """Write a minute of a moving texture as H.264, once per minute of the file."""
    rng = np.random.default_rng(0)
    height, width = LONG_SIZE
    texture = rng.normal(128, 20, (2 * height, 2 * width, 3)).astype("float32")
    for axis in (0, 1):
        texture = (texture + np.roll(texture, 1, axis) + np.roll(texture, 2, axis)) / 3
    texture = (3 * (texture - 128) + 128).clip(0, 255).astype("uint8")
    packets, places = [], LONG_SECONDS * 25
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for t in range(places):
            top = int(height / 2 * (1 + 0.9 * np.sin(t / 90)))
            left = int(width / 2 * (1 + 0.9 * np.cos(t / 70)))
            picture = np.ascontiguousarray(texture[top : top + height, left : left + width])
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = t
            packets += stream.encode(frame)
        packets += stream.encode(None)
        step = 1 / (25 * packets[0].time_base)
        rows = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in packets]
        for minute in range(minutes):
            for data, pts, dts, is_key in rows:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, packets[0].time_base
                later = int(minute * places * step)
                packet.pts, packet.dts, packet.is_keyframe = pts + later, dts + later, is_key
                file.mux(packet)


def seek_and_decode(path, indices, height, width):
    """Return resized frames: seek to the key frame before each, unless decoding is nearer."""
    frames, reformatter = [], VideoReformatter()
    with av.open(path) as file:
        stream = file.streams.video[0]
        stream.thread_count = 1
        step, decoded = round(1 / (stream.average_rate * stream.time_base)), iter(())
        reached = None
        for index in indices:
            if reached is None or index - reached > 25:
                file.seek(int(index * step), stream=stream)
                decoded = file.decode(stream)
            for frame in decoded:
                reached = frame.pts // step
                if reached >= index:
                    break
            picture = reformatter.reformat(
                frame, format="rgb24", width=width, height=height, threads=1
            )
            frames.append(picture.to_ndarray())
    return frames


def measure_long_file(folder, options):
    """Print the time of a clip from a long file, and its ratio to a bare seek and decode."""
    path = f"{folder}/long.mp4"
    write_long_video(path, options.minutes)
    megabytes = pathlib.Path(path).stat().st_size / 2**20
    size = f"{LONG_SIZE[1]} x {LONG_SIZE[0]}"
    print(f"\nlong file: {options.minutes} min of {size}, {megabytes:.0f} MiB, one clip of 64")
    for sampling in ("uniform", "dense"):
        converter = VideoConverter(64, (128, 128), sampling=sampling)
        times = {"bare seek and decode": [], "VideoConverter": []}
        for _ in range(options.rounds):
            start = time.perf_counter()
            clip, indices = converter.views(path)
            times["VideoConverter"].append(time.perf_counter() - start)
            start = time.perf_counter()
            frames = seek_and_decode(path, indices[0].tolist(), 128, 228)
            times["bare seek and decode"].append(time.perf_counter() - start)
            crop = np.stack(frames)[:, :, 50:178].astype("int16")
            difference = np.abs(crop - clip[0]).mean()
            if difference > 4:  # of 255: the resizing differs a little, a wrong frame a lot
                raise RuntimeError(f"the frames are not the same: they differ by {difference:.1f}")
        bare = statistics.median(times["bare seek and decode"])
        for name, seconds in times.items():
            middle = statistics.median(seconds)
            print(
                f"  {sampling:8s} {name:22s} {middle:6.2f} s  "
                f"({min(seconds):.2f} to {max(seconds):.2f})  {middle / bare:.3f} of bare"
            )


def main(arguments=None):
    """Measure speed, then memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, nargs=2, default=(60, 100), help="of a video")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--memory-clips", type=int, default=5000, help="0: only the speed")
    parser.add_argument("--minutes", type=int, default=10, help="of the long file; 0: none")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.clips:
            measure_speed(folder, options)
        if options.minutes:
            measure_long_file(folder, options)
        if options.memory_clips:
            measure_memory(folder, options)


if __name__ == "__main__":
    main()
