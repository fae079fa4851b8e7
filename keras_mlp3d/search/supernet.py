"""The supernet: one network whose blocks share their weights over all kinds and group sizes.

Source: section 3.4.
"""

from typing import Any

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.models import MLP3D
from keras_mlp3d.search.space import SearchSpace


def supernet(
    preset: StrPath,
    space: SearchSpace,
    load_weights: bool = False,
    num_classes: int | None = None,
    **overrides: Any,
) -> MLP3D:
    """Build a network in which every block can be any candidate of a search space.

    Each block has one kernel, of the largest group size, which all kinds and sizes read. In
    training, every block samples its candidate at every step, all equally likely. Otherwise
    `supernet.backbone.set_choices(schedule)` decides. Choices are values that the compiled graph
    reads, so a change compiles nothing again.

    Args:
        preset: Built-in name, directory or hf:// address of an `MLP3D` preset; its schedule is
            not used.
        space: A `SearchSpace`.
        load_weights: Whether to start from the preset's weights.
        num_classes: None for the preset's classes, or the number of classes of a new head.
        **overrides: As in `MLP3D.from_preset`, such as `class_names` or `drop_path_rate`.

    Returns:
        An `MLP3D`.

    Raises:
        ValueError: If the preset or an override is unknown, or a group size does not fit the
            clip length.

    Source:
        Section 3.4.

    Example:

    >>> from keras_mlp3d.search import SearchSpace
    >>> space = SearchSpace(("short_range", "shift_token"), (1, 2))
    >>> model = supernet("mlp3d_nano", space, num_classes=3)
    >>> model.backbone.set_choices(["shift_token:2"] * 4)
    >>> [str(mixing) for mixing in model.backbone.choices]
    ['shift_token:2', 'shift_token:2', 'shift_token:2', 'shift_token:2']
    """
    candidates = space.mixings
    return MLP3D.from_preset(
        preset,
        load_weights=load_weights,
        num_classes=num_classes,
        schedule=candidates[0],
        candidates=candidates,
        max_group_size=None,
        random_mixing=1 - 1 / len(candidates),  # of another; the same again is as likely
        **overrides,
    )
