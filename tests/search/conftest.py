"""Tiny videos, preset and recipe, made once."""

import pytest
from search.tiny import RECIPE, write_preset, write_videos

from keras_mlp3d.training import Recipe


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    return write_preset(tmp_path_factory.mktemp("preset") / "tiny")


@pytest.fixture(scope="session")
def recipe():
    return Recipe("unmeasured", "tiny", **RECIPE)
