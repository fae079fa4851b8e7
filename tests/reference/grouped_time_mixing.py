"""Grouped time mixing (section 3.3), group by group and pair of tokens by pair of tokens."""

import numpy as np


def groups(kind, size, time):
    """The tokens' times, group by group, in the order of their places.

    "shift_window" groups consecutive tokens after every token moved S // 2 later, circularly: the
    place p of the rolled sequence holds the token of time p - S // 2.
    """
    if kind == "full":
        return [list(range(time))]
    count = time // size
    if kind == "short_range":
        return [[g * size + place for place in range(size)] for g in range(count)]
    if kind == "long_range":
        return [[g + place * count for place in range(size)] for g in range(count)]
    if kind == "shift_window":
        moved = size // 2
        return [[(g * size + place - moved) % time for place in range(size)] for g in range(count)]
    raise ValueError(kind)


def shared(x, kind, size, w, bias):
    """Eq. (5): `w(delta)` gives the matrix of tokens delta = output place - input place apart."""
    time = x.shape[1]
    y = np.zeros_like(x) + bias
    if kind == "shift_token":
        for t in range(time):
            for i in range(size):
                y[:, t] += x[:, (t - i) % time] @ w(i)
        return y
    for members in groups(kind, size, time):
        for place_out, t_out in enumerate(members):
            for place_in, t_in in enumerate(members):
                y[:, t_out] += x[:, t_in] @ w(place_out - place_in)
    return y


def unshared(x, kind, size, matrix, bias):
    """Eqs. (3) and (4): tokens side by side in the order of their places, times one matrix."""
    time, channels = x.shape[1], x.shape[-1]
    y = np.zeros_like(x)
    if kind == "shift_token":
        for t in range(time):
            row = np.concatenate([x[:, (t - i) % time] for i in range(size)], axis=-1)
            y[:, t] = row @ matrix + bias
        return y
    for members in groups(kind, size, time):
        row = np.concatenate([x[:, t] for t in members], axis=-1)
        mixed = row @ matrix + bias
        for place, t in enumerate(members):
            y[:, t] = mixed[..., place * channels : (place + 1) * channels]
    return y


def grouped_time_mixing(x, weights, kind, size, share_weights=True, max_group_size=None):
    """(B, T, H, W, C) -> the same shape, from the layer's own arrays."""
    size = x.shape[1] if kind == "full" else size
    kernel, bias = weights["kernel"], weights.get("bias", 0.0)
    if not share_weights:
        return unshared(x, kind, size, kernel, bias)
    if max_group_size is not None:
        first = 1 - max_group_size
    else:
        first = 0 if kind == "shift_token" else 1 - size
    return shared(x, kind, size, lambda delta: kernel[delta - first], bias)
