"""Stage transition (section 3.1): a 3 x 3 window, stride 2, zero padding 1, in each time step."""

from reference.tubelet_embedding import tubelet_embedding


def stage_transition(x, weights):
    """(B, T, H, W, C) -> (B, T, ceil(H / 2), ceil(W / 2), filters): a window of one time step."""
    window = {"kernel": weights["kernel"][None], "bias": weights["bias"]}
    return tubelet_embedding(x, window, window=(1, 3, 3), strides=(1, 2, 2), padding=(0, 1, 1))
