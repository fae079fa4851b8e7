"""Exports a network: checks, converts, runs the result, compares, and only then lets it appear."""

import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import DISK_ERRORS
from keras_mlp3d._utils.checks import check_boolean, check_choice
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.export import convert, runtimes
from keras_mlp3d.export.files import about, appearing_at, size_of, write_companions
from keras_mlp3d.export.graph import Graph, make_graph
from keras_mlp3d.export.preprocessing import SCORES

#: Format -> ending of the file.
FORMATS = {
    "tf_saved_model": "",
    "onnx": ".onnx",
    "openvino": ".xml",
    "litert": ".tflite",
    "torch": ".pt2",
}
#: Formats whose weights can be int8.
INT8_FORMATS = ("onnx", "litert")
#: Largest difference from the network, as a part of the spread of its logits.
TOLERANCE, INT8_TOLERANCE = 1e-4, 0.1

#: Backend -> format -> (way to it, modules that it needs).
_WAYS: dict[str, dict[str, tuple[Callable[..., str], tuple[str, ...]]]] = {
    "tensorflow": {
        "tf_saved_model": (convert.saved_model, ()),
        "onnx": (convert.onnx_from_tensorflow, ("onnx", "onnxruntime", "tf2onnx")),
        "openvino": (convert.openvino_from_tensorflow, ("openvino",)),
        "litert": (convert.litert, ("ai_edge_litert",)),
    },
    "jax": {"tf_saved_model": (convert.saved_model, ("tensorflow",))},
    "torch": {
        "onnx": (convert.onnx_from_torch, ("onnx", "onnxruntime", "onnxscript")),
        "openvino": (convert.openvino_from_torch, ("onnx", "onnxscript", "openvino")),
        "torch": (convert.torch_program, ()),
    },
}
_RUNTIMES = {
    "tf_saved_model": runtimes.saved_model,
    "onnx": runtimes.onnx,
    "openvino": runtimes.openvino,
    "litert": runtimes.litert,
    "torch": runtimes.torch_program,
}


class ExportError(RuntimeError):
    """What was converted is not what was asked for; no file was written."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        path: The artifact: a file, or a folder for "tf_saved_model".
        format: Its format.
        version: Version of the format, such as "opset 18".
        open_axes: Names of the axes of the input that may have any length.
        largest_difference: Largest difference from the network's outputs at the shapes tried, as a
            part of their spread.
        size: Size in bytes.

    Example:

    >>> exported = Exported(pathlib.Path("a.onnx"), "onnx", "opset 18", ("batch",), 2e-7, 1000)
    >>> exported.open_axes
    ('batch',)
    """

    path: pathlib.Path
    format: str
    version: str
    open_axes: tuple[str, ...]
    largest_difference: float
    size: int


def formats(backend: str | None = None) -> list[str]:
    """Return the formats that a backend can make.

    Args:
        backend: Its name; None for the backend in use.

    Example:

    >>> formats("torch")
    ['onnx', 'openvino', 'torch']
    """
    return list(_WAYS.get(backend or keras.backend.backend(), ()))


def export_model(
    model: keras.Model,
    path: StrPath,
    format: str = "tf_saved_model",
    batch: int | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    preprocessing: bool = False,
    clips: int = 1,
    crops: int = 1,
    int8: bool = False,
) -> Exported:
    """Export a network; `MLP3D.export` says what the arguments do.

    Args:
        model: Network of this package.
        path: The artifact.
        format: One of `FORMATS`.
        batch: None, or inputs per batch.
        frames: None, or frames per clip.
        size: None, or (height, width) in pixels.
        preprocessing: Whether the artifact takes uint8 frames of any number and size, and returns
            scores. Those of a sigmoid network do not add up to 1.
        clips: Number of clips per video, with `preprocessing`.
        crops: Number of crops per clip, with `preprocessing`.
        int8: Whether weights become int8.

    Returns:
        An `Exported`.

    Raises:
        ValueError: If an argument is wrong, the backend in use cannot make the format, or the
            network is quantized, has candidates to switch between, or is not of dtype float32.
        ImportError: If a package is missing.
        ExportError: If the artifact cannot be made, is refused or computes something else.
        OSError: If a file cannot be written. It names `path`.

    Example:

    >>> export_model(CycleMLP.from_preset("cyclemlp_nano", load_weights=False), "a.onnx", "ONNX")
    Traceback (most recent call last):
    ...
    ValueError: format must be one of 'tf_saved_model', 'onnx', ..., got 'ONNX'.
    """
    check_choice("format", format, FORMATS)
    check_boolean("preprocessing", preprocessing)
    check_boolean("int8", int8)
    way, modules = _way(format)
    if int8 and format not in INT8_FORMATS:
        raise ValueError(
            f"int8=True needs one of the formats {list(INT8_FORMATS)}, got {format!r}."
        )
    path = pathlib.Path(path)
    if FORMATS[format] and path.suffix != FORMATS[format]:
        raise ValueError(
            f"The path of format {format!r} must end in {FORMATS[format]!r}, got {str(path)!r}."
        )
    _check_weights(model)
    graph = make_graph(model, batch, frames, size, preprocessing, clips, crops)
    _check_installed(format, modules)
    with appearing_at(path) as artifact:
        what = f"{model.name} as {format!r} from {keras.backend.backend()}"
        with convert.quietly():
            try:
                version = way(graph, artifact, int8)
            # Converters raise whatever they like.
            except Exception as error:
                if getattr(error, "errno", None) in DISK_ERRORS:
                    raise
                raise ExportError(f"Cannot convert {what}: {_reason(error)}") from error
            try:
                run = _RUNTIMES[format](artifact, graph.input_name, graph.output_name)
                difference = _largest_difference(graph, run)
            except Exception as error:
                raise ExportError(f"Cannot run {what}: {_reason(error)}") from error
        allowed = INT8_TOLERANCE if int8 else TOLERANCE
        if not difference <= allowed:  # also if it is no number
            raise ExportError(
                f"{what} differs from the network by {difference:.2g} of the spread of its logits; "
                f"at most {allowed:g} is allowed."
            )
        write_companions(artifact, graph, about(graph, format, version, int8, difference))
    return Exported(path, format, version, graph.open_axes, difference, size_of(path))


def load(path: StrPath, format: str) -> runtimes.Run:
    """Load an artifact into the runtime of its format.

    Args:
        path: The artifact; the `.json` that was written with it is next to it.
        format: Its format.

    Returns:
        A function from an array to an array: from what the artifact takes to what it returns.

    Raises:
        FileNotFoundError: If there is no such artifact.

    Example:

    >>> load("absent.onnx", "onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'absent.onnx.json'
    """
    path = pathlib.Path(path)
    content = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    return _RUNTIMES[format](path, content["input"], content["output"])


def _way(format: str) -> tuple[Callable[..., str], tuple[str, ...]]:
    backend = keras.backend.backend()
    ways = _WAYS.get(backend, {})
    if format not in ways:
        others = [name for name, known in _WAYS.items() if format in known]
        raise ValueError(
            f"The backend {backend} cannot make the format {format!r}; set "
            f"KERAS_BACKEND={others[0]} for it (--backend {others[0]} on the command line)"
            + (f", or choose one of {list(ways)}." if ways else ".")
        )
    return ways[format]


def _check_weights(model: keras.Model) -> None:
    """Raise ValueError for a network that switches, or whose weights or sums are not float32."""
    if not model.built:
        raise ValueError(f"{model.name} is not built: call it on a clip before the export.")
    for layer in model._flatten_layers():
        if getattr(layer, "candidates", None):
            raise ValueError(
                f"{model.name} has candidates to switch between, and no format can switch: export "
                "what models.extract makes of it."
            )
        if getattr(layer, "quantization_mode", None) is not None:
            raise ValueError(
                f"{model.name} is quantized to {layer.quantization_mode}, which no format can hold "
                "as it is: export the network from before `quantize`, with int8=True for 'onnx' or "
                "'litert'."
            )
    policy = model.dtype_policy
    if (policy.compute_dtype, policy.variable_dtype) != ("float32", "float32"):
        raise ValueError(
            f"An export needs a network of dtype 'float32', got {policy.name!r}: load it with "
            "dtype='float32'."
        )


def _check_installed(format: str, modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if "tensorflow" in missing:
        raise ImportError(
            f"The format {format!r} needs TensorFlow: pip install 'keras-mlp3d[tensorflow-cpu]'"
        )
    if missing:
        raise ImportError(
            f"The format {format!r} needs {', '.join(missing)}: pip install 'keras-mlp3d[export]'"
        )


def _largest_difference(graph: Graph, run: runtimes.Run) -> float:
    """Return the largest difference at all example shapes over the spread of the outputs."""
    worst = 0.0
    for shape in graph.example_shapes():
        inputs = graph.example(shape)
        wanted, got = _logits(graph, graph.expected(inputs)), _logits(graph, run(inputs))
        if got.shape != wanted.shape:
            raise ValueError(f"its outputs have shape {got.shape} instead of {wanted.shape}")
        spread = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
        difference = float(np.abs(got - wanted).max()) / spread
        if not np.isfinite(difference):
            raise ValueError("its outputs are not finite numbers")
        worst = max(worst, difference)
    return worst


def _logits(graph: Graph, outputs: np.ndarray) -> np.ndarray:
    """Return outputs as logits: the logarithm of scores, whose spread is that of the logits."""
    outputs = np.asarray(outputs, "float64")
    scores = graph.takes_frames or getattr(graph.model, "activation", None) in SCORES
    return np.log(np.maximum(outputs, 1e-30)) if scores else outputs


def _reason(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
