"""The files of an export: what stands next to the artifact, and how all of them appear at once."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_mlp3d._utils.atomic_write import folder_beside, naming, write_whole
from keras_mlp3d._utils.printable import printable_class_names
from keras_mlp3d.export.graph import Graph
from keras_mlp3d.version import __version__

_SAVED_MODEL = "saved_model.pb"
_PARTS = {_SAVED_MODEL, "fingerprint.pb", "keras_metadata.pb", "variables", "assets"}

#: Lines of the example, by format: from `path` and `inputs` to `outputs`.
_RUNS = {
    "tf_saved_model": (
        "import tensorflow as tf",
        "program = tf.saved_model.load(path)",
        "outputs = program.serve(tf.constant(inputs))[about['output']].numpy()",
    ),
    "onnx": (
        "import onnxruntime",
        "session = onnxruntime.InferenceSession(path)",
        "[outputs] = session.run([about['output']], {about['input']: inputs})",
    ),
    "openvino": (
        "import openvino",
        "outputs = openvino.compile_model(path)({about['input']: inputs})[about['output']]",
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter",
        "runner = Interpreter(model_path=path).get_signature_runner()",
        "outputs = runner(**{about['input']: inputs})[about['output']]",
    ),
    "torch": (
        "import torch",
        "outputs = torch.export.load(path).module()(torch.from_numpy(inputs)).detach().numpy()",
    ),
}

_EXAMPLE = '''"""Runs {name} by NumPy and the runtime of its format, without Keras."""

import json

import numpy as np
{library}

path = __file__.removesuffix(".example.py")
with open(path + ".json", encoding="utf-8") as file:
    about = json.load(file)
# {what}
inputs = np.zeros({shape}, about["dtype"])
{run}
print(outputs.shape)
scores = outputs.reshape(-1, outputs.shape[-1])[0]
for place in np.argsort(-scores)[:5] if about["labels"] else ():
    print(about["labels"][place], float(scores[place]))
'''


def about(graph: Graph, format: str, version: str, int8: bool, difference: float) -> dict[str, Any]:
    """Return what a program must know to use the artifact, as values that JSON knows."""
    model, converter = graph.model, getattr(graph.model, "converter", None)
    count = getattr(model, "num_classes", None)  # None for a backbone
    names = getattr(model, "class_names", None)
    if names is None and count is not None:
        names = [f"class {place}" for place in range(count)]
    shape = [
        name if length is None else length
        for name, length in zip(graph.axes, graph.shape, strict=True)
    ]
    return {
        "format": format,
        "version": version,
        "keras_mlp3d_version": __version__,
        "network": type(model).__name__,
        "int8": int8,
        "input": graph.input_name,
        "dtype": graph.dtype,
        "shape": shape,
        "frames_are_multiples_of": graph.step,
        "output": graph.output_name,
        "labels": printable_class_names(names),
        "converter": None if converter is None else converter.get_config(),
        "clips": graph.layer.clips if graph.takes_frames else None,
        "crops": graph.layer.crops if graph.takes_frames else None,
        "largest_difference": difference,
    }


def write_companions(artifact: pathlib.Path, graph: Graph, content: dict[str, Any]) -> None:
    """Write `NAME.json`, what `about` returned, and `NAME.example.py` next to the artifact."""
    text = json.dumps(content, indent=2, allow_nan=False)
    write_whole(artifact.with_name(artifact.name + ".json"), f"{text}\n".encode())
    library, *run = _RUNS[content["format"]]
    what = (
        "The frames of a video: RGB, upright, all of one size."
        if graph.takes_frames
        else "RGB of 0 to 255; these are the lengths that the network was tested with."
    )
    name = artifact.name.replace("\\", "?").replace('"', "?")
    example = _EXAMPLE.format(
        name=name,
        library=library,
        what=what,
        shape=graph.example_shapes()[0],
        run="\n".join(run),
    )
    write_whole(artifact.with_name(artifact.name + ".example.py"), example.encode())


@contextlib.contextmanager
def appearing_at(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield the path of an artifact in a temporary folder next to `path`.

    At the end the artifact and the files with its name move to the folder of `path`. If anything
    fails, nothing appears there, and earlier files are not changed.

    Raises:
        FileExistsError: If `path` is a folder that holds anything except a SavedModel.
        FileNotFoundError: If the folder of `path` does not exist.
        OSError: If a file cannot be written. It names the file as it is called in the end.
    """
    if path.is_dir() and any(path.iterdir()):
        if not (path / _SAVED_MODEL).is_file():
            raise FileExistsError(f"{str(path)!r} is a folder without a SavedModel: it is kept.")
        others = sorted(each.name for each in path.iterdir() if each.name not in _PARTS)
        others += [f"assets/{each.name}" for each in path.glob("assets/*")]
        if others:
            raise FileExistsError(
                f"{str(path)!r} holds {others[0]!r}, which is no part of its SavedModel: it is "
                "kept. Move what is yours, or name another folder."
            )
    with folder_beside(path) as folder:
        artifact = folder / path.name
        # Files next to the artifact have names of their own.
        with naming(path.parent, stands_for=[folder]), naming(path, stands_for=[artifact]):
            yield artifact
            stem = path.name.removesuffix(path.suffix) if path.suffix else path.name
            for new in sorted(folder.iterdir()):
                ours = new.name.startswith(path.name) or new.name == f"{stem}.bin"
                if not ours:
                    continue
                final = path.with_name(new.name)
                if final.is_dir():
                    os.replace(final, folder / "earlier")
                os.replace(new, final)


def size_of(path: pathlib.Path) -> int:
    """Return the bytes of an artifact: of a file and its weights, or of a folder."""
    paths = path.rglob("*") if path.is_dir() else [path, path.with_suffix(".bin")]
    return sum(each.stat().st_size for each in paths if each.is_file())
