import pathlib

import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture
def golden():
    """Loads a file of golden values by name, without its ending."""
    return lambda name: np.load(GOLDEN / f"{name}.npz")


@pytest.fixture
def rng():
    return np.random.default_rng(11)
