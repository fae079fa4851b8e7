"""Ctrl-C as a wish that a training fulfils at the next good moment."""

import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """While it is entered, a first Ctrl-C or SIGTERM is only noted, and a second one kills.

    Called, it says whether one came.
    """

    def __init__(self):
        self._came, self._before = False, {}

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self._came

    def _note(self, number, frame):
        self._came = True
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_DFL)
