"""The number of parameters that a configuration asks for, counted before anything is built.

A few kilobytes of configuration can ask for a network of any size. These counts take next to no
time or memory, whatever the configuration holds.
"""

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_boolean, check_integer, check_integers, check_number
from keras_mlp3d._utils.memory import memory_bytes
from keras_mlp3d._utils.printable import printable
from keras_mlp3d.models.dtype_policies import layer_policy, stored_modes
from keras_mlp3d.models.network_checks import TUBELET_FRAMES
from keras_mlp3d.models.schedule import Mixing, parse_schedule

_STAGES = 4

_PATHS = ("appearance", "motion")
#: What the objects of a block take besides its weights: 0.27 MB with PyTorch, Keras 3.15.
_BLOCK_BYTES = 270_000
_BLOCK_ARRAYS = 20  # kernels, biases and norms


def backbone_parameters(config: Mapping[str, Any]) -> int:
    """Count the parameters of an `MLP3DBackbone`.

    Args:
        config: Its arguments, as `get_config` gives them.

    Returns:
        What `count_params` of the network would return.

    Raises:
        ValueError: If an argument that decides the count is missing or wrong.

    Example:

    >>> backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 2, 1), 2, "short_range:2")
    >>> backbone_parameters(backbone.get_config()) == backbone.count_params()
    True
    """
    channels, depths, ratios = _sizes(config)
    blocks = _count_blocks(_needed(config, "schedule"), depths)
    candidates = config.get("candidates")
    if candidates is not None:
        candidates = parse_schedule(list(candidates), len(candidates))
    total = _count_outside_blocks(channels, TUBELET_FRAMES)
    for (stage, mixing), number in blocks.items():
        width = channels[stage]
        time_mixing = _time_mixing_parameters(mixing, width, config, candidates)
        total += number * (_block_parameters(width, ratios[stage]) + time_mixing)
    return total


def cycle_mlp_parameters(config: Mapping[str, Any]) -> int:
    """Count the parameters of a `CycleMLP`.

    Args:
        config: Its arguments, as `get_config` gives them.

    Returns:
        What `count_params` of the network would return.

    Raises:
        ValueError: If an argument that decides the count is missing or wrong.

    Example:

    >>> network = CycleMLP((8, 8, 16, 16), (1, 1, 2, 1), 2, num_classes=10)
    >>> cycle_mlp_parameters(network.get_config()) == network.count_params()
    True
    """
    channels, depths, ratios = _sizes(config)
    total = _count_outside_blocks(channels, 1)
    for width, depth, ratio in zip(channels, depths, ratios, strict=True):
        total += depth * (_block_parameters(width, ratio) + width**2)  # no bias in channel mixing
    return total + head_parameters(channels, config.get("num_classes", 1000))


def head_parameters(channels: Sequence[int], num_classes: Any) -> int:
    """Count the parameters of a classifier's linear layer.

    Args:
        channels: Channels of the four stages.
        num_classes: Number of classes.

    Raises:
        ValueError: If `num_classes` is no positive integer.

    Example:

    >>> head_parameters((8, 8, 16, 16), 10)
    170
    """
    return (channels[-1] + 1) * check_integer("num_classes", num_classes)


def preset_parameters(preset: hub.Preset, with_task: bool = True) -> dict[str, int]:
    """Count the parameters that a preset asks for, per weights file.

    Args:
        preset: The preset, as `hub.read_preset` reads it.
        with_task: Whether to count a classifier that has a weights file of its own.

    Returns:
        {name of the weights file: number of parameters}.

    Raises:
        ValueError: If an argument that decides the count is missing or wrong.

    Example:

    >>> preset = hub.read_preset("mlp3d_xs")
    >>> sum(preset_parameters(preset).values()) == preset.parameter_count
    True
    """
    config = preset.config
    if preset.class_name in ("CycleMLP", "FrameCycleMLP"):
        return {hub.WEIGHTS: cycle_mlp_parameters(config)}
    if preset.class_name == "TwoPathMLP3D":
        paths = [_needed(config, path) for path in _PATHS]
        return {
            hub.WEIGHTS: sum(
                backbone_parameters(_needed(path, "backbone"))
                + _task_parameters(path["backbone"], _needed(path, "task"))
                for path in paths
            )
        }
    counts = {hub.WEIGHTS: backbone_parameters(config)}
    if with_task and preset.task is not None:
        counts[hub.TASK_WEIGHTS] = _task_parameters(config, preset.task)
    return counts


def check_preset_size(
    preset: hub.Preset, load_weights: bool, with_task: bool
) -> dict[str, hub.WeightsFile]:
    """Refuse a preset that asks for another number of parameters than its weights are.

    A preset without a weights file must ask for what its metadata states, if they state a number,
    and must fit into memory.

    Args:
        preset: The preset, with its weights on disk if they will be loaded.
        load_weights: Whether they will be loaded. If not, damaged or missing files do not matter.
        with_task: Whether a classifier that has a weights file of its own will be built as stored.

    Returns:
        {name of each weights file: the checked file}.

    Raises:
        FileNotFoundError: If a weights file is missing.
        ValueError: If the numbers differ, the network does not fit into memory, or a file or the
            configuration is damaged.

    Example:

    >>> check_preset_size(hub.read_preset("mlp3d_xs"), load_weights=False, with_task=True)
    {}
    """
    asked = _counted(preset, with_task)
    files = {}
    for name in asked:
        if load_weights:
            files[name] = preset.weights_file(name)
        else:
            with contextlib.suppress(ValueError, FileNotFoundError):
                files[name] = hub.check_weights_file(preset.folder / preset.weights_name(name))
    packed = quantization(preset)
    for name, file in files.items():
        held = file.parameter_count
        least = _BLOCK_ARRAYS * _preset_blocks(preset) if name == hub.WEIGHTS else 1
        # Quantized weights come with scales, and int4 packs two into one number.
        fits = asked[name] <= 2 * held if packed else asked[name] == held
        if not fits or file.array_count < least:
            raise ValueError(
                f"The preset {preset.handle!r} is refused: its configuration asks for "
                f"{_number(asked[name])} parameters, and its weights file "
                f"{preset.weights_name(name)} holds {held:,}. They are not of this network."
                + (f" {file.array_count:,} arrays are too few for its blocks." if fits else "")
            )
    if len(files) < len(asked):
        whole = asked if with_task else _counted(preset, with_task=True)
        _check_without_weights(preset, sum(whole.values()))
    return files


def quantization(preset: hub.Preset) -> list[str]:
    """Return the modes that weights of a preset are quantized to, sorted.

    Raises:
        ValueError: If a dtype policy of the configuration is none.

    Example:

    >>> quantization(hub.read_preset("mlp3d_xs"))
    []
    """
    paths = [preset.config[path] for path in _PATHS if path in preset.config]
    backbones = [path["backbone"] for path in paths] or [preset.config]
    tasks = [path["task"] for path in paths] or [preset.task or {}]
    modes = {mode for config in backbones for mode in stored_modes(config.get("dtype"))}
    heads = [layer_policy(task.get("head_dtype")) for task in tasks]
    modes |= {head.quantization_mode for head in heads if head is not None}
    return sorted(mode for mode in modes if mode is not None)


def _counted(preset: hub.Preset, with_task: bool) -> dict[str, int]:
    """Return `preset_parameters`; its errors name the preset."""
    try:
        return preset_parameters(preset, with_task)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"The preset {preset.handle!r} cannot be built: {printable(str(error))}"
        ) from error


def _check_without_weights(preset: hub.Preset, asked: int) -> None:
    stated = preset.metadata.get("parameter_count")
    if stated is not None and stated != asked:
        raise ValueError(
            f"The preset {preset.handle!r} is refused: its configuration asks for "
            f"{_number(asked)} parameters, and its metadata.json states {_number(stated)}."
        )
    memory, blocks = memory_bytes(), _preset_blocks(preset)
    needed = 4 * asked + _BLOCK_BYTES * blocks
    if memory is not None and needed > memory:
        raise ValueError(
            f"The preset {preset.handle!r} is refused: it has no weights, and its configuration "
            f"asks for {_number(asked)} parameters in {_number(blocks)} blocks, about "
            f"{_number(needed // 2**30)} GiB; this process may use {memory / 2**30:.1f} GiB. If "
            f"you trust it, call the class with the arguments in its {hub.CONFIG}."
        )


def _preset_blocks(preset: hub.Preset) -> int:
    paths = [preset.config[path]["backbone"] for path in _PATHS if path in preset.config]
    return sum(sum(config["depths"]) for config in paths or [preset.config])


def _number(count: int) -> str:
    return f"{count:,}" if count < 10**18 else "more than 10^18"


def _needed(config: Any, name: str) -> Any:
    if not isinstance(config, Mapping):
        raise ValueError(f"expected an object with {name!r}, got {config!r}.")
    if name not in config:
        raise ValueError(f"{name!r} is missing.")
    return config[name]


def _task_parameters(backbone: Mapping[str, Any], task: Any) -> int:
    channels = check_integers("channels", backbone["channels"], _STAGES)
    return head_parameters(channels, _needed(task, "num_classes"))


def _sizes(
    config: Mapping[str, Any],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """Return channels, depths and MLP ratios as tuples of four."""
    channels = check_integers("channels", _needed(config, "channels"), _STAGES)
    depths = check_integers("depths", _needed(config, "depths"), _STAGES)
    ratios = _needed(config, "mlp_ratios")
    if not isinstance(ratios, list | tuple):
        ratios = (ratios,) * _STAGES
    if len(ratios) != _STAGES:
        raise ValueError(f"mlp_ratios must be one or four numbers above 0, got {ratios!r}.")
    ratios = tuple(check_number("mlp_ratios", ratio, above=0) for ratio in ratios)
    return channels, depths, ratios


def _count_outside_blocks(channels: Sequence[int], window: int) -> int:
    """Return Embedding, stage transitions and the last norm."""
    total = (window * 7 * 7 * 3 + 1) * channels[0]
    for before, after in itertools.pairwise(channels):
        total += (3 * 3 * before + 1) * after
    return total + 2 * channels[-1]


def _block_parameters(width: int, ratio: float) -> int:
    """Return a block without its time mixing."""
    norms = 2 * 2 * width
    cycle_fcs = 2 * (width + 1) * width
    squeezed = max(1, width // 4)
    split_attention = (width + 1) * squeezed + (squeezed + 1) * 3 * width
    projection = (width + 1) * width
    hidden = int(width * ratio)
    channel_mlp = (width + 1) * hidden + (hidden + 1) * width
    return norms + cycle_fcs + split_attention + projection + channel_mlp


def _time_mixing_parameters(
    mixing: Mixing,
    width: int,
    config: Mapping[str, Any],
    candidates: Sequence[Mixing] | None,
) -> int:
    """Return the kernel and bias of a block's time mixing; with candidates, the choice too."""
    if candidates is not None:
        sizes = [each.group_size for each in (mixing, *candidates) if each.group_size is not None]
        if len(sizes) <= len(candidates):
            raise ValueError("candidates cannot be switched to or from 'full' time mixing.")
        return (2 * max(sizes) - 1) * width**2 + width + 1
    size = _tokens(config) if mixing.group_size is None else mixing.group_size
    largest = config.get("max_group_size")
    if largest is not None:
        return (2 * check_integer("max_group_size", largest) - 1) * width**2 + width
    shift = mixing.kind == "shift_token"
    if check_boolean("share_weights", config.get("share_weights", True)):
        return (size if shift else 2 * size - 1) * width**2 + width
    return size * width**2 + width if shift else (size * width) ** 2 + size * width


def _tokens(config: Mapping[str, Any]) -> int:
    """Return tokens in time, which are the group size of full time mixing."""
    shape = config.get("input_shape")
    frames = shape[0] if isinstance(shape, list | tuple) and shape else None
    if frames is None:
        raise ValueError("time mixing of kind 'full' needs an input_shape with a fixed length.")
    return check_integer("input_shape[0]", frames) // TUBELET_FRAMES


def _count_blocks(schedule: Any, depths: Sequence[int]) -> Counter[tuple[int, Mixing]]:
    """Return how many blocks of each stage have each mixing, without listing the blocks."""
    total = sum(depths)
    if isinstance(schedule, Mixing):
        schedule = str(schedule)
    if isinstance(schedule, str):
        # As many blocks as there are turns, so that each turn comes once.
        turns = parse_schedule(schedule, min(total, schedule.count("+") + 1))
    else:
        turns = parse_schedule(schedule, total)
    each, doubled = Counter(turns), (*turns, *turns)
    blocks: Counter[tuple[int, Mixing]] = Counter()
    first = 0  # turn of the stage's first block
    for stage, depth in enumerate(depths):
        rounds, rest = divmod(depth, len(turns))
        if rounds:
            for mixing, number in each.items():
                blocks[stage, mixing] += rounds * number
        for mixing, number in Counter(doubled[first : first + rest]).items():
            blocks[stage, mixing] += number
        first = (first + depth) % len(turns)
    return blocks
