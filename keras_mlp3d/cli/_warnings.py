"""Warnings of the package, which name files, as single lines that cannot steer a terminal."""

import contextlib
import logging
import sys

from keras_mlp3d.cli.common import PROGRAM, one_line


@contextlib.contextmanager
def warnings_as_lines(before=None):
    """While it is entered, prints what the package logs as lines on standard error.

    Args:
        before: None, or a function that is called before each line, such as one that clears a bar.
    """
    logger = logging.getLogger("keras_mlp3d")
    handler, propagate = _Lines(before), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Lines(logging.Handler):
    def __init__(self, before):
        super().__init__(logging.WARNING)
        self._before = before

    def emit(self, record):
        if self._before is not None:
            self._before()
        level = record.levelname.lower()
        print(f"{PROGRAM}: {level}: {one_line(record.getMessage())}", file=sys.stderr, flush=True)
