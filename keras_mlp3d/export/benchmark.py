"""Compares what a backend can export: size, accuracy, difference and time of each format."""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Iterable

import keras
import numpy as np

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.export import convert
from keras_mlp3d.export.export_model import (
    FORMATS,
    INT8_FORMATS,
    Exported,
    ExportError,
    export_model,
    formats,
    load,
)

_TIMED = 5  # runs, of which the fastest counts


@dataclasses.dataclass
class Row:
    """One line of the comparison.

    Args:
        name: Format, such as "onnx" or "onnx int8"; "keras" for the network itself.
        exported: What was exported; None for the network itself, and if it could not be.
        error: "", or why it could not be exported.
        milliseconds: Time of the fastest of a few runs on one clip.
        correct: Number of videos whose class has the highest score.
        videos: Number of videos.

    Example:

    >>> Row("onnx", correct=3, videos=4).top1
    0.75
    """

    name: str
    exported: Exported | None = None
    error: str = ""
    milliseconds: float | None = None
    correct: int = 0
    videos: int = 0

    @property
    def top1(self) -> float | None:
        """The share of the videos that is classified correctly; None without videos."""
        return self.correct / self.videos if self.videos else None


def benchmark(
    model: keras.Model,
    clip_shape: tuple[int, int, int, int],
    videos: Iterable[tuple[np.ndarray, int]] = (),
    folder: StrPath | None = None,
) -> list[Row]:
    """Export a network to every format of the backend in use, and measure each.

    Args:
        model: Network on clips.
        clip_shape: (frames, height, width, 3) of the clips.
        videos: Pairs of a uint8 clip of this shape and its label.
        folder: Folder for the artifacts, which stay there; None for a temporary one.

    Returns:
        A `Row` per format, the network itself first. A format that fails is a row with its error.

    Raises:
        ValueError: If no format can hold the network.

    Example:

    >>> backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2", dtype="bfloat16")
    >>> benchmark(MLP3D(backbone, 2), (8, 32, 32, 3))
    Traceback (most recent call last):
    ...
    ValueError: An export needs a network of dtype 'float32', got 'bfloat16': load it with ...
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(temporary if folder is None else folder)
        rows, runs = [Row("keras")], [_keras_run(model)]
        for format in formats():
            for int8 in (False, True) if format in INT8_FORMATS else (False,):
                row = Row(f"{format} int8" if int8 else format)
                rows.append(row)
                path = place / f"{model.name}{'_int8' if int8 else ''}{FORMATS[format]}"
                try:
                    row.exported = export_model(
                        model, path, format, frames=clip_shape[0], size=clip_shape[1:3], int8=int8
                    )
                except (ExportError, ImportError) as error:
                    row.error = str(error)
                    runs.append(None)
                    continue
                with convert.quietly():
                    runs.append(load(path, format))
        _measure(rows, runs, clip_shape, videos)
    return rows


def _measure(rows, runs, clip_shape, videos):
    pairs = [(row, run) for row, run in zip(rows, runs, strict=True) if run is not None]
    clip = np.random.default_rng(0).integers(0, 256, (1, *clip_shape)).astype("float32")
    for row, run in pairs:
        times = []
        for _ in range(_TIMED + 1):  # the first warms up
            start = time.perf_counter()
            run(clip)
            times.append(time.perf_counter() - start)
        row.milliseconds = 1000 * min(times[1:])
    for frames, label in videos:
        for row, run in pairs:
            row.videos += 1
            row.correct += int(np.argmax(run(frames[None].astype("float32"))[0]) == label)


def _keras_run(model):
    return lambda clip: np.asarray(model.predict_on_batch(clip))
