"""Which videos were found unreadable while clips were made, in this process or in another."""

import logging
from collections.abc import Iterator

from keras_mlp3d.data.datasets.manifest import Manifest

_logger = logging.getLogger("keras_mlp3d")

#: Of each row that was asked for: (that row, [(row that was unreadable, why, why in short)]). In
#: training there may be several, as an unreadable video is replaced.
Notes = list[tuple[int, list[tuple[int, str, str]]]]
#: The attribute of an error that has the notes of the clips that it prevented.
NOTES = "notes_of_clips"


class UnreadableNotes:
    """The unreadable videos of a manifest, as far as notes of them were taken.

    Clips are made ahead, and perhaps never asked for. So notes are made with them, and taken when
    they are: what is known then does not depend on how far threads happen to be.

    Args:
        manifest: `Manifest`.
        effect: What the warning says of such a video.

    Attributes: `reasons`, {name: why}; `failed`, {row: why in short} of the rows that were
        unreadable when they were asked for last; `lately`, the same of all that were unreadable
        since the attribute was last emptied.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> manifest = Manifest([VideoRow("a.mp4", 0), VideoRow("b.mp4", 0)], ["only"], "train")
    >>> found = UnreadableNotes(manifest, "is skipped")
    >>> found.take([(0, []), (1, [(1, "b.mp4 is empty", "empty")])])
    >>> found.reasons, found.failed
    ({'b.mp4': 'b.mp4 is empty'}, {1: 'empty'})
    """

    def __init__(self, manifest: Manifest, effect: str):
        self._manifest, self._effect = manifest, effect
        self.reasons: dict[str, str] = {}
        self.failed: dict[int, str] = {}
        self.lately: dict[int, str] = {}

    def take(self, notes: Notes) -> None:
        """Take notes, and warn of each video once."""
        failed = dict(failed_rows(notes))
        for asked, noted in notes:
            if asked not in failed:
                self.failed.pop(asked, None)
            for row, reason, short in noted:
                self.failed[row] = self.lately[row] = short
                self._warn(self._manifest.rows[row].name, reason)

    def _warn(self, name, reason):
        if self.reasons.setdefault(name, reason) is not reason:
            return
        number = _ordinal(1 + list(self.reasons).index(name))
        _logger.warning("%s; it %s, the %s video so far", reason, self._effect, number)


def failed_rows(notes: Notes) -> Iterator[tuple[int, str]]:
    """Yield the rows that were asked for and are unreadable, and why in short."""
    for asked, noted in notes:
        yield from ((row, short) for row, _, short in noted if row == asked)


def noted_error(row: int, error: Exception) -> tuple[int, str, str]:
    """Return the note of an error: the row, its text, and a text without the path."""
    text = str(error)
    short = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return row, text, short or text


def _ordinal(number):
    last = number % 100
    ending = "th" if 10 <= last <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
