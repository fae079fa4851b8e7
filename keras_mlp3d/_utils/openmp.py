"""Has the threads of PyTorch on the CPU wait for each other asleep, so that it shares processors.

GCC's OpenMP, which PyTorch brings for Linux, has a thread that is ready before the others look for
their end 300,000 times before it sleeps. Where another program uses one of the processors, most
operations of a network then wait as long as that takes.

Source: `python benchmarks/fit_on_videos.py --beside 2`, with the variable and without.
"""

import os
import sys

VARIABLE = "GOMP_SPINCOUNT"
#: As many looks as that library takes itself where it knows of more threads than processors.
_LOOKS = 1000
#: What a user may have decided already, for this library or for all of its kind.
_DECISIONS = (VARIABLE, "OMP_WAIT_POLICY")


def let_waiting_threads_sleep() -> None:
    """Sets GOMP_SPINCOUNT for this process, before PyTorch is imported, unless it is decided."""
    if "torch" in sys.modules or any(name in os.environ for name in _DECISIONS):
        return
    os.environ[VARIABLE] = str(_LOOKS)
