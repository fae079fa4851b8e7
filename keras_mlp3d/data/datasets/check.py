"""Decodes every video of a manifest, and says which cannot be read, and why."""

import collections
import concurrent.futures
import csv
import dataclasses
import io
import itertools
import os
import pathlib

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.truncation import missing_bytes
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.records import ShardError
from keras_mlp3d.data.video.sources import open_video


@dataclasses.dataclass(frozen=True)
class VideoCheck:
    """What decoding a video from its first frame to its last gave.

    Args:
        path: The file.
        codec: FFmpeg's name of its codec, or "" where the file holds no frame of a video.
        frames: Frames that decode; of a damaged file, those before the damage.
        error: What is wrong, in a sentence without the path, or "".

    Example:

    >>> VideoCheck("a.mp4", "h264", 300).error
    ''
    """

    path: str
    codec: str
    frames: int
    error: str = ""


def check_videos(manifest, workers=None):
    """Decodes every file of a manifest, several at a time, each once.

    A file is wrong where it cannot be read, where a part of it cannot (clips are then taken from
    the frames before), where it ends before its container says (a download broke off), and where
    a row's stretch begins after its end. Memory does not grow with
    the number or the length of the files, but that remote ones are held in memory while they are
    read, and that nothing is known of their containers' promised length.

    Args:
        manifest: A `Manifest`.
        workers: Threads that decode; by default one for each processor.

    Returns:
        An iterator of `VideoCheck`s, in the order in which the files stand in the manifest.

    Raises:
        ValueError: An argument is not as above.

    Example:

    >>> from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
    >>> for check in check_videos(Manifest([VideoRow("no.mp4", 0)], ["run"], "val"), workers=1):
    ...     print(check)
    VideoCheck(path='no.mp4', codec='', frames=0, error='no such video file')
    """
    if not isinstance(manifest, Manifest):
        raise ValueError(f"`manifest` must be a Manifest, received {manifest!r}")
    if workers is None:
        workers = os.cpu_count() or 1
    return _checks(rows_of_files(manifest), checked_whole("workers", workers))


def rows_of_files(manifest):
    """`{path: [rows]}` of a manifest: a file may have several stretches."""
    files = {}
    for row in manifest.rows:
        files.setdefault(row.path, []).append(row)
    return files


def write_check_report(checks, path):
    """Writes checks as a CSV of `file,codec,frames,error`; the file is whole or not there.

    Args:
        checks: `VideoCheck`s.
        path: The file to write.

    Raises:
        OSError: The file cannot be written.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = pathlib.Path(folder, "report.csv")
    ...     write_check_report([VideoCheck("a.mp4", "h264", 300)], report)
    ...     print(report.read_text().splitlines())
    ['file,codec,frames,error', 'a.mp4,h264,300,']
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "codec", "frames", "error"))
    writer.writerows(dataclasses.astuple(check) for check in checks)
    write_whole(pathlib.Path(path), text.getvalue().encode("utf-8", "surrogateescape"))


def _checks(files, workers):
    """The checks in order; a few more than `workers` are under way, never all."""
    pool = concurrent.futures.ThreadPoolExecutor(workers, "keras_mlp3d-check")
    waiting, running = iter(files.items()), collections.deque()
    try:
        for path, rows in itertools.islice(waiting, 4 * workers):
            running.append(pool.submit(_check, path, rows))
        while running:
            check = running.popleft().result()
            for path, rows in itertools.islice(waiting, 1):
                running.append(pool.submit(_check, path, rows))
            yield check
    finally:
        pool.shutdown(cancel_futures=True)


def _check(path, rows):
    codec, frames = "", 0
    try:
        with open_video(path) as video:
            codec = video.codec
            frames = video.count()
            if video.damage:
                return VideoCheck(path, codec, frames, video.too_few(frames).reason)
            short = missing_bytes(path) if os.path.isfile(path) else 0
            if short:
                cut = f"it is cut short: {short} bytes are missing at its end"
                return VideoCheck(path, codec, frames, cut)
            for row in rows:
                video.span(row.start, row.end)
    except (VideoError, ShardError) as error:
        return VideoCheck(path, codec, frames, error.reason)
    except OSError as error:
        return VideoCheck(path, codec, frames, error.strerror or str(error))
    return VideoCheck(path, codec, frames)
