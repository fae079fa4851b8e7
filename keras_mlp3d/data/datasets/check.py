"""Decodes every video of a manifest and finds the unreadable ones, with the reasons."""

import csv
import dataclasses
import io
import os
import pathlib
import queue
from collections.abc import Iterable
from typing import Any

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.child_process import ChildCrashed, ChildProcess, ChildStuck
from keras_mlp3d._utils.ordered_map import OrderedMap, default_workers
from keras_mlp3d._utils.remote import is_remote, read_bytes
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.check_file import check_file, reason_of
from keras_mlp3d.data.datasets.manifest import Manifest, check_manifest
from keras_mlp3d.data.datasets.video_row import VideoRow, source_key
from keras_mlp3d.data.video.records import is_record
from keras_mlp3d.data.video.sources import LazySource, is_path

#: Columns of a report. The first four have been there in all versions.
REPORT_COLUMNS = ("file", "codec", "frames", "error", "promised", "note")
# The program of a child, which starts without Keras in 0.3 s.
_PROGRAM = """
from keras_mlp3d._utils.child_process import serve
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.check_file import check_file
serve(check_file)
"""


@dataclasses.dataclass(frozen=True)
class VideoCheck:
    """Result of decoding a video from its first frame to its last.

    Args:
        path: The file, or the name of a source that is no file.
        codec: FFmpeg's name of the codec, or "" if the file has no video frames.
        frames: Number of frames that decode; of a damaged file, those before the damage.
        error: What is wrong, in a sentence without the path, or "".
        promised: Number of frames that the file's packets promise, or None if unknown.
        note: Remark on a readable file, or "". Usually that its index cannot be trusted, so that it
            is always decoded in order.

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


def check_videos(
    manifest: Manifest,
    workers: int | None = None,
    time_limit: float = 60.0,
    isolate: bool = True,
) -> OrderedMap[VideoCheck]:
    """Decode every file of a manifest once, several at a time.

    A file has an error if it is unreadable, wholly or from some frame on (clips are then taken from
    the frames before), if frames that its packets promise do not decode, if it is truncated, or if
    a row begins after its end. An index that cannot be trusted is only a note: such a file is read
    in order.

    Every file is checked, whatever happens: child processes decode, and a process that crashes or
    hangs on a file is replaced. Memory does not grow with the number or the length of the files.
    Remote files are held in memory while they are read, and are not checked for truncation. Frames
    in memory, and records of remote shards, are checked in this process.

    Args:
        manifest: `Manifest`.
        workers: Number of processes that decode. Defaults to the number of processors.
        time_limit: Seconds, at least 1, without a packet being read or a picture being decoded,
            after which a file is given up. It does not limit the time for a long file.
        isolate: Whether to decode in child processes. If False, threads of this process decode,
            which start at once. A file on which FFmpeg crashes then ends the process, and
            `time_limit` has no effect.

    Returns:
        Iterator of `VideoCheck`s, in the order of the manifest. `close()` ends it early.

    Raises:
        ValueError: If an argument is not as above.
        RuntimeError: If no process can be started.

    Example:

    >>> from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
    >>> for check in check_videos(Manifest([VideoRow("no.mp4", 0)], ["run"], "val"), workers=1):
    ...     print(check.path, "-", check.error)
    no.mp4 - no such video file
    """
    check_manifest(manifest)
    if workers is None:
        workers = default_workers()
    workers = check_integer("workers", workers)
    check_number("time_limit", time_limit, minimum=1)
    files = rows_of_files(manifest)
    decoder = _Processes(min(workers, len(files)), time_limit) if isolate else _Threads()
    return _checks(files, workers, decoder)


def rows_of_files(manifest: Manifest) -> list[tuple[Any, list[VideoRow]]]:
    """Return `[(source, rows)]` of a manifest: a file may have several rows.

    Paths become absolute, as this process may change its folder before they are read.
    """
    files, here = {}, os.getcwd()
    for row in manifest.rows:
        source = row.path
        if is_path(source) and not is_remote(source):
            source = os.path.join(here, source)
        files.setdefault(source_key(row), (source, []))[1].append(row)
    return list(files.values())


def write_check_report(checks: Iterable[VideoCheck], path: StrPath) -> None:
    """Write checks as a CSV of `file,codec,frames,error,promised,note`.

    The file is complete or absent. Names that are not UTF-8 are written as their bytes.

    Args:
        checks: `VideoCheck`s.
        path: The file to write.

    Raises:
        OSError: If the file cannot be written.

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
    except OSError as error:  # name the file, not the temporary one
        raise OSError(error.errno, error.strerror, str(path)) from error


def _checks(files, workers, decoder):
    """Return an `OrderedMap` of the checks; a few more than `workers` run or wait at a time."""

    def check(file):
        source, rows = file
        spans = [(row.start, row.end) for row in rows]
        return VideoCheck(rows[0].name, **decoder.check(source, spans))

    return OrderedMap(check, files, workers, 4 * workers, "keras_mlp3d-check", on_end=decoder.close)


class _Threads:
    """Decodes in the calling thread."""

    def check(self, source, spans):
        return check_file(source, spans)

    def close(self):
        pass


class _Processes:
    """Decodes in child processes, one per call at the same time."""

    def __init__(self, count, time_limit):
        self._children = [ChildProcess(_PROGRAM, time_limit) for _ in range(count)]
        self._free = queue.LifoQueue()  # the last used one first: few files start few processes
        for child in self._children:
            self._free.put(child)

    def check(self, source, spans):
        # Fetched here, as a slow network is no hang, and the child imports no TensorFlow.
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
        # An earlier file may have corrupted the memory: a new process shows whether it is this one.
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
    """Return the bytes of a file that is remote or in memory, else None."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if is_path(source) and is_remote(source) and not is_record(source):
        return read_bytes(source)
    return None


def _failure(reason):
    return {"codec": "", "frames": 0, "error": reason}
