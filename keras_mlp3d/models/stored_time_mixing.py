"""Loading stored time-mixing weights into blocks of another schedule.

Source: section 3.3, Eq. (5); the intervals of a schedule that was not trained start at zero.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mlp3d.layers import GroupedTimeMixing
from keras_mlp3d.models.network_checks import TUBELET_FRAMES
from keras_mlp3d.models.schedule import parse_schedule
from keras_mlp3d.models.transfer import take_intervals, walk_layers

#: Arguments of `MLP3DBackbone` that decide the shapes of the time-mixing weights.
TIME_MIXING_ARGUMENTS = frozenset(
    {"schedule", "share_weights", "max_group_size", "candidates", "input_shape"}
)


def check_unquantized(handle: str, modes: Sequence[str], overrides: Iterable[str]) -> None:
    """Raise ValueError for an override that quantized weights cannot follow.

    Args:
        handle: Name of the preset, for the message.
        modes: The modes that weights of the preset are quantized to.
        overrides: Names of the arguments that are given.

    Example:

    >>> check_unquantized("mine", ["int8"], ["dropout"])
    """
    fixed = [name for name in overrides if name in TIME_MIXING_ARGUMENTS | {"dtype"}]
    if fixed and modes:
        raise ValueError(
            f"{', '.join(fixed)} cannot be overridden: the weights of the preset {handle!r} are "
            f"quantized to {', '.join(modes)}."
        )


def time_mixing_loaders(
    network: keras.Model, stored: Mapping[str, Any], report: Callable[[str], None]
) -> Iterator[tuple[keras.layers.Layer, Callable[[Mapping[str, Any]], None]]]:
    """Yield the time mixing layers of a network, each with a function that loads its weights.

    The function gets the arrays stored for the layer's block, {"0": kernel, "1": bias}, and takes
    w_Δ for w_Δ. Time intervals that are not stored become zero.

    Args:
        network: A network with `MLP3DBlock`s.
        stored: Arguments of the `MLP3DBackbone` whose weights are stored.
        report: Function that gets the path of each weight that is not, or not wholly, loaded.
    """
    blocks = dict(_stored_blocks(stored))
    for layer in walk_layers(network):
        if isinstance(layer, GroupedTimeMixing):
            block = next(part for part in layer.path.split("/") if part in blocks)
            yield layer, _loader(layer, blocks[block], report)


def _stored_blocks(stored: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each stored block, and arguments that make its time mixing again."""
    mixings = iter(parse_schedule(stored["schedule"], sum(stored["depths"])))
    candidates = stored.get("candidates")
    frames = (stored.get("input_shape") or [None])[0]
    for stage, depth in enumerate(stored["depths"]):
        for block in range(depth):
            mixing = next(mixings)
            form = {
                "kind": mixing.kind,
                "group_size": mixing.group_size,
                "share_weights": stored.get("share_weights", True),
                "max_group_size": stored.get("max_group_size"),
            }
            if candidates is not None:
                others = parse_schedule(list(candidates), len(candidates))
                sizes = [other.group_size or 1 for other in (mixing, *others)]
                form |= {"share_weights": True, "max_group_size": max(sizes)}
            time = None if frames is None else frames // TUBELET_FRAMES
            shape = (None, time, None, None, stored["channels"][stage])
            yield f"stage{stage + 1}_block{block + 1}", {"form": form, "shape": shape}


def _loader(
    layer: GroupedTimeMixing, block: Mapping[str, Any], report: Callable[[str], None]
) -> Callable[[Mapping[str, Any]], None]:
    def load(arrays: Mapping[str, Any]) -> None:
        origin = GroupedTimeMixing(
            **block["form"],
            use_bias=layer.use_bias,
            kernel_initializer="zeros",
            dtype=layer.dtype_policy,
        )
        origin.build(block["shape"])
        origin.kernel.assign(np.asarray(arrays["0"]))
        if not take_intervals(layer, origin):
            report(f"{layer.kernel.path} (time intervals new to it are zero)")
        if layer.bias is None or origin.bias is None:
            return
        origin.bias.assign(np.asarray(arrays["1"]))
        if tuple(origin.bias.shape) == tuple(layer.bias.shape):
            layer.bias.assign(np.asarray(arrays["1"]))
        else:
            report(layer.bias.path)

    return load
