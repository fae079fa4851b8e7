"""Array operations without weights, in `keras.ops` alone: they run alike on every backend."""

from keras_mlp3d.ops.cycle_shift import cycle_offsets, cycle_shift
from keras_mlp3d.ops.pad_zeros import pad_zeros
from keras_mlp3d.ops.resize_frames import resize_frames
from keras_mlp3d.ops.time_groups import (
    GROUPED_KINDS,
    KINDS,
    check_group_size,
    group_time,
    shift_tokens,
    ungroup_time,
)

__all__ = [
    "GROUPED_KINDS",
    "KINDS",
    "check_group_size",
    "cycle_offsets",
    "cycle_shift",
    "group_time",
    "pad_zeros",
    "resize_frames",
    "shift_tokens",
    "ungroup_time",
]
