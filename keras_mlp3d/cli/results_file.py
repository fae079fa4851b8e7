"""A file of results that grows by a row per video, and from which a stopped command resumes.

Each row is complete: the video, the folder that a relative path counts from, its result or its
error, and the settings. So pandas reads the file directly, and there is no second file to lose.
Rows are written at once: after a kill or on a full disk at most the last row is incomplete, and it
is detected and written again.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from keras_mlp3d._utils.atomic_write import naming, written_beside
from keras_mlp3d._utils.one_writer import is_writer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.cli.result_rows import MAX_ROW_BYTES, JsonLines, Table

_FORMATS: dict[str, type[JsonLines] | type[Table]] = {".jsonl": JsonLines, ".csv": Table}


def check_results_name(path: str) -> str:
    """Return the ending of a file of results; ValueError if it may not have it."""
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"--output must end in {' or '.join(_FORMATS)}, got {path!r}")
    return suffix


class ResultsFile:
    """An open file of results. A row with an error counts as not done; a later row replaces it.

    Args:
        path: The file, `.jsonl` or `.csv`; it may hold results of an earlier run.
        wanted: Paths that `row` will be called with.

    Raises:
        ValueError: If the ending is another, the file holds anything except results, or another
            process writes to it.
        OSError: If it is unreadable or cannot be written.
    """

    def __init__(self, path: StrPath, wanted: Iterable[str] = ()):
        self.path, self._created = os.fspath(path), False
        self._format: JsonLines | Table = _FORMATS[check_results_name(self.path)]()
        self._wanted = {_key(name) for name in wanted}
        self._rows: dict[str, dict[str, Any]] = {}
        # Hashes of the videos that are done; those that failed, with how many rows each has, and
        # how many of them a later row replaces.
        self._done: set[int] = set()
        self._failed: dict[int, int] = {}
        self._stale: dict[int, int] = {}
        self._settings: dict[str, Any] = {}
        self._end, self._ending = 0, b""
        self._open()
        try:
            self._scan()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ResultsFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def count(self) -> int:
        """How many videos have a result without an error."""
        return len(self._done)

    def is_done(self, path: str) -> bool:
        """Return whether the file has a result of a video without an error."""
        return hash(_key(path)) in self._done

    def row(self, path: str) -> dict[str, Any]:
        """Return the row of a wanted path that is done."""
        return self._rows[_key(path)]

    def start(self, settings: dict[str, Any], labels: int) -> None:
        """Prepare for new rows.

        Args:
            settings: Dict of what the results depend on; the rows in the file must have the same.
            labels: Number of labels per row.

        Raises:
            ValueError: If the results in the file were made with other settings.
        """
        different = self._settings and _differences(self._settings, settings)
        if different:
            raise ValueError(
                f"{self.path} holds results with other settings: {different}. Name another "
                "--output, or give the same options."
            )
        self._settings = self._settings or settings
        os.ftruncate(self._file.fileno(), self._end)  # what a killed process left of a row
        if self._end:
            self._append(self._ending)
        else:
            self._append(self._format.header(labels))

    def write(self, path: str, row: dict[str, Any]) -> None:
        """Add the row of a video; it is in the file when this returns.

        Args:
            path: The video.
            row: Dict with `error` (None or text), `labels`, `scores`, `frame_indices` and
                `frame_times`.

        Raises:
            OSError: If it cannot be written; the file then ends with the row before.
        """
        where = {"path": path, "folder": _folder_of(path)}
        self._append(self._format.encode({**where, **row, "settings": self._settings}))
        self._count(_key(path), row["error"])
        if _key(path) in self._wanted and row["error"] is None:
            self._rows[_key(path)] = {**where, **row}
        self._created = False

    def close(self) -> None:
        """Remove failed rows that a later row replaces, and close the file."""
        try:
            if self._stale and self._end:
                self._drop_stale()
        finally:
            self._file.close()
            if self._created:  # no row was written
                with contextlib.suppress(OSError):
                    os.unlink(self.path)

    # Reading ------------------------------------------------------------------------------------

    def _open(self) -> None:
        # Links are followed, so that the file is replaced and not the link to it.
        real = os.path.realpath(self.path)
        if os.path.exists(real) and not os.path.isfile(real):
            raise ValueError(f"--output must be a file, got {self.path!r}")
        if not os.path.isdir(os.path.dirname(real)):
            raise FileNotFoundError(f"no such folder for --output: {os.path.dirname(real)}")
        # Whether the file is new and without a row.
        self._real, self._created = real, not os.path.exists(real)
        with naming(self.path, stands_for=(self._real,)):
            self._file = open(real, "a+b", buffering=0)  # noqa: SIM115 (`close` closes it)
        _lock(self._file, self.path)

    def _scan(self) -> None:
        with naming(self.path, stands_for=(self._real,)), open(self._real, "rb") as file:
            for number, (record, is_whole) in enumerate(self._format.records(file), start=1):
                if len(record) > MAX_ROW_BYTES:
                    raise self._foreign(number, f"it has more than {MAX_ROW_BYTES} bytes")
                try:
                    row = self._format.decode(record, number)
                except ValueError as error:
                    if not is_whole and self._format.is_torn(record, number):
                        return  # a row that was not written to its end
                    raise self._foreign(number, error) from None
                self._end += len(record)
                self._ending = b"" if is_whole else b"\n"
                if row is not None:
                    self._take(number, row)

    def _take(self, number: int, row: dict[str, Any]) -> None:
        self._settings = self._settings or row["settings"]
        different = _differences(self._settings, row["settings"])
        if different:
            raise self._foreign(number, f"its settings differ from the rows before: {different}")
        key = _key(row["path"], row["folder"])
        self._count(key, row["error"])
        if key in self._wanted and row["error"] is None:
            self._rows[key] = row

    def _count(self, video: str, error: str | None) -> None:
        """Count the row as done or failed; by hashes, as there may be millions of videos."""
        key = hash(video)
        if key in self._failed:  # this row replaces a failed row
            self._stale[key] = self._stale.get(key, 0) + self._failed.pop(key)
        if error is None:
            self._done.add(key)
        else:
            self._failed[key] = 1

    def _foreign(self, number: int, why: object) -> ValueError:
        return ValueError(
            f"{self.path} is no file of results that this command can resume: row {number}: {why}. "
            "It was not changed; name another --output."
        )

    # Writing ------------------------------------------------------------------------------------

    def _append(self, data: bytes) -> None:
        with naming(self.path, stands_for=(self._real,)):
            try:
                left = data
                while left:
                    left = left[self._file.write(left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file.fileno(), self._end)
                raise
        self._end += len(data)

    def _drop_stale(self) -> None:
        """Replace the file by one without stale rows; if that fails, it stays as it is."""
        stale = dict(self._stale)
        with naming(self.path, stands_for=(self._real,)), written_beside(self._real) as beside:
            with open(self._real, "rb") as old, open(beside, "wb") as new:
                for number, (record, _) in enumerate(self._format.records(old), start=1):
                    row = self._format.decode(record, number)
                    key = None
                    if row and row["error"] is not None:
                        key = hash(_key(row["path"], row["folder"]))
                    if key is not None and stale.get(key):
                        stale[key] -= 1
                    else:
                        new.write(record)
                new.flush()
                os.fsync(new.fileno())
            os.chmod(beside, os.stat(self._real).st_mode & 0o7777)


def _folder_of(path: str) -> str | None:
    """Return the folder that a path counts from, or None if it counts from none."""
    return None if "://" in path or os.path.isabs(path) else os.getcwd()


def _key(path: str, folder: str | None = None) -> str:
    """Return the path that all paths of a video share: `./a.mp4` is `a.mp4` of the same folder."""
    if "://" in path:
        return path
    return os.path.normpath(os.path.join(folder or os.getcwd(), path))


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Return in words what differs between the settings of two results, or ""."""
    names = sorted({*before, *now} - {"preset", "model"}, key=[*before, *now].index)
    said = [
        f"{name} {before.get(name)}, now {now.get(name)}"
        for name in names
        if before.get(name) != now.get(name)
    ]
    if before.get("model") != now.get("model"):
        if before.get("preset") == now.get("preset"):
            said.insert(0, f"the preset {now.get('preset')!r} has changed since")
        else:
            said.insert(0, f"preset {before.get('preset')!r}, now {now.get('preset')!r}")
    return "; ".join(said)


def _lock(file: Any, path: str) -> None:
    """Keep other processes from adding rows, if the system can."""
    if not is_writer(file):
        file.close()
        raise ValueError(f"another process writes to {path}; name another --output")
