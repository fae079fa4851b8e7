"""Tubelet embedding (section 3.1): one dot product for each window and filter."""

import numpy as np


def tubelet_embedding(clip, weights, window=(4, 7, 7), strides=(4, 4, 4), padding=(0, 2, 2)):
    """(B, T, H, W, C) -> (B, T', H', W', filters); kernel (frames, rows, columns, C, filters)."""
    kernel, bias = weights["kernel"], weights["bias"]
    padded = np.pad(clip, [(0, 0), *((pad, pad) for pad in padding), (0, 0)])
    counts = [
        (length - size) // stride + 1
        for length, size, stride in zip(padded.shape[1:4], window, strides, strict=True)
    ]
    tokens = np.empty((clip.shape[0], *counts, kernel.shape[-1]))
    for sample, *place in np.ndindex(clip.shape[0], *counts):
        inside = tuple(
            slice(index * stride, index * stride + size)
            for index, stride, size in zip(place, strides, window, strict=True)
        )
        pixels = padded[(sample, *inside)]
        tokens[(sample, *place)] = np.tensordot(pixels, kernel, axes=4) + bias
    return tokens
