"""One function per way from a network to a file: each writes a graph into a folder.

All take the graph, the path to write, and whether weights become int8, and return the version of
the format.
"""

import contextlib
import inspect
import io
import logging
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.export.graph import LEAST_SIZE, Graph

OPSET = 18  # of ONNX: since 2022, and what PyTorch writes without converting
_MOST = {"batch": 4096, "height": 8192, "width": 8192}  # PyTorch wants a limit of each open axis
_MOST_STEPS = 1024  # of frames


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence converters, which print and warn about themselves."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# --- TensorFlow, and JAX through it --------------------------------------------------------------


def saved_model(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write a SavedModel with the endpoint `serve`, which is the default signature too."""
    import tensorflow as tf

    options = {}
    if keras.backend.backend() == "jax":
        symbols = [_symbols_of_jax(graph)]
        options["jax2tf_kwargs"] = {"polymorphic_shapes": symbols, "with_gradient": False}
    archive = keras.export.ExportArchive()
    archive.track(graph.layer)
    archive.add_endpoint("serve", _named(graph), input_signature=[_spec(graph)], **options)
    archive.write_out(str(path), verbose=False)
    return f"TensorFlow {tf.__version__}"


def onnx_from_tensorflow(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write an ONNX file by tf2onnx."""
    import tensorflow as tf
    import tf2onnx

    _add_erfc()
    spec = [_spec(graph)]
    function = tf.function(_named(graph), input_signature=spec, autograph=False)
    model, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=OPSET)
    return _finish_onnx(graph, model, path, int8)


def litert(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write a LiteRT file of builtin operators only."""
    import tensorflow as tf

    folder = path.with_name("saved_model_for_litert")
    saved_model(graph, folder)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    write_whole(path, converter.convert())
    return "schema 3"


def openvino_from_tensorflow(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write OpenVINO's `.xml` and, next to it, the weights as `.bin`."""
    import openvino
    import tensorflow as tf

    function = tf.function(_named(graph), input_signature=[_spec(graph)], autograph=False)
    model = openvino.convert_model(function.get_concrete_function())
    return _finish_openvino(graph, model, path)


def _spec(graph: Graph) -> Any:
    import tensorflow as tf

    return tf.TensorSpec(graph.shape, graph.dtype, name=graph.input_name)


def _named(graph: Graph) -> Any:
    """Return the graph as a function whose argument and result have names."""

    def serve(inputs: Any) -> Any:
        return {graph.output_name: graph(inputs)}

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(graph.input_name, kind)])
    vars(serve)["__signature__"] = signature
    return serve


def _symbols_of_jax(graph: Graph) -> str:
    """Return the shape as `jax2tf` reads it, such as "(batch, 16*frames, height, width, 3)"."""
    symbols = [
        str(length) if length is not None else f"{graph.step}*frames" if name == "frames" else name
        for name, length in zip(graph.axes, graph.shape, strict=True)
    ]
    return f"({', '.join(symbols)})"


def _add_erfc() -> None:
    """Teach tf2onnx the complement of the error function, which TensorFlow's exact GELU has."""
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, context, node, **kwargs):
            dtype, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])
            erf = context.make_node("Erf", node.input, dtypes=[dtype], shapes=[shape]).output[0]
            number = np.array(1, utils.map_onnx_to_numpy_type(dtype))
            one = context.make_const(utils.make_name("one"), number).output[0]
            name, outputs = node.name, node.output
            context.remove_node(name)
            context.make_node(
                "Sub", [one, erf], outputs=outputs, name=name, shapes=[shape], dtypes=[dtype]
            )


# --- PyTorch -------------------------------------------------------------------------------------


def torch_program(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write a program of `torch.export`."""
    import torch

    torch.export.save(_exported_program(graph), str(path))
    return f"PyTorch {torch.__version__.partition('+')[0]}"


def onnx_from_torch(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write an ONNX file by PyTorch's exporter."""
    import torch

    program = _exported_program(graph)
    with _open_lengths():
        made = torch.onnx.export(program, opset_version=OPSET, verbose=False)
    return _finish_onnx(graph, made.model_proto, path, int8)


def openvino_from_torch(graph: Graph, path: pathlib.Path, int8: bool = False) -> str:
    """Write OpenVINO's files by way of ONNX."""
    import openvino

    between = path.with_name("model_for_openvino.onnx")
    onnx_from_torch(graph, between)
    return _finish_openvino(graph, openvino.convert_model(str(between)), path)


@contextlib.contextmanager
def _open_lengths() -> Iterator[None]:
    """Set up PyTorch for symbols in shapes."""
    import torch
    from torch.fx.experimental import _config

    # Lengths of 1 are as good as others: nothing is to be decided by them.
    oblivious = _config.patch(backed_size_oblivious=True)
    # With symbols in shapes, looking a result up takes longer than computing it.
    uncached = torch._dynamo.config.patch(fake_tensor_cache_enabled=False)
    with oblivious, uncached:
        yield


def _exported_program(graph: Graph) -> Any:
    import torch

    class Program(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = graph.layer

        def forward(self, inputs):
            return graph(inputs)

    lengths = {}
    for axis, (name, length) in enumerate(zip(graph.axes, graph.shape, strict=True)):
        if length is not None:
            continue
        if graph.takes_frames:
            lengths[axis] = torch.export.Dim(name, min=2, max=2**20 if axis == 0 else 8192)
        elif name == "frames":
            steps = torch.export.Dim("steps", min=1, max=_MOST_STEPS)
            lengths[axis] = graph.step * steps if graph.step > 1 else steps
        else:
            least = 1 if name == "batch" else LEAST_SIZE
            lengths[axis] = torch.export.Dim(name, min=least, max=_MOST[name])
    shape = graph.example_shapes()[-1]  # no open length of 1, which PyTorch would fix
    inputs = torch.from_numpy(graph.example(shape))
    was_training = graph.layer.training
    graph.layer.eval()
    try:
        with torch.no_grad(), _open_lengths():
            return torch.export.export(
                Program(), (inputs,), dynamic_shapes=(lengths,), strict=False
            )
    finally:
        graph.layer.train(was_training)


# --- what every ONNX and OpenVINO file has -------------------------------------------------------


def _finish_onnx(graph: Graph, model: Any, path: pathlib.Path, int8: bool) -> str:
    """Name inputs, outputs and axes, quantize if asked, and write."""
    import onnx

    [model_input], [model_output] = model.graph.input, model.graph.output
    renamed = {model_input.name: graph.input_name, model_output.name: graph.output_name}
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = renamed.get(name, name)
    for value in (model_input, model_output):
        value.name = renamed[value.name]
    dims = model_input.type.tensor_type.shape.dim
    for dim, name, length in zip(dims, graph.axes, graph.shape, strict=True):
        if length is None:
            dim.dim_param = name
    if int8:
        import onnxruntime
        from onnxruntime.quantization import QuantType, quantize_dynamic

        plain, whole = path.with_name("plain.onnx"), path.with_name("before_int8.onnx")
        onnx.save(model, plain)
        # Transposed weights become constants first: only constants are quantized.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(whole)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(plain), options, ["CPUExecutionProvider"])
        # Seven bits: processors without VNNI add two products in 16 bits, and eight overflow.
        quantize_dynamic(
            whole,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
    else:
        onnx.save(model, path)
    return f"opset {OPSET}"


def _finish_openvino(graph: Graph, model: Any, path: pathlib.Path) -> str:
    import openvino

    model.inputs[0].tensor.set_names({graph.input_name})
    model.outputs[0].tensor.set_names({graph.output_name})
    openvino.save_model(model, path, compress_to_fp16=False)
    return f"IR 11, OpenVINO {openvino.__version__.partition('-')[0]}"
