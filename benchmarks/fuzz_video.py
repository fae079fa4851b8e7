"""Tests `read_video` with damaged video files, each in a child process.

Small videos are written in pairs of codec and container, and mutated: bits are flipped, bytes
overwritten, removed, repeated or swapped, the file truncated, bytes of other files inserted. A
child process per file reads it, with limits on time and memory: all frames, then each frame by its
index. The last line counts the files that were read; those that were refused by a `VideoError` with
the path; and the failures: other exceptions, hangs (out of time), crashes (a signal, or out of
memory), random access that differs from reading in order, and fewer frames than the file's packets
promise without a logged warning (except for codecs that hide pictures).

    python benchmarks/fuzz_video.py [--mutations 1000] [--seed 0] [--keep FOLDER] [--as-large]

`--as-large` reads the files like large files, by the headers of their pictures, and skips what no
wanted frame needs. Damage in a skipped part is then not noticed.
"""

import argparse
import collections
import json
import logging
import os
import pathlib
import resource
import select
import shutil
import signal
import sys
import tempfile
import time

# Nothing here computes on a backend. This one starts no threads, which a fork would lose.
os.environ.setdefault("KERAS_BACKEND", "numpy")
os.environ.setdefault("SVT_LOG", "1")

from keras_mlp3d.data import VideoError, read_video
from keras_mlp3d.data.video import file_reader

import av
import numpy as np

#: (container's ending, encoder, pixel format, options)
PAIRS = (
    ("mp4", "libx264", "yuv420p", {"g": "10", "bf": "2"}),
    ("mkv", "libx264", "yuv420p", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    ("ts", "libx264", "yuv420p", {"g": "8", "bf": "2"}),
    ("flv", "libx264", "yuv420p", {"g": "10", "bf": "0"}),
    ("mp4", "libx265", "yuv420p", {"g": "10", "x265-params": "log-level=none:pools=none"}),
    ("webm", "libvpx", "yuv420p", {"g": "10", "auto-alt-ref": "1", "lag-in-frames": "8"}),
    ("webm", "libvpx-vp9", "yuv420p", {"g": "10", "lag-in-frames": "8", "cpu-used": "8"}),
    ("mkv", "libsvtav1", "yuv420p", {"g": "10", "preset": "12"}),
    ("mp4", "mpeg4", "yuv420p", {"g": "10", "bf": "2"}),
    ("avi", "mpeg4", "yuv420p", {"g": "10"}),
    ("mpg", "mpeg2video", "yuv420p", {"g": "10", "bf": "2"}),
    ("ts", "mpeg2video", "yuv420p", {"g": "10"}),
    ("avi", "mjpeg", "yuvj420p", {}),
    ("mov", "png", "rgb24", {}),
    ("mkv", "ffv1", "bgr0", {"g": "10"}),
    ("wmv", "wmv2", "yuv420p", {"g": "10"}),
    ("gif", "gif", "rgb8", {}),
)
HIDES_PICTURES = ("vp8", "vp9", "av1", "gif")
SECONDS, MEGABYTES = 30, 1024
KINDS = ("flip", "overwrite", "remove", "repeat", "exchange", "cut", "foreign", "zero")


def write_video(path, codec, pix_fmt, options, num_frames=40, size=(64, 64)):
    """Write a small video in which every frame differs from every other."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    with av.open(str(path), "w") as file:
        rate = 10 if codec == "gif" else 25
        stream = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        for t in range(num_frames):
            picture = np.stack([rows * 5, columns * 4, np.full(size, 6 * t)], -1).astype("uint8")
            picture[10:30, t : t + 12] = 255
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)
            frame.pts = t
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if hasattr(os, "sched_setscheduler"):  # as root, SVT-AV1 makes this thread real-time
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def mutate(data, others, rng):
    """Return the bytes of a file after one to eight mutations of `KINDS`."""
    data = bytearray(data)
    kind = KINDS[int(rng.integers(len(KINDS)))]
    for _ in range(1 if kind == "cut" else int(rng.integers(1, 9))):
        place = int(rng.integers(len(data)))
        length = min(int(rng.integers(1, 64)), len(data) - place)
        if kind == "flip":
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == "overwrite":
            data[place : place + length] = rng.bytes(length)
        elif kind == "zero":
            data[place : place + length] = bytes(length)
        elif kind == "remove":
            del data[place : place + length]
        elif kind == "repeat":
            data[place:place] = data[place : place + length]
        elif kind == "exchange":
            other = int(rng.integers(len(data) - length + 1))
            data[place : place + length], data[other : other + length] = (
                data[other : other + length],
                data[place : place + length],
            )
        elif kind == "foreign":
            other = others[int(rng.integers(len(others)))]
            start = int(rng.integers(max(len(other) - length, 1)))
            data[place : place + length] = other[start : start + length]
        else:
            del data[max(place, 64) :]
        if len(data) < 65:
            break
    return bytes(data)


def read_both_ways(path):
    """Read a file and return the outcome as a word that `count` knows, with details."""
    warned = []
    handler = logging.Handler()
    handler.emit = lambda record: warned.append(record.getMessage())
    logging.getLogger("keras_mlp3d").addHandler(handler)
    try:
        frames, _ = read_video(path)
    except VideoError as error:
        return "refused" if str(path) in str(error) else "other exceptions", str(error)
    unlike = []
    for index in range(len(frames) + 2):
        try:
            frame = read_video(path, [index])[0][0]
            if index >= len(frames) or not np.array_equal(frame, frames[index]):
                unlike.append(index)
        except VideoError:
            if index < len(frames):
                unlike.append(index)
    if unlike:
        return "unlike", f"frames {unlike[:10]} of {len(frames)}"
    with file_reader.FileReader(path) as reader:
        promised, codec = int(reader._packets.is_shown.sum()), reader.codec
    if len(frames) < promised and not warned and codec not in HIDES_PICTURES:
        return "missing", f"{len(frames)} of {promised}"
    return "read", f"{len(frames)}"


def in_child(path):
    """Run `read_both_ways` in a child process; return how that ended if it failed."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        code = 1
        try:
            used = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
            most = used * os.sysconf("SC_PAGE_SIZE") + MEGABYTES * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            try:
                answer = read_both_ways(path)
            except BaseException as error:
                answer = "other exceptions", f"{type(error).__name__}: {error}"
            os.write(into, json.dumps(answer).encode()[:60_000])
            code = 0
        finally:
            os._exit(code)
    os.close(into)
    ready, _, _ = select.select([out], [], [], SECONDS)
    content = b""
    while ready and (part := os.read(out, 65536)):
        content += part
    os.close(out)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not ready:
        return "hangs", f"more than {SECONDS} s"
    if not content:
        return "crashes", f"status {status}"
    return tuple(json.loads(content))


def main():
    """Write, mutate and read files, and count the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="FOLDER", help="copy files that do what must not happen")
    parser.add_argument("--as-large", action="store_true", help="read as large files are read")
    options = parser.parse_args()
    if options.as_large:
        file_reader.SMALL_PIXELS = 0
    counts, start, by_pair = collections.Counter(), time.perf_counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder, originals = pathlib.Path(folder), []
        for number, (ending, codec, pix_fmt, encoding) in enumerate(PAIRS):
            path = folder / f"original{number}.{ending}"
            write_video(path, codec, pix_fmt, encoding)
            originals.append(path.read_bytes())
            how, words = in_child(str(path))
            print(f"{codec} in {ending}: {how}, {words} frames, {len(originals[-1])} bytes")
        for number in range(options.mutations):
            pair = number % len(PAIRS)
            rng = np.random.default_rng([options.seed, number])
            path = folder / f"{number:05d}.{PAIRS[pair][0]}"
            path.write_bytes(mutate(originals[pair], originals, rng))
            how, words = in_child(str(path))
            counts[how] += 1
            by_pair[PAIRS[pair][:2], how] += 1
            if how not in ("read", "refused"):
                print(f"{path.name} ({PAIRS[pair][1]}): {how}: {words[:300]}", flush=True)
                if options.keep:
                    pathlib.Path(options.keep).mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, options.keep)
            path.unlink()
    bad = ("other exceptions", "hangs", "crashes", "unlike", "missing")
    names = {
        "refused": "refused with path",
        "unlike": "random access unlike order",
        "missing": "frames missing without a word",
    }
    words = (f"{names.get(how, how)} {counts[how]}" for how in ("read", "refused", *bad))
    print(f"{options.mutations} files of {len(PAIRS)} pairs, {time.perf_counter() - start:.0f} s: "
          + ", ".join(words))  # fmt: skip
    return 1 if any(counts[how] for how in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
