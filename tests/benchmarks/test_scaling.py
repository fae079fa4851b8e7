"""`benchmarks/scaling.py`: the arithmetic of its estimates, and a short run."""

import importlib.util

import pytest


@pytest.fixture
def scaling(root_dir, monkeypatch):
    monkeypatch.syspath_prepend(root_dir / "benchmarks")
    path = root_dir / "benchmarks" / "scaling.py"
    spec = importlib.util.spec_from_file_location("scaling", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_estimates_by_hand(scaling):
    assert scaling.training_hours(0.5, 1.5, 3600, machines=1, cores=2) == 1.0
    assert scaling.training_hours(0.5, 1.5, 3600, machines=4, cores=2) == 0.25
    assert scaling.scoring_hours(1.0, 0.5, views=12, count=3600, machines=1, cores=7) == 1.0
    assert scaling.fed_training(0.1, 7200, rate=1.0, devices=2) == (1.0, 0.2)


def test_what_the_document_says_follows_from_its_rates(scaling, root_dir):
    text = (root_dir / "docs" / "scaling.md").read_text(encoding="utf-8")
    clips = scaling.TRAINING_VIDEOS * 32
    assert f"{clips:,} x (0.118 + 2.458) s" in text
    hours = [scaling.training_hours(0.118, 2.458, clips, n, 32) for n in (1, 8, 64)]
    assert f"| {hours[0]:.0f} h | {hours[1]:.0f} h | {hours[2]:.1f} h |" in text
    for read, views in ((0.112, 3), (0.189, 12)):
        hours = [scaling.scoring_hours(read, 0.779, views, 10**6, n, 32) for n in (1, 8, 64)]
        cells = text.split(f"({read} + {views} x 0.779) s |")[1].split("|")[:3]
        for said, value in zip(cells, hours, strict=True):
            assert float(said.replace("h", "")) == pytest.approx(value, rel=0.01, abs=0.06)


def test_a_short_run(scaling, capsys):
    scaling.FRAMES, scaling.SIZE = 8, (36, 48)
    scaling.main(
        [
            *("--recipe", "motion_shapes", "--preset", "mlp3d_nano", "--videos", "2"),
            *("--batch-size", "1", "--rounds", "1", "--step-rate", "50"),
        ]
    )
    out = capsys.readouterr().out
    for words in ("a training step ", "machines of 32 cores", "cores that read", "4 clips x 3"):
        assert words in out
