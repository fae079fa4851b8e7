"""Motion shapes: generated videos whose class is the order of two events.

A textured shape rests, then performs two events one after the other, in front of a still
background. Each event begins and ends at rest and fills whole groups of four frames, the tubelets
of the network. The clips "a_then_b" and "b_then_a" of a scene therefore have exactly the same
tubelets in another order: a network that mixes no time gives the same answer for both, so its
accuracy is at most one half.

The rest at the start is needed for the kinds of time mixing that roll (shift-window and
shift-token). Without it, one order would be the other, rolled by half a clip, and the network could
not distinguish them. With 32 frames (8 tubelets: 2 of rest, 3 and 3), every kind with a group size
of 2 or more can.
"""

from keras_mlp3d.data.datasets.motion_shapes.clips import (
    make_clips,
    render_clip,
    render_together,
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
    "render_together",
    "write_motion_shapes",
)
