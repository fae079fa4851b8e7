"""Argument checks that several layers share."""


def check_positive_integer(name, value):
    """Returns `value` if it is an integer of at least 1; raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    return value


def check_positive(name, value):
    """Returns `value` if it is a number above 0; raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be a number above 0, got {value!r}.")
    return value


def check_integers(name, value, length, minimum):
    """Returns `value` as a tuple of `length` integers of at least `minimum`."""
    try:
        values = tuple(value)
    except TypeError:
        values = ()
    integers = all(isinstance(v, int) and not isinstance(v, bool) and v >= minimum for v in values)
    if len(values) != length or not integers:
        raise ValueError(f"{name} must be {length} integers of at least {minimum}, got {value!r}.")
    return values


def check_tokens(layer, shape, what="tokens (B, T, H, W, C)"):
    """Refuses a shape that is not of rank 5 with a known number of channels."""
    if len(shape) != 5 or shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} expects {what} with a known number of channels, "
            f"got shape {tuple(shape)}."
        )
