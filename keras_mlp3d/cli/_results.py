"""A file of results that grows by a row per video, and from which a stopped command resumes.

Every row is plain and complete by itself: it says of which video it is, what was found or why
nothing was, and with which settings. So pandas reads the file as it is, and no second file can get
lost. A row is written at once; of a process that is killed, or a disk that is full, at most the
last row is incomplete. It is found and written again.
"""

import contextlib
import os
import pathlib

from keras_mlp3d._utils.atomic_write import naming
from keras_mlp3d.cli._rows import MAX_ROW_BYTES, JsonLines, Table

_FORMATS = {".jsonl": JsonLines, ".csv": Table}


class ResultsFile:
    """An open file of results. Failed rows count as not done, and a later row replaces them.

    Args:
        path: The file, `.jsonl` or `.csv`; it may hold results of an earlier run.
        wanted: Paths of which `row` is asked for.

    Raises:
        ValueError: The ending is another one, or the file holds anything else than results.
        OSError: It cannot be read and written, or another process writes to it.
    """

    def __init__(self, path, wanted=()):
        self.path, self._created = os.fspath(path), False
        suffix = pathlib.Path(path).suffix.lower()
        if suffix not in _FORMATS:
            raise ValueError(f"--output must end in {' or '.join(_FORMATS)}, got {self.path!r}")
        self._format = _FORMATS[suffix]()
        self._wanted, self._rows = {_key(name) for name in wanted}, {}
        self._done, self._failed, self._stale = set(), {}, {}
        self._settings, self._end, self._ending = None, 0, b""
        self._open()
        try:
            self._scan()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.close()

    @property
    def count(self):
        """How many videos have a result that is no failure."""
        return len(self._done)

    def is_done(self, path):
        """Whether the file has a result of a video that is no failure."""
        return hash(_key(path)) in self._done

    def row(self, path):
        """The row of a wanted path that is done."""
        return self._rows[_key(path)]

    def start(self, settings, labels):
        """Prepares for new rows.

        Args:
            settings: Dict of what the results depend on; those in the file must have the same.
            labels: How many labels a row has.

        Raises:
            ValueError: The results in the file were made with other settings.
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

    def write(self, path, row):
        """Adds the row of a video; it is in the file when this returns.

        Args:
            path: The video.
            row: Dict with `error` (None or text), `labels`, `scores`, `frame_indices` and
                `frame_times`.

        Raises:
            OSError: It cannot be written; the file then ends behind the row before.
        """
        self._append(self._format.encode({"path": path, **row, "settings": self._settings}))
        self._count(path, row["error"])
        self._created = False

    def close(self):
        """Closes the file, without the failed rows that later ones replace."""
        try:
            if self._stale and self._end:
                self._drop_stale()
        finally:
            self._file.close()
            if self._created:  # no row came, so there is nothing to keep
                with contextlib.suppress(OSError):
                    os.unlink(self.path)

    # Reading ------------------------------------------------------------------------------------

    def _open(self):
        # Through links, so that the file is replaced where it is, and not the link to it.
        real = os.path.realpath(self.path)
        if os.path.exists(real) and not os.path.isfile(real):
            raise ValueError(f"--output must be a file, and is none: {self.path}")
        if not os.path.isdir(os.path.dirname(real)):
            raise FileNotFoundError(f"no such folder for --output: {os.path.dirname(real)}")
        # Whether the file is new and without a row.
        self._real, self._created = real, not os.path.exists(real)
        with naming(self.path, stands_for=(self._real,)):
            self._file = open(real, "a+b", buffering=0)  # noqa: SIM115 (`close` closes it)
        _lock(self._file, self.path)

    def _scan(self):
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

    def _take(self, number, row):
        self._settings = self._settings or row["settings"]
        different = _differences(self._settings, row["settings"])
        if different:
            raise self._foreign(number, f"it has other settings than those before: {different}")
        self._count(row["path"], row["error"])
        if _key(row["path"]) in self._wanted and row["error"] is None:
            self._rows[_key(row["path"])] = row

    def _count(self, path, error):
        """Keeps account: by hashes, as there may be millions of videos."""
        key = hash(_key(path))
        if key in self._failed:  # that row is no longer the last word on it
            self._stale[key] = self._stale.get(key, 0) + self._failed.pop(key)
        if error is None:
            self._done.add(key)
        else:
            self._failed[key] = 1

    def _foreign(self, number, why):
        return ValueError(
            f"{self.path} is no file of results that this command can resume: row {number}: {why}. "
            "It is left as it is; name another --output."
        )

    # Writing ------------------------------------------------------------------------------------

    def _append(self, data):
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

    def _drop_stale(self):
        """Replaces the file by one without stale rows; if that fails, it stays as it is."""
        beside = os.path.join(
            os.path.dirname(self._real), f".{os.path.basename(self._real)}.{os.getpid()}.part"
        )
        stale = dict(self._stale)
        try:
            with naming(self.path, stands_for=(self._real, beside)):
                with open(self._real, "rb") as old, open(beside, "wb") as new:
                    for number, (record, _) in enumerate(self._format.records(old), start=1):
                        row = self._format.decode(record, number)
                        key = hash(_key(row["path"])) if row and row["error"] is not None else None
                        if stale.get(key):
                            stale[key] -= 1
                        else:
                            new.write(record)
                    new.flush()
                    os.fsync(new.fileno())
                os.chmod(beside, os.stat(self._real).st_mode & 0o7777)
                os.replace(beside, self._real)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _key(path):
    """What makes two paths the same video: `./a.mp4` is `a.mp4`."""
    return path if "://" in path else os.path.normpath(path)


def _differences(before, now):
    """In words, what differs between the settings of two results, or ""."""
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


def _lock(file, path):
    """Keeps other processes from adding rows meanwhile, if the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(f"another process writes to {path}; name another --output") from None
    except OSError:  # a file system without locks
        return
