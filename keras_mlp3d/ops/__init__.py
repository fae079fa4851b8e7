"""Array operations without weights, in `keras.ops`; what is quicker by PyTorch's own calls is in
one file, `_torch.py`. They give the same on every backend.
"""

from keras_mlp3d.ops.affine import affine
from keras_mlp3d.ops.convolve import convolve
from keras_mlp3d.ops.cycle_shift import cycle_offsets, cycle_shift
from keras_mlp3d.ops.eager import is_eager_torch
from keras_mlp3d.ops.linear import linear
from keras_mlp3d.ops.mix_groups import interval_matrix, mix_groups
from keras_mlp3d.ops.pad_zeros import pad_zeros
from keras_mlp3d.ops.resize_frames import resize_frames
from keras_mlp3d.ops.shift_mix import shift_mix
from keras_mlp3d.ops.time_groups import (
    GROUPED_KINDS,
    KINDS,
    check_group_size,
    group_time,
    ungroup_time,
)

__all__ = [
    "GROUPED_KINDS",
    "KINDS",
    "affine",
    "check_group_size",
    "convolve",
    "cycle_offsets",
    "cycle_shift",
    "group_time",
    "interval_matrix",
    "is_eager_torch",
    "linear",
    "mix_groups",
    "pad_zeros",
    "resize_frames",
    "shift_mix",
    "ungroup_time",
]
