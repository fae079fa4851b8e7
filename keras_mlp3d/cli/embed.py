"""`keras-mlp3d embed`: features of videos, for search and clustering."""

import argparse
import contextlib
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.atomic_write import check_writable, written_beside
from keras_mlp3d._utils.find_videos import VideoFinder
from keras_mlp3d.cli.inputs import asked_converter, load_model
from keras_mlp3d.cli.options import add_command, add_videos_argument, add_view_options
from keras_mlp3d.cli.signals import sigterm_as_ctrl_c
from keras_mlp3d.cli.terminal import (
    BAD_INPUT,
    INTERRUPTED,
    SUCCESS,
    StatusLine,
    note,
    print_error,
    say,
)

if TYPE_CHECKING:
    from keras_mlp3d.inference import Embedding

FORMATS = (".npz", ".parquet")
_ROWS = 1024  # of a row group of a Parquet file


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "embed",
        run,
        "compute features of videos, for search and clustering",
        "Compute a vector per video: what the classifier is given, averaged over all views. "
        "A .npz file holds `paths` (N,), `features` (N, C), float32, and `errors` (N,); a .parquet "
        "file the same three columns. A video that is missing or unreadable is named on standard "
        "error and has an error and no numbers (NaN, or null); the other videos follow, and the "
        "exit code is 2. After Ctrl-C the file holds what was done.",
        [
            "keras-mlp3d embed videos/ --preset mlp3d_nano_motion_shapes --output features.npz",
            "keras-mlp3d embed videos/ --preset my_preset --clips 4 --output features.parquet",
        ],
        computes=True,
        check=check,
    )
    add_videos_argument(parser)
    parser.add_argument("--preset", required=True, help="built-in name, directory or hf:// address")
    parser.add_argument("--output", required=True, metavar="FILE", help="new .npz or .parquet file")
    add_view_options(parser, crops=1)


def run(options: argparse.Namespace) -> int:
    """Compute features and write them."""
    import numpy as np

    from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES
    from keras_mlp3d.inference import Embedding, embed

    path = pathlib.Path(options.output)
    finder = VideoFinder(options.videos, note, VIDEO_SUFFIXES)
    model, files = load_model(options.preset, on_clips=True)
    converter = asked_converter(model, files, options)
    code, count, is_stopped = SUCCESS, 0, False
    with contextlib.ExitStack() as stack:
        stack.enter_context(sigterm_as_ctrl_c())
        writer: Any = _Npz if path.suffix == ".npz" else _Parquet
        file = stack.enter_context(writer(path))
        line = StatusLine("videos")
        stack.callback(StatusLine.clear_all)
        try:
            for count, found in enumerate(finder, start=1):
                line(count, None, found.path)
                if found.error:
                    result = Embedding(found.path, np.zeros(0, "float32"), found.error)
                else:
                    [result] = embed(
                        *(model, [found.path], options.clips, options.crops, options.batch_size),
                        converter=converter,
                        on_error="report",
                    )
                if result.error:
                    code = BAD_INPUT
                    said = f"cannot read the video {found.path!r}: {result.error}"
                    print_error(found.message or said)
                file.add(result)
        except KeyboardInterrupt:
            is_stopped = True
    if finder.left_out:
        note(finder.left_out)
    say(f"{file.count} of {count} videos are in {options.output}")
    return INTERRUPTED if is_stopped else code


def check(options: argparse.Namespace) -> None:
    """Refuse a file before hours of work."""
    output, path = options.output, pathlib.Path(options.output)
    if path.suffix not in FORMATS:
        raise ValueError(f"--output must end in {' or '.join(FORMATS)}, got {output!r}.")
    if path.exists():
        raise ValueError(f"--output {output!r} exists: choose another file, or remove it.")
    if not os.path.isdir(path.parent):
        raise FileNotFoundError(f"no such folder for --output: {path.parent}")
    check_writable(path)
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "Parquet needs pyarrow, which is not installed: pip install 'keras-mlp3d[parquet]'"
            ) from error


class _Npz:
    """All features in memory, written in the end.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._rows: list[Embedding] = []

    def __enter__(self) -> "_Npz":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            return
        import numpy as np

        size = max((len(row.features) for row in self._rows), default=0)
        features = np.full((len(self._rows), size), np.nan, "float32")
        for place, row in enumerate(self._rows):
            if not row.error:
                features[place] = row.features
        with written_beside(self._path, ending=".npz") as beside:
            np.savez(
                beside,
                paths=np.array([row.path for row in self._rows], dtype=str),
                features=features,
                errors=np.array([row.error for row in self._rows], dtype=str),
            )

    @property
    def count(self) -> int:
        """Number of videos with features."""
        return sum(not row.error for row in self._rows)

    def add(self, row: "Embedding") -> None:
        """Take the features of a video, or its error."""
        self._rows.append(row)


class _Parquet:
    """A file that grows by groups of rows, and appears when it is complete.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path):
        self._stack = contextlib.ExitStack()
        self._beside = self._stack.enter_context(written_beside(path))
        self._writer: Any = None
        self._rows: list[Embedding] = []
        self.count = 0

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *error: Any) -> bool | None:
        try:
            if error[0] is None:
                self._write()
        except BaseException:
            self._stack.__exit__(*sys.exc_info())
            raise
        finally:
            if self._writer is not None:
                self._writer.close()
        return self._stack.__exit__(*error)

    def add(self, row: "Embedding") -> None:
        """Take the features of a video, or its error."""
        self.count += not row.error
        self._rows.append(row)
        if len(self._rows) == _ROWS:
            self._write()

    def _write(self) -> None:
        import pyarrow
        import pyarrow.parquet

        schema = pyarrow.schema(
            [
                ("path", pyarrow.string()),
                ("features", pyarrow.list_(pyarrow.float32())),
                ("error", pyarrow.string()),
            ]
        )
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._beside, schema)
        rows = [
            {
                "path": _text(row.path),
                "features": None if row.error else row.features,
                "error": _text(row.error) or None,
            }
            for row in self._rows
        ]
        self._writer.write_table(pyarrow.Table.from_pylist(rows, schema))
        self._rows = []


def _text(name: str) -> str:
    """Return a name that is not UTF-8 with escapes, as Parquet takes UTF-8 alone."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
