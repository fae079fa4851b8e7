"""A folder of scores in Parquet parts, each complete or absent, from which a stopped job resumes.

Names that begin with `_` are ours; readers of Parquet folders, such as pandas, pass them over.

- `part-RUN-UNIT.parquet`: the videos of one unit of work. The name is fixed before the work begins,
  so a unit that is done twice, because its worker was killed, replaces its own file.
- `_settings.json`: what the scores depend on.
- `_work/RUN/`: the list of videos of the present run, and files that are being written. The next
  run removes it first, so that a worker that is left over cannot add a part any more.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from keras_mlp3d._utils.atomic_write import naming, write_whole, written_beside
from keras_mlp3d._utils.one_writer import is_writer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.inference.work_list import KnownVideos, Video, as_text

_PART = re.compile(r"part-[0-9a-f]{8}-[0-9]{7}\.parquet")
_SETTINGS, _WORK, _LOCK = "_settings.json", "_work", "_lock"
_BATCH = 4096  # rows in memory at a time


def import_parquet() -> Any:
    """Return the module `pyarrow.parquet`.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet needs pyarrow, which is not installed: pip install 'keras-mlp3d[ray]'"
        ) from error
    return pyarrow.parquet


def schema(with_parts: bool) -> Any:
    """Return the columns: what `row_of` returns, with start and end for parts of videos alone."""
    import pyarrow

    columns = [
        ("path", pyarrow.string()),
        ("folder", pyarrow.string()),
        ("labels", pyarrow.list_(pyarrow.string())),
        ("scores", pyarrow.list_(pyarrow.float64())),
        ("error", pyarrow.string()),
    ]
    if with_parts:
        columns[2:2] = [("start", pyarrow.float64()), ("end", pyarrow.float64())]
    return pyarrow.schema(columns)


def row_of(video: Video, labels: Sequence[str], scores: Sequence[float], error: str) -> dict:
    """Return the row of a video.

    Args:
        video: The video.
        labels: Names of its best classes; none if it is unreadable.
        scores: Their scores.
        error: "", or why it is unreadable.
    """
    return {
        "path": video.text,
        "folder": video.folder and as_text(video.folder),
        "start": video.start,
        "end": video.end,
        "labels": list(labels),
        "scores": list(scores),
        "error": error or None,
    }


def part_name(run: str, unit: int) -> str:
    """Return the name of the part of a unit of work."""
    return f"part-{run}-{unit:07d}.parquet"


def work_folder(folder: pathlib.Path, run: str) -> pathlib.Path:
    """Return the folder for the files of a run."""
    return folder / _WORK / run


def write_part(
    folder: pathlib.Path, run: str, unit: int, rows: list[dict], with_parts: bool
) -> None:
    """Write a part that is complete or absent. It fails if a later run has begun.

    Args:
        folder: Folder of the output.
        run: Name of the run.
        unit: Number of the unit of work.
        rows: What `row_of` returned.
        with_parts: Whether the rows have start and end.
    """
    import pyarrow
    import pyarrow.parquet

    path = folder / part_name(run, unit)
    unfinished = work_folder(folder, run) / path.name
    with naming(path, stands_for=[unfinished]):
        table = pyarrow.Table.from_pylist(rows, schema(with_parts))
        with open(unfinished, "wb") as file:
            pyarrow.parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)


def count_rows(path: pathlib.Path) -> tuple[int, int]:
    """Return how many rows a part has, and how many of them have an error."""
    table = import_parquet().read_table(path, columns=["error"])
    return len(table), len(table) - table["error"].null_count


class DatasetOutput:
    """The folder of scores of one job, which is its own until it is closed.

    Args:
        folder: The folder; made if it is missing.
        settings: JSON values of what the scores depend on.

    Raises:
        ValueError: If it has other files, or scores with other settings, or another job writes to
            it.
    """

    def __init__(self, folder: StrPath, settings: dict[str, Any]):
        self._parquet = import_parquet()
        self.folder = pathlib.Path(os.path.abspath(folder))
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"output must be a folder, got the file {os.fspath(folder)!r}.")
        self._check_names()
        self._check_settings(settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()
        self._lock()
        try:
            if not (self.folder / _SETTINGS).exists():
                write_whole(self.folder / _SETTINGS, json.dumps(settings, indent=2).encode())
            self.run = secrets.token_hex(4)
            shutil.rmtree(self.folder / _WORK, ignore_errors=True)
            self.work.mkdir(parents=True)
        except BaseException:
            self._stack.close()
            raise

    @property
    def work(self) -> pathlib.Path:
        """The folder for the files of this run."""
        return work_folder(self.folder, self.run)

    def __enter__(self) -> "DatasetOutput":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder / _WORK, ignore_errors=True)
        self._stack.close()

    def take_in(self, known: KnownVideos, retry_errors: bool) -> tuple[int, int]:
        """Add the videos in the parts to those that are known.

        Args:
            known: Gets them.
            retry_errors: Whether videos whose row has an error stay unknown, so that they are
                scored again. Their rows stay too, until `drop_replaced`.

        Returns:
            Number of rows, and how many of them have an error.

        Raises:
            ValueError: If a part is damaged.
        """
        rows = failed = 0
        for path in self.parts():
            for video, error in self._rows_of(path):
                rows += 1
                failed += error is not None
                if error is None or not retry_errors:
                    known.add(video)
        return rows, failed

    def drop_replaced(self) -> int:
        """Remove the rows with an error of videos that have another row, and return how many.

        Of several rows with an error, the one in the newest part stays.
        """
        import pyarrow

        dropped = 0
        with KnownVideos() as answered:
            for path in self.parts():
                for video, error in self._rows_of(path):
                    if error is None:
                        answered.add(video)
            for path in sorted(self.parts(), key=self._is_new, reverse=True):
                keep = [
                    error is None or answered.add(video) for video, error in self._rows_of(path)
                ]
                dropped += len(keep) - sum(keep)
                if not any(keep):
                    path.unlink()
                elif not all(keep):
                    table = self._parquet.read_table(path).filter(pyarrow.array(keep))
                    with written_beside(path, alone=True) as beside:
                        self._parquet.write_table(table, beside)
        return dropped

    def _is_new(self, path: pathlib.Path) -> bool:
        """Return whether a part is of this run."""
        return path.name.split("-")[1] == self.run

    def _rows_of(self, path: pathlib.Path) -> Iterator[tuple[Video, str | None]]:
        """Yield (video, error or None) of the rows of a part."""
        try:
            file = self._parquet.ParquetFile(path)
            wanted = ("path", "start", "end", "folder", "error")
            names = [name for name in wanted if name in file.schema_arrow.names]
            for batch in file.iter_batches(_BATCH, columns=names):
                for row in batch.to_pylist():
                    error = row.pop("error")
                    yield Video(**row), error
        except (OSError, KeyError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ValueError(
                f"{path} is no complete part of scores ({error}): remove it, and its videos "
                "are scored again."
            ) from error

    def parts(self) -> list[pathlib.Path]:
        """Return the complete parts, sorted by name."""
        return sorted(path for path in self.folder.iterdir() if _PART.fullmatch(path.name))

    def _check_names(self) -> None:
        ours = {_SETTINGS, _WORK, _LOCK}
        names = os.listdir(self.folder) if self.folder.exists() else []
        odd = [name for name in sorted(names) if name not in ours and not _PART.fullmatch(name)]
        odd = [name for name in odd if not name.startswith(".")]
        if not odd and _SETTINGS not in names:
            odd = [name for name in names if _PART.fullmatch(name)]
        if odd:
            raise ValueError(
                f"output must be a new folder, or one with scores of an earlier call; "
                f"{os.fspath(self.folder)!r} has {odd[0]!r}. Name another output."
            )

    def _check_settings(self, settings: dict[str, Any]) -> None:
        path = self.folder / _SETTINGS
        if not path.exists():
            return
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}): name another output.") from error
        odd = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
        if odd:
            said = "; ".join(f"{n} {before.get(n)!r}, now {settings.get(n)!r}" for n in odd)
            raise ValueError(
                f"output {os.fspath(self.folder)!r} has scores with other settings: {said}. Name "
                "another output, or give the same arguments."
            )

    def _lock(self) -> None:
        """Keep other jobs away, if the system can."""
        path = self.folder / _LOCK
        with naming(path):
            file = open(path, "ab")  # noqa: SIM115 (the stack closes it)
            self._stack.callback(file.close)
        if not is_writer(file):
            self._stack.close()
            raise ValueError(
                f"another job writes to {os.fspath(self.folder)!r}: name another output."
            )
