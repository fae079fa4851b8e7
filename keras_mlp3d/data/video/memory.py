"""FOR THE LEAD: stands in for what `sources` will hold; to be removed once it does."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Frames in memory, with a rate and a name."""

    frames: object
    fps: float | None = None
    name: str = "frames"


@dataclasses.dataclass(frozen=True)
class LazySource:
    """A source that is opened when it is read."""

    name: str
    load: Callable


def source_name(source):
    """What messages call a source."""
    if isinstance(source, (Frames, LazySource)):
        return source.name
    return "bytes" if isinstance(source, bytes) else "frames"
