"""Measures clips of long videos, and evaluation by many views, against bare decoding.

A long file of 1280 x 720 pixels at 25 fps, H.264 with B-frames and a key frame at least every 250
frames, is written as `benchmarks/input.py` writes it. A clip of 64 frames that are spread over the
whole file is read in three ways, in turn, round after round: with one decoder ("one thread", the
only way before there were several), with one per thread, and by PyAV alone, which seeks to the key
frame before each wanted frame and decodes up to it. Printed are medians and extremes of seconds,
and of ratios to the bare way of the same round; and how many frames were decoded, next to the least
possible: the wanted frames, and before each, from its key frame on, all frames to which others
refer.

Then a network is evaluated with 4 clips x 3 crops on files of one minute, and compared with bare
decoding of the same files, in as many threads, plus the network's predictions for views in memory.

    python benchmarks/long_videos.py [--minutes 10] [--rounds 5] [--threads 2] [--videos 4]
        [--preset mlp3d_nano] [--sequential]

`--sequential` reads and evaluates with one thread.
"""

import argparse
import concurrent.futures
import importlib.util
import os
import pathlib
import shutil
import statistics
import tempfile
import threading
import time

import keras_mlp3d as km  # before keras: takes an installed backend
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.packets import Packets
from keras_mlp3d.inference import evaluate
from keras_mlp3d.inference.score_views import score_views

import numpy as np

_spec = importlib.util.spec_from_file_location(
    "input", pathlib.Path(__file__).with_name("input.py")
)
videos = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(videos)

CLIPS, CROPS, BATCH = 4, 3, 8


class Counted:
    """Counts the frames that all decoders of the package give while the block runs."""

    def __enter__(self):
        self.frames, self._lock, self._decoded = 0, threading.Lock(), Packets.decoded

        def decoded(packets, *arguments):
            for frame in self._decoded(packets, *arguments):
                with self._lock:
                    self.frames += 1
                yield frame

        Packets.decoded = decoded
        return self

    def __exit__(self, *_):
        Packets.decoded = self._decoded


def is_reference(packet):
    """Return whether others may refer to the H.264 picture in a packet of an MP4 file."""
    data, place = memoryview(packet), 0
    while place + 4 < len(data):
        kind = data[place + 4]
        if kind & 31 in (1, 5):
            return kind & 0x60 > 0
        place += 4 + int.from_bytes(data[place : place + 4], "big")
    raise RuntimeError("a packet holds no picture")


def least_frames(path, wanted):
    """Return how many frames must be decoded for some frames of a file."""
    with FileReader(path) as reader:
        reader._settle()
        index, needed = reader._index, set()
        for start, frames in index.runs(wanted, min_skip=0):
            needed.update(range(start, int(index.packets[frames].max()) + 1))
        shown = set(index.packets[wanted].tolist())
    with videos.av.open(path) as file:
        packets = (packet for packet in file.demux(video=0) if packet.size)
        return sum(
            number in shown or is_reference(packet)
            for number, packet in enumerate(packets)
            if number in needed
        )


def timed(work, *arguments, **options):
    """Return the seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = work(*arguments, **options)
    return time.perf_counter() - start, result


def report(title, seconds, base):
    """Print medians and extremes of seconds, and of ratios to a base in the same round."""
    print(f"\n{title}\n{'':34s}seconds  (least to most)     of {base}  (least to most)")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[base], strict=True)]
        print(
            f"  {name:30s} {statistics.median(values):8.2f}  ({min(values):.2f} to "
            f"{max(values):.2f})   {statistics.median(ratios):7.3f}  ({min(ratios):.3f} to "
            f"{max(ratios):.3f})",
            flush=True,
        )


def measure_clip(folder, options):
    """Time one clip from a long file."""
    path = f"{folder}/long.mp4"
    videos.write_long_video(path, options.minutes)
    converter, bare = VideoConverter(64, (128, 128)), "bare seek and decode"
    ways = {"one thread": 1} | ({} if options.threads == 1 else {"several": options.threads})
    seconds = {name: [] for name in (*ways, bare)}
    for _ in range(options.rounds):
        clips = {}
        for name, threads in ways.items():
            spent, clips[name] = timed(converter.read, path, threads=threads)
            seconds[name].append(spent)
        clip = clips["one thread"]
        if any((other.frames != clip.frames).any() for other in clips.values()):
            raise RuntimeError("several threads read other frames than one")
        wanted = clip.frame_indices[0].tolist()
        height, width = converter.fit(videos.LONG_SIZE)
        spent, frames = timed(videos.seek_and_decode, path, wanted, height, width)
        seconds[bare].append(spent)
        left = (width - 128) // 2
        crop = np.stack(frames)[:, :, left : left + 128].astype("int16")
        if (away := np.abs(crop - clip.frames[0]).mean()) > 4:  # resizing differs a little
            raise RuntimeError(f"bare decoding gives other frames: they differ by {away:.1f}")
    size = f"{options.minutes} min of {videos.LONG_SIZE[1]} x {videos.LONG_SIZE[0]}"
    report(f"one clip of 64 frames from {size}, {options.threads} threads", seconds, bare)
    least = least_frames(path, sorted(set(wanted)))
    for name, threads in ways.items():
        with Counted() as counted:
            converter.read(path, threads=threads)
        print(f"  {name}: {counted.frames} frames decoded, {least} is the least possible")
    os.remove(path)


def measure_evaluation(folder, options):
    """Time an evaluation by many views."""
    model = km.MLP3D.from_preset(options.preset, load_weights=False, num_classes=2)
    converter = model.converter
    first = pathlib.Path(folder, "0.mp4")
    videos.write_long_video(first, 1)
    paths = [first, *(first.with_name(f"{number}.mp4") for number in range(1, options.videos))]
    for path in paths[1:]:
        shutil.copy(first, path)
    rows = [VideoRow(str(path), number % 2) for number, path in enumerate(paths)]
    manifest = Manifest(rows, ("a", "b"), "val")
    views, indices = converter.views(str(first), CLIPS, CROPS)
    wanted, size = np.unique(indices).tolist(), converter.fit(videos.LONG_SIZE)

    def decode(path):
        return len(videos.decode(str(path), wanted, height=size[0], width=size[1]))

    def bare():
        with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
            return sum(pool.map(decode, paths))

    def predict():
        for _ in paths:
            score_views(model, views, BATCH)

    predict()  # compiles
    both = "bare decoding and prediction"
    seconds = {name: [] for name in ("evaluate", "bare decoding", "prediction", both)}
    for _ in range(options.rounds):
        arguments = model, manifest, CLIPS, CROPS, BATCH, converter, options.threads
        spent, result = timed(evaluate, *arguments)
        if result.failed:
            raise RuntimeError(f"unreadable: {result.failed}")
        seconds["evaluate"].append(spent)
        seconds["bare decoding"].append(timed(bare)[0])
        seconds["prediction"].append(timed(predict)[0])
        seconds[both].append(seconds["bare decoding"][-1] + seconds["prediction"][-1])
    title = f"{CLIPS} x {CROPS} views of {len(paths)} files of a minute, {options.preset}"
    report(f"{title}, {options.threads} threads", seconds, both)
    with Counted() as counted:
        list(converter.views(str(first), CLIPS, CROPS))
    print(f"  {counted.frames} frames of a file decoded for {len(wanted)} that its views show")


def main(arguments=None):
    """Measure a clip, then an evaluation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=int, default=10, help="of the long file; 0: no clip")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--videos", type=int, default=4, help="to evaluate; 0: none")
    parser.add_argument("--preset", default="mlp3d_nano")
    parser.add_argument("--sequential", action="store_true", help="the same as --threads 1")
    options = parser.parse_args(arguments)
    if options.sequential:
        options.threads = 1
    with tempfile.TemporaryDirectory() as folder:
        if options.minutes:
            measure_clip(folder, options)
        if options.videos:
            measure_evaluation(folder, options)


if __name__ == "__main__":
    main()
