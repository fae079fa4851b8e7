"""Formats out of Keras: each artifact is run in its own runtime before it appears."""

from keras_mlp3d.export.benchmark import Row, benchmark
from keras_mlp3d.export.export_model import (
    FORMATS,
    INT8_FORMATS,
    Exported,
    ExportError,
    export_model,
    formats,
    load,
)

__all__ = [
    "FORMATS",
    "INT8_FORMATS",
    "ExportError",
    "Exported",
    "Row",
    "benchmark",
    "export_model",
    "formats",
    "load",
]
