"""The public CycleMLP checkpoints, read into the `CycleMLP` of this package.

Source: section 4.2; reference [6] of the paper.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.conversion.checkpoint import CheckpointError, find_state_dict, read_checkpoint
from keras_mlp3d.models import CycleMLP

#: Module of a block in the checkpoint -> layer of the block here, and the window length of the
#: checkpoint's kernel (out, in, *window), or None for a linear layer.
BLOCK_MODULES = {
    "norm1": ("token_norm", None),
    # The checkpoint's h and w are the axes of its kernels, not those along which the layers step.
    "attn.sfc_h": ("token_mixing.mix_width", 1),
    "attn.sfc_w": ("token_mixing.mix_height", 1),
    "attn.mlp_c": ("token_mixing.mix_time", None),
    "attn.reweight.fc1": ("token_mixing.squeeze", None),
    "attn.reweight.fc2": ("token_mixing.excite", None),
    "attn.proj": ("token_mixing.projection", None),
    "norm2": ("channel_norm", None),
    "mlp.fc1": ("channel_mlp.expand", None),
    "mlp.fc2": ("channel_mlp.reduce", None),
}

_LISTED, _LONGEST = 3, 200  # names of keys in an error, and characters of each


def load_cyclemlp(cycle_mlp: CycleMLP, checkpoint: StrPath | Mapping[str, Any]) -> None:
    """Load the weights of a public CycleMLP checkpoint, all of them or none.

    Before any weight is set, every key must be known and have the right shape, and every weight of
    the network must have its key. The constants `offset` must be the steps that Cycle FC takes
    here. A prefix "module." of all keys is dropped.

    Args:
        cycle_mlp: `CycleMLP` of the checkpoint's channels, depths, ratios and number of classes,
            such as `CycleMLP.from_preset("cyclemlp_b1", load_weights=False)`.
        checkpoint: Path of a `.pth` (needs PyTorch) or `.safetensors` file (needs safetensors), or
            a dict of NumPy arrays or PyTorch tensors: the state dict, or a training checkpoint
            with the state dict under "model". No code in a file is ever run.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the library that reads this kind of file is not installed.
        ValueError: If the file is damaged, too large or of another kind, or does not fit the
            network; the message names the keys, what was expected and what came.

    Source:
        Section 4.2.

    Example:

    >>> model = CycleMLP((8, 8, 16, 16), (1, 1, 1, 1), 2, num_classes=10)
    >>> try:
    ...     load_cyclemlp(model, {"head.bias": np.zeros(10, "float32")})
    ... except ValueError as error:
    ...     print(str(error).partition(":")[0])
    The checkpoint does not fit this CycleMLP
    """
    if not isinstance(cycle_mlp, CycleMLP):
        raise ValueError(f"cycle_mlp must be a CycleMLP, got {type(cycle_mlp).__name__}.")
    name = "The checkpoint"
    if isinstance(checkpoint, str | os.PathLike):
        name = f"Checkpoint {os.fspath(checkpoint)!r}"
        checkpoint = read_checkpoint(checkpoint, cycle_mlp.count_params())
    elif not isinstance(checkpoint, Mapping):
        raise ValueError(
            f"checkpoint must be a path or a dict of arrays, got {type(checkpoint).__name__}."
        )
    state = find_state_dict(checkpoint, name)
    weights, offsets = _weight_table(cycle_mlp), _offset_table(cycle_mlp)
    expected = {key: shape for key, (_, shape) in weights.items()}
    expected |= {key: constant.shape for key, constant in offsets.items()}
    _check_keys(name, cycle_mlp, expected, state)
    values = {key: _as_numpy(name, key, state[key]) for key in expected}
    for key, constant in offsets.items():
        if not np.array_equal(values[key], constant):
            raise ValueError(
                f"{name} does not fit: {key} must be the constant steps of a Cycle FC with kernel "
                "size 3, got other values."
            )
    for key, (variable, _) in weights.items():
        variable.assign(_to_keras(values[key], tuple(variable.shape)))


def _weight_table(model: CycleMLP) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return {key: (variable of the model, shape in the checkpoint)} of every weight."""
    modules: dict[str, tuple[Any, int | None]] = {
        "patch_embed.proj": (model.get_layer("embedding"), 7)
    }
    for stage, depth in enumerate(model.depths, start=1):
        if stage > 1:
            transition = model.get_layer(f"stage{stage}_transition").projection
            modules[f"network.{2 * stage - 3}.proj"] = (transition, 3)
        for index in range(depth):
            block = model.get_layer(f"stage{stage}_block{index + 1}")
            for module, (path, window) in BLOCK_MODULES.items():
                layer = _layer_at(block, path)
                modules[f"network.{2 * stage - 2}.{index}.{module}"] = (layer, window)
    modules["norm"] = (model.get_layer("norm"), None)
    modules["head"] = (model.get_layer("head"), None)
    table = {}
    for module, (layer, window) in modules.items():
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name == "kernel":
                shape = (shape[-1], shape[-2], *(() if window is None else (window, window)))
            part = "bias" if variable.name in ("bias", "beta") else "weight"
            table[f"{module}.{part}"] = (variable, shape)
    return table


def _layer_at(block: keras.layers.Layer, path: str) -> Any:
    for name in path.split("."):
        block = getattr(block, name)
    return block


def _offset_table(model: CycleMLP) -> dict[str, np.ndarray]:
    """Return {key: constant} of the offsets, (1, 2 C, 1, 1): rows and columns in turn."""
    table = {}
    for stage, (channels, depth) in enumerate(zip(model.channels, model.depths, strict=True)):
        steps = (np.arange(channels) + 1) % 3 - 1
        still = np.zeros_like(steps)
        width, height = (
            np.stack(pair, axis=1).reshape(1, -1, 1, 1) for pair in ((still, steps), (steps, still))
        )
        for index in range(depth):
            table[f"network.{2 * stage}.{index}.attn.sfc_h.offset"] = width
            table[f"network.{2 * stage}.{index}.attn.sfc_w.offset"] = height
    return table


def _check_keys(
    name: str, model: CycleMLP, expected: Mapping[str, Any], state: Mapping[str, Any]
) -> None:
    """Raise one ValueError that lists keys that are missing, unknown or of another shape."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    problems = []
    for what, keys in (
        ("missing", expected.keys() - shapes.keys()),
        ("unknown", shapes.keys() - expected.keys()),
    ):
        if keys:
            problems.append(f"{_count(keys, what)}: {_first(sorted(keys))}")
    wrong = [key for key in expected if shapes.get(key, expected[key]) != expected[key]]
    if wrong:
        listed = [f"{key} (expected {expected[key]}, got {shapes[key]})" for key in wrong]
        problems.append(f"{_count(wrong, 'of another shape')}: {_first(listed)}")
    if not problems:
        return
    advice = (
        f"It was built with channels={model.channels}, depths={model.depths}, "
        f"mlp_ratios={model.mlp_ratios}."
    )
    if set(wrong) == {"head.weight", "head.bias"} and shapes["head.bias"]:
        classes = shapes["head.bias"][0]
        advice = f"Build the CycleMLP with num_classes={classes}; it has {model.num_classes}."
    raise CheckpointError(f"{name} does not fit this CycleMLP: {'; '.join(problems)}.", advice)


def _count(keys: Collection[str], what: str) -> str:
    return f"{len(keys)} {'key is' if len(keys) == 1 else 'keys are'} {what}"


def _first(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _LISTED else ""
    return printable(", ".join(name[:_LONGEST] for name in names[:_LISTED])) + more


def _as_numpy(name: str, key: str, value: Any) -> np.ndarray:
    """Return a checkpoint's array as float32."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu().float()
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
            raise TypeError(f"it has dtype {array.dtype}")
        # A copy, because a backend may keep the memory that it is given.
        array = array.astype("float32")
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name}: {key} must hold real numbers: {error}.") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is damaged: {key} holds values that are not finite.")
    return array


def _to_keras(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Transpose a checkpoint's (out, in, *window) to (*window, in, out), then reshape it."""
    axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1 else (0,)
    return array.transpose(axes).reshape(shape)
