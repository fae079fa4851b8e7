"""Checks of arguments that this room's modules share."""

import operator


def checked_whole(name, value, least=1, most=None):
    """`value` as an int from `least` to `most`, or an error that names it."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"`{name}` must be a whole number {span}, received {value!r}")
    return number
