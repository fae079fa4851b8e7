"""Checks of arguments that this room's modules share."""

import operator


def checked_whole(name, value, least=1):
    """`value` as an int of at least `least`, or an error that names it."""
    try:
        if isinstance(value, bool) or operator.index(value) < least:
            raise TypeError
    except TypeError:
        raise ValueError(
            f"`{name}` must be a whole number of at least {least}, received {value!r}"
        ) from None
    return operator.index(value)
