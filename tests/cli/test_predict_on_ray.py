"""`predict --ray`: what it writes and says, and which options go together."""

import contextlib
import json
import sys

import pyarrow.parquet
import pytest
from fake_ray import FakeRay

from keras_mlp3d.inference import classify_dataset

pytestmark = pytest.mark.usefixtures("quick")

job_module = sys.modules[classify_dataset.__module__]


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    fake.asked = []

    def connected(address):
        fake.asked.append(address)
        return contextlib.nullcontext(fake)

    monkeypatch.setattr(job_module, "import_ray", lambda: fake)
    monkeypatch.setattr(job_module, "connected", connected)
    return fake


def rows_in(folder):
    return {row["path"]: row for row in pyarrow.parquet.read_table(folder).to_pylist()}


def test_the_scores_are_those_without_ray(run, presets, videos, ray, tmp_path):
    given = ["predict", videos, "--preset", presets / "clips", "--top-k", 2, "--size", 40]
    code, out, err = run(*given, "--ray", "auto", "--worker-cpus", 2, "--output", tmp_path / "new")
    assert (code, err) == (0, "keras-mlp3d: note: left out by their endings: 1 .txt\n")
    assert out.splitlines() == [
        "2 of 2 videos are classified, 2 of them now",
        f"the results are in {tmp_path / 'new'}",
    ]
    assert (ray.asked, ray.options["num_cpus"]) == (["auto"], 2)
    run(*given, "--output", tmp_path / "rows.jsonl")
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    expected = {row["path"]: row for row in map(json.loads, lines)}
    found = rows_in(tmp_path / "new")
    assert found.keys() == expected.keys()
    for path, row in found.items():
        assert row == {name: expected[path][name] for name in row}


def test_unreadable_videos_are_tried_again_by_the_same_command(run, presets, videos, ray, tmp_path):
    given = ["predict", videos / "b.mkv", tmp_path / "later.mkv", "--preset", presets / "clips"]
    given += ["--ray", "local", "--output", tmp_path / "scores"]
    code, out, err = run(*given)
    assert code == 2
    assert "unreadable: 1 of 2; the column `error` says why" in err
    assert "1 of 2 videos are classified, 2 of them now" in out
    (tmp_path / "later.mkv").write_bytes((videos / "b.mkv").read_bytes())
    code, out, err = run(*given)
    assert (code, err) == (0, "")
    assert "2 of 2 videos are classified, 1 of them now" in out
    assert len(rows_in(tmp_path / "scores")) == 2


def test_a_network_on_images_gets_clips_as_without_ray(run, presets, videos, ray, tmp_path):
    code, _, _ = run(
        *("predict", videos, "--preset", presets / "frames", "--frames", 4, "--size", 32),
        *("--ray", "local", "--output", tmp_path / "scores"),
    )
    assert code == 0
    assert len(rows_in(tmp_path / "scores")) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "local"], "--ray needs --output FOLDER"),
        (["--ray", "local", "--output", "o", "--plot", "a.png"], "--plot and --ray exclude"),
        (["--ray", "local", "--output", "o", "--json"], "--json and --ray exclude"),
        (["--ray", "local", "--output", "o", "--window", "2"], "--window and --ray exclude"),
        (["--worker-cpus", "2"], "--worker-cpus needs --ray ADDRESS"),
        (["--worker-gpus", "1"], "--worker-gpus needs --ray ADDRESS"),
        (["--ray-workers", "1"], "--ray-workers needs --ray ADDRESS"),
        (["--part-size", "1"], "--part-size needs --ray ADDRESS"),
        (["--worker-cpus", "0"], "expected a number above 0, got '0'"),
        (["--worker-gpus", "some"], "expected a number above 0, got 'some'"),
    ],
)
def test_options_that_mean_nothing_together(
    run, presets, videos, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("predict", videos, "--preset", presets / "clips", *options)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_without_ray_one_line_says_how_to_get_it(run, presets, videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = ("--ray", "local", "--output", tmp_path / "scores")
    code, out, err = run("predict", videos, "--preset", presets / "clips", *given)
    assert (code, out) == (1, "")
    assert err == "keras-mlp3d: error: Ray is not installed: pip install 'keras-mlp3d[ray]'\n"
