"""Arguments as plain JSON values, and the checks that all of them share."""

import dataclasses
import math


class Configured:
    """Gives a frozen dataclass `get_config` and `from_config`."""

    def get_config(self):
        """The arguments as JSON-ready values; `from_config` takes them back."""
        return {field.name: _plain(getattr(self, field.name)) for field in _fields(self)}

    @classmethod
    def from_config(cls, config):
        """An object from what `get_config` gave; a key it does not know is an error."""
        known = [field.name for field in _fields(cls)]
        if not isinstance(config, dict):
            raise ValueError(
                f"the config of {cls.__name__} must be a dict with the keys {known}, "
                f"got {config!r}."
            )
        unknown = sorted(set(config) - set(known), key=str)
        if unknown:
            raise ValueError(f"{cls.__name__} has no {unknown}; its arguments are {known}")
        return cls(**config)

    def _set(self, **values):
        """Sets fields of the frozen object while it is made."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _fields(configured):
    return dataclasses.fields(configured)


def _plain(value):
    if isinstance(value, Configured):
        return value.get_config()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def checked_number(name, value, least=-math.inf, most=math.inf, above=None):
    """`value` as a finite float from `least` to `most`, and over `above` where that is given."""
    text = f"from {least:g} to {most:g}"
    if above is not None:
        text = f"above {above:g}" + ("" if most == math.inf else f" and at most {most:g}")
    elif most == math.inf:
        text = f"of at least {least:g}"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if (
        not is_number
        or not math.isfinite(value)
        or not least <= value <= most
        or (above is not None and value <= above)
    ):
        raise ValueError(f"{name} must be a finite number {text}, got {value!r}.")
    return float(value)


def checked_ratio(name, value):
    """`value` as the least and the most of a picture's width divided by its height."""
    return checked_range(name, value, 0.01, 100)


def checked_range(name, value, least=None, most=math.inf):
    """`value` as a tuple of two rising floats above 0, from `least` and at most `most`."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{name} must be two numbers (least, most), got {value!r}.")
    bounds = {"above": 0} if least is None else {"least": least}
    low, high = (checked_number(name, number, most=most, **bounds) for number in value)
    if low > high:
        raise ValueError(f"{name} must not fall: (least, most), got {value!r}.")
    return low, high


class ConfiguredMix(Configured):
    """Base of what mixes the clips of a batch: how much, by `alpha`, and with what probability."""

    def __post_init__(self):
        self._set(
            alpha=checked_number("alpha", self.alpha, above=0, most=1000),
            probability=checked_number("probability", self.probability, 0, 1),
        )
