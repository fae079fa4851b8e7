"""Motion shapes: generated videos in which only the order of two events tells the class.

A textured shape rests, then performs two events one after the other, before a still background.
Every event begins and ends at rest and fills whole groups of four frames, the tubelets of the
network. So the clip "a_then_b" and the clip "b_then_a" of one scene hold exactly the same tubelets
in another order: a network which mixes no time gives both the same answer and is right on one half
of them at most, whatever it learns.

The rest at the start is there for the rolled kinds of time mixing (shift-window and shift-token):
without it one order would be the other rolled by half a clip, and they could not tell them apart.
At 32 frames (8 tubelets: 2 of rest, 3 and 3) every kind with a group size of 2 or more can.
"""

from keras_mlp3d.data.datasets.motion_shapes.clips import (
    make_clips,
    render_clip,
    write_motion_shapes,
)
from keras_mlp3d.data.datasets.motion_shapes.plan import (
    CLASS_NAMES,
    EVENTS,
    EXTRA_CLASS_NAMES,
    EXTRA_EVENTS,
    SPLITS,
)

__all__ = (
    "CLASS_NAMES",
    "EVENTS",
    "EXTRA_CLASS_NAMES",
    "EXTRA_EVENTS",
    "SPLITS",
    "make_clips",
    "render_clip",
    "write_motion_shapes",
)
