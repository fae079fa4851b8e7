"""Configurations of the augmentation steps, and checks of ranges."""

import dataclasses
from typing import Any, Self

from keras_mlp3d._utils.checks import check_number


class Configured:
    """Gives a frozen dataclass `get_config` and `from_config`."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as values that JSON knows."""
        return {field.name: _plain(getattr(self, field.name)) for field in _fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return an object from the result of `get_config`. Unknown keys are an error."""
        known = [field.name for field in _fields(cls)]
        if not isinstance(config, dict):
            raise ValueError(
                f"config of {cls.__name__} must be a dict with the keys {known}, got {config!r}."
            )
        unknown = sorted(set(config) - set(known), key=str)
        if unknown:
            raise ValueError(f"{cls.__name__} has no {unknown}; its arguments are {known}.")
        return cls(**config)

    def _set(self, **values):
        """Set fields of the frozen object while it is constructed."""
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


def checked_ratio(name: str, value: Any) -> tuple[float, float]:
    """Return `value` as the smallest and the largest ratio of a picture's width to its height."""
    return checked_range(name, value, minimum=0.01, maximum=100)


def checked_range(name: str, value: Any, **bounds: float) -> tuple[float, float]:
    """Return `value` as a tuple of two floats, (smallest, largest), within bounds.

    Args:
        name: Name of the argument.
        value: What the caller passed.
        **bounds: Those of `check_number`, for both numbers.
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name} must be two numbers (smallest, largest), got {value!r}.")
    low, high = (float(check_number(name, number, **bounds)) for number in value)
    if low > high:
        raise ValueError(f"{name} must be (smallest, largest), got {value!r}.")
    return low, high


class ConfiguredMix(Configured):
    """Base of steps that mix the clips of a batch: how much, by `alpha`, and how probably."""

    def __post_init__(self):
        self._set(
            alpha=float(check_number("alpha", self.alpha, above=0, maximum=1000)),
            probability=float(check_number("probability", self.probability, 0, 1)),
        )
