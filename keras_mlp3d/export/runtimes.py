"""Runs what was exported in its own runtime, and looks at its operators.

All take the path of the artifact and the names of its input and its output.
"""

import pathlib
from collections.abc import Callable

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


def saved_model(path: pathlib.Path, given: str, returned: str) -> Run:
    """Load by `tf.saved_model`, without Keras."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(inputs):
        return loaded.serve(tf.constant(inputs))[returned].numpy()

    return run


def onnx(path: pathlib.Path, given: str, returned: str) -> Run:
    """Load by onnxruntime, after a look at the operators.

    Raises:
        ValueError: If an operator is not one of ONNX's own.
    """
    import onnx
    import onnxruntime

    model = onnx.load(path)
    nodes = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in ("", "ai.onnx")})
    if foreign:
        raise ValueError(f"it has operators outside ONNX's standard set: {', '.join(foreign)}")
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda inputs: session.run([returned], {given: inputs})[0]


def openvino(path: pathlib.Path, given: str, returned: str) -> Run:
    """Load by OpenVINO's runtime.

    Raises:
        ValueError: If an operator is not one of OpenVINO's own.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    known = ("opset", "util")
    kinds = [node.get_type_info() for node in model.get_ops()]
    foreign = sorted({kind.name for kind in kinds if not kind.version_id.startswith(known)})
    if foreign:
        raise ValueError(f"it has operators outside OpenVINO's own: {', '.join(foreign)}")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: compiled({given: inputs})[returned]


def litert(path: pathlib.Path, given: str, returned: str) -> Run:
    """Load by LiteRT's interpreter, which has neither custom nor Flex operators."""
    from ai_edge_litert.interpreter import Interpreter

    def run(inputs):
        # A new interpreter per shape: after a resize that failed, results are wrong.
        interpreter = Interpreter(model_path=str(path))
        runner = interpreter.get_signature_runner()
        return runner(**{given: inputs})[returned]

    return run


def torch_program(path: pathlib.Path, given: str, returned: str) -> Run:
    """Load by `torch.export.load`."""
    import torch

    program = torch.export.load(str(path)).module()

    def run(inputs):
        with torch.no_grad():
            return program(torch.from_numpy(inputs)).cpu().numpy()

    return run
