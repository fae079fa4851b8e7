"""Decodes every video of a manifest, and says which cannot be read, and why."""

import csv
import dataclasses
import io
import math
import os
import pathlib
import queue

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d._utils.child_process import ChildCrashed, ChildProcess, ChildStuck
from keras_mlp3d._utils.ordered_map import OrderedMap, default_workers
from keras_mlp3d.data.datasets.check_file import check_file, reason_of
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.datasets.video_row import source_key
from keras_mlp3d.data.video.records import is_record
from keras_mlp3d.data.video.remote import is_remote, read_bytes
from keras_mlp3d.data.video.sources import LazySource, is_path

#: Columns of a report; the first four are those of every earlier version.
REPORT_COLUMNS = ("file", "codec", "frames", "error", "promised", "note")
# What runs in a child. It gets no `__init__` of ours, which import Keras: it starts in 0.3 s.
_PROGRAM = """
from keras_mlp3d._utils.child_process import serve
from keras_mlp3d.data.datasets.check_file import check_file
serve(check_file)
"""
_BARE = ("keras_mlp3d", "keras_mlp3d.data")


@dataclasses.dataclass(frozen=True)
class VideoCheck:
    """What decoding a video from its first frame to its last gave.

    Args:
        path: The file, or the name of a source that is no file.
        codec: FFmpeg's name of its codec, or "" if the file holds no frame of a video.
        frames: Frames that decode; of a damaged file, those before the damage.
        error: What is wrong, in a sentence without the path, or "".
        promised: Frames that the file's packets promise, or None if that is not known.
        note: What is worth knowing of a file that can be read, or "": above all, that its index
            cannot be trusted, so that it is always decoded in order.

    Example:

    >>> VideoCheck("a.mp4", "h264", 300).error
    ''
    """

    path: str
    codec: str
    frames: int
    error: str = ""
    promised: int | None = None
    note: str = ""


def check_videos(manifest, workers=None, time_limit=60.0, isolate=True):
    """Decodes every file of a manifest, several at a time, each once.

    A file has an error if it cannot be read, if a part of it cannot (clips are then taken from the
    frames before), if frames that its packets promise are not decoded, if it ends before its
    container says (a download broke off), or if a row's stretch begins after its end. An index that
    cannot be trusted is a note: such a file is read in order.

    Every file gets its check, whatever it does: processes decode, and one that crashes or hangs on
    a file is replaced by another. Memory does not grow with the number or the length of the files.
    Remote files are held in memory while they are read, and nothing is known of the length that
    their containers promise. Frames in memory, and records of remote shards, are looked at in
    this process.

    Args:
        manifest: A `Manifest`.
        workers: Processes that decode; by default one for each processor.
        time_limit: Seconds, at least 1, that may pass without a packet being read or a picture
            being decoded. After that the file is given up. Long files take as long as they need.
        isolate: Whether processes decode. False: threads of this process do, which starts at once;
            a file on which FFmpeg crashes then ends the process, and `time_limit` has no effect.

    Returns:
        An iterator of `VideoCheck`s, in the order of the manifest.

    Raises:
        ValueError: If an argument is not as above.
        RuntimeError: No process can be started.

    Example:

    >>> from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
    >>> for check in check_videos(Manifest([VideoRow("no.mp4", 0)], ["run"], "val"), workers=1):
    ...     print(check.path, "-", check.error)
    no.mp4 - no such video file
    """
    if not isinstance(manifest, Manifest):
        raise ValueError(f"manifest must be a Manifest, got {manifest!r}.")
    if workers is None:
        workers = default_workers()
    workers = checked_whole("workers", workers)
    if isinstance(time_limit, bool) or not isinstance(time_limit, int | float):
        raise ValueError(f"time_limit must be seconds as a number, got {time_limit!r}.")
    if not 1 <= time_limit < math.inf:
        raise ValueError(f"time_limit must be at least 1 second, got {time_limit}.")
    files = rows_of_files(manifest)
    decoder = _Processes(min(workers, len(files)), time_limit) if isolate else _Threads()
    return _checks(files, workers, decoder)


def rows_of_files(manifest):
    """Returns `[(source, rows)]` of a manifest: a file may have several stretches.

    Paths become absolute: this process may change its folder before they are read.
    """
    files, here = {}, os.getcwd()
    for row in manifest.rows:
        source = row.path
        if is_path(source) and not is_remote(source):
            source = os.path.join(here, source)
        files.setdefault(source_key(row), (source, []))[1].append(row)
    return list(files.values())


def write_check_report(checks, path):
    """Writes checks as a CSV of `file,codec,frames,error,promised,note`.

    The file is whole or not there. Names that are not UTF-8 are written as the bytes that they are.

    Args:
        checks: `VideoCheck`s.
        path: The file to write.

    Raises:
        OSError: The file cannot be written.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = pathlib.Path(folder, "report.csv")
    ...     write_check_report([VideoCheck("a.mp4", "h264", 300, promised=300)], report)
    ...     print(report.read_text().splitlines())
    ['file,codec,frames,error,promised,note', 'a.mp4,h264,300,,300,']
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REPORT_COLUMNS)
    writer.writerows(dataclasses.astuple(check) for check in checks)
    path = pathlib.Path(path)
    try:
        write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
    except OSError as error:  # the name of the file that was asked for, not of the one beside
        raise OSError(error.errno, error.strerror, str(path)) from error


def _checks(files, workers, decoder):
    """The checks in order; a few more than `workers` are under way, never all."""

    def check(file):
        source, rows = file
        spans = [(row.start, row.end) for row in rows]
        return VideoCheck(rows[0].name, **decoder.check(source, spans))

    return OrderedMap(check, files, workers, 4 * workers, "keras_mlp3d-check", on_end=decoder.close)


class _Threads:
    """Decodes in the thread that asks."""

    def check(self, source, spans):
        return check_file(source, spans)

    def close(self):
        pass


class _Processes:
    """Decodes in child processes, one for each thread that asks at the same time."""

    def __init__(self, count, time_limit):
        self._children = [ChildProcess(_PROGRAM, time_limit, _BARE) for _ in range(count)]
        self._free = queue.LifoQueue()  # the last one that was used: few files start few of them
        for child in self._children:
            self._free.put(child)

    def check(self, source, spans):
        # Fetched here: a slow network is no hang, and the child does without TensorFlow.
        try:
            if isinstance(source, LazySource):
                source = source.load()
            data = _content(source)
        except Exception as error:
            return _failure(f"it cannot be fetched ({reason_of(error)})")
        if data is None and (not is_path(source) or is_remote(source)):
            return check_file(source, spans)
        arguments = {"source": source if data is None else "", "spans": spans}
        child = self._free.get()
        try:
            return self._ask(child, arguments, data)
        finally:
            self._free.put(child)

    def _ask(self, child, arguments, data):
        try:
            return child.call(arguments, data)
        except ChildStuck as error:
            return _failure(f"it hangs: {error} while it was read and decoded")
        except ChildCrashed:
            pass
        # Memory that an earlier file has spoilt may be why: a new process tells.
        try:
            return child.call(arguments, data)
        except ChildStuck as error:
            return _failure(f"it hangs: {error} while it was read and decoded")
        except ChildCrashed as error:
            return _failure(f"it crashes the process that decodes it ({error})")

    def close(self):
        for child in self._children:
            child.close()


def _content(source):
    """The bytes of a file that is remote or in memory; None for anything else."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if is_path(source) and is_remote(source) and not is_record(source):
        return read_bytes(source)
    return None


def _failure(reason):
    return {"codec": "", "frames": 0, "error": reason}
