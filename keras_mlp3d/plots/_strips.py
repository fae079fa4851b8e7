"""Frames of a video side by side, and places for them in a figure."""

import numpy as np


def axes_at(figure, left, bottom, width, height):
    """Returns axes without a frame at a place given in inches."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )
    axes.set_axis_off()
    return axes


def strip_of(clip, max_frames):
    """Joins evenly spaced frames of a clip (T, H, W, 3) side by side, thin gaps between them."""
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or 0 in clip.shape:
        raise ValueError(
            f"frames must hold uint8 clips (T, H, W, 3), got {clip.dtype} {clip.shape}."
        )
    count = min(max_frames, len(clip))
    chosen = (np.arange(count) + 0.5) * len(clip) / count
    gap = max(1, clip.shape[2] // 40)
    pieces = []
    for frame in clip[chosen.astype(int)]:
        pieces += [frame, np.full((clip.shape[1], gap, 3), 255, "uint8")]
    # Few frames leave the rest of the strip empty instead of growing, so that rows are alike.
    empty = (clip.shape[2] + gap) * (max_frames - count)
    pieces[-1] = np.full((clip.shape[1], empty, 3), 255, "uint8")
    return np.concatenate(pieces, axis=1)
