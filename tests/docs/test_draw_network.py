"""`docs/draw_network.py` draws what the layers compute: the groups against the slow twin."""

import importlib.util

import numpy as np
import pytest
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers.time_mixing import GROUPED_KINDS, KINDS


@pytest.fixture(scope="module")
def module(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "draw_network.py"
    spec = importlib.util.spec_from_file_location("draw_network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tokens", "size"), [(8, 4), (6, 3)])
def test_which_token_reads_which_is_that_of_the_twin(module, kind, tokens, size):
    matrix = module.intervals(kind, tokens, size)
    expected = np.full((tokens, tokens), np.nan)
    if kind == "shift_token":
        for output in range(tokens):
            for steps in range(size):
                expected[output, (output - steps) % tokens] = steps
    else:
        for members in twin.groups(kind, size, tokens):
            for place_out, output in enumerate(members):
                for place_in, token in enumerate(members):
                    expected[output, token] = place_out - place_in
    np.testing.assert_array_equal(matrix, expected)
    if kind in GROUPED_KINDS:
        assert len(set(module.groups(matrix))) == tokens // size


def test_every_picture_of_the_pages_is_drawn(module, pytestconfig, tmp_path):
    module.main(["--to", str(tmp_path)])
    docs = pytestconfig.rootpath / "docs"
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (docs / "pictures").iterdir()}
    text = "".join(path.read_text(encoding="utf-8") for path in docs.glob("*.md"))
    for name in drawn:
        assert f"](pictures/{name})" in text, name
        assert "<svg" in (tmp_path / name).read_text(encoding="utf-8")
