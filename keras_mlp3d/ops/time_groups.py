"""How grouped time mixing gathers tokens: the kinds of grouping, and their inverses.

Source: section 3.3 and Algorithm 1.
"""

from keras import ops

#: Kinds that cut the tokens in time into T' / S groups of S.
GROUPED_KINDS = ("short_range", "long_range", "shift_window")
#: Every kind of time mixing: the three above, circularly shifted tokens, and Eq. (3).
KINDS = (*GROUPED_KINDS, "shift_token", "full")


def check_group_size(kind, group_size, time=None):
    """Refuses an unknown kind, and a group size that does not fit the tokens in time.

    Args:
        kind: One of `KINDS`.
        group_size: Group size S >= 1; None for "full" alone.
        time: Number of tokens in time T', or None where it is not known yet.

    Raises:
        ValueError: If the kind is unknown, S is no positive integer, or T' is not divisible by S
            (all kinds but "shift_token"); the message lists the sizes that would do.

    Example:

    >>> check_group_size("long_range", 3, time=8)
    Traceback (most recent call last):
    ...
    ValueError: group_size=3 of kind 'long_range' does not divide 8 tokens in time; sizes that \
do: 1, 2, 4, 8.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind of time mixing {kind!r}; expected one of {list(KINDS)}.")
    if kind == "full":
        if group_size is not None:
            raise ValueError(
                f"kind='full' mixes all tokens: group_size must be None, got {group_size!r}."
            )
        return
    if isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 1:
        raise ValueError(
            f"group_size must be a positive integer for kind {kind!r}, got {group_size!r}."
        )
    if kind in GROUPED_KINDS and time is not None and time % group_size:
        sizes = ", ".join(str(s) for s in range(1, time + 1) if time % s == 0)
        raise ValueError(
            f"group_size={group_size} of kind {kind!r} does not divide {time} tokens in time; "
            f"sizes that do: {sizes}."
        )


def group_time(x, kind, group_size):
    """Lays the tokens of each temporal group side by side in the channels.

    Args:
        x: Tokens (B, T', H', W', C), T' divisible by S.
        kind: "short_range" (consecutive tokens), "long_range" (tokens T'/S apart) or
            "shift_window" (short-range on tokens rolled by S // 2 in time).
        group_size: Group size S.

    Returns:
        Tensor (B, T'/S, H', W', S * C); the place of a token in its group is the outer index of
        the last axis.

    Example:

    >>> x = np.arange(4.0).reshape(1, 4, 1, 1, 1)
    >>> np.array(group_time(x, "long_range", 2)).reshape(2, 2).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    batch, time, height, width, channels = ops.shape(x)
    groups = time // group_size
    if kind == "shift_window":
        x = ops.roll(x, group_size // 2, axis=1)
    if kind == "long_range":
        x = ops.reshape(x, (batch, group_size, groups, height, width, channels))
        x = ops.transpose(x, (0, 2, 3, 4, 1, 5))
    else:
        x = ops.reshape(x, (batch, groups, group_size, height, width, channels))
        x = ops.transpose(x, (0, 1, 3, 4, 2, 5))
    return ops.reshape(x, (batch, groups, height, width, group_size * channels))


def ungroup_time(x, kind, group_size):
    """Puts grouped tokens back in their places: the inverse of `group_time`.

    Args:
        x: Tensor (B, T'/S, H', W', S * C).
        kind: The kind that grouped it.
        group_size: Group size S.

    Returns:
        Tokens (B, T', H', W', C).

    Example:

    >>> x = np.arange(16.0).reshape(1, 8, 1, 1, 2)
    >>> y = ungroup_time(group_time(x, "shift_window", 4), "shift_window", 4)
    >>> bool((np.array(y) == x).all())
    True
    """
    batch, groups, height, width, channels = ops.shape(x)
    channels = channels // group_size
    x = ops.reshape(x, (batch, groups, height, width, group_size, channels))
    if kind == "long_range":
        x = ops.transpose(x, (0, 4, 1, 2, 3, 5))
    else:
        x = ops.transpose(x, (0, 1, 4, 2, 3, 5))
    x = ops.reshape(x, (batch, groups * group_size, height, width, channels))
    if kind == "shift_window":
        x = ops.roll(x, -(group_size // 2), axis=1)
    return x
