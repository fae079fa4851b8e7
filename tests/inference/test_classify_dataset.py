"""A large job without a cluster: the rows it writes, what it refuses, and videos that kill.

`tests/ray` runs it on a cluster, with workers that are killed.
"""

import contextlib
import os
import sys

import pyarrow.parquet
import pytest
from data.make_videos import moving_frames, write_lossless
from fake_ray import FakeRay
from search.tiny import write_preset

from keras_mlp3d import MLP3D, hub
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.inference import (
    DatasetScores,
    classify,
    classify_dataset,
    score_views,
)
from keras_mlp3d.inference import dataset_worker as worker_module

job_module = sys.modules[classify_dataset.__module__]  # its function has the same name


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return write_preset(tmp_path_factory.mktemp("preset") / "tiny")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five videos, the third of them broken."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(5):
        write_lossless(folder / f"{number}.mkv", moving_frames(16 + number, 40 + 4 * number, 48))
    (folder / "2.mkv").write_bytes(b"no video")
    return [str(folder / f"{number}.mkv") for number in range(5)]


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.setattr(job_module, "import_ray", lambda: fake)
    monkeypatch.setattr(job_module, "connected", lambda address: contextlib.nullcontext(fake))
    return fake


def rows_in(folder):
    rows = pyarrow.parquet.read_table(folder).to_pylist()
    for row in rows:
        assert row.pop("folder") == (None if os.path.isabs(row["path"]) else os.getcwd())
    return {row.pop("path"): row for row in rows}


def expected(preset, videos, **options):
    model = MLP3D.from_preset(preset)
    return {
        found.path: {
            "labels": list(found.labels),
            "scores": list(found.scores),
            "error": found.error or None,
        }
        for found in classify(model, videos, on_error="report", **options)
    }


def test_the_rows_are_those_of_classify(ray, preset, videos, tmp_path):
    done = []
    options = {"clips": 2, "crops": 2, "top_k": 2, "batch_size": 3}
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    found = classify_dataset(
        [*videos, "absent.mp4"],
        preset,
        tmp_path / "scores",
        converter=converter,
        cpus_per_worker=2,
        workers=1,
        progress=lambda *state: done.append(state),
        **options,
    )
    rows = rows_in(tmp_path / "scores")
    assert rows == expected(preset, [*videos, "absent.mp4"], converter=converter, **options)
    assert rows[videos[2]]["error"]
    assert found == DatasetScores(str(tmp_path / "scores"), 6, 2, 6)
    assert done == [(2, 6), (4, 6), (6, 6)]
    environment = ray.options["runtime_env"]["env_vars"]
    assert environment["KERAS_BACKEND"] == os.environ["KERAS_BACKEND"]
    assert (environment["OMP_NUM_THREADS"], ray.options["num_cpus"]) == ("2", 2)


def test_parts_of_videos(ray, preset, videos, tmp_path):
    rows = [VideoRow(videos[0], 0, start=0.5, end=1.5), VideoRow(videos[0], 0), videos[1]]
    manifest = Manifest([*rows[:2], VideoRow(videos[1], 0)], ["run"], "train")
    classify_dataset(manifest, preset, tmp_path)
    table = pyarrow.parquet.read_table(tmp_path).to_pylist()
    spans = {(row["path"], row["start"], row["end"]): row["scores"] for row in table}
    assert set(spans) == {
        *((videos[0], 0.5, 1.5), (videos[0], None, None)),
        (videos[1], None, None),
    }
    model = MLP3D.from_preset(preset)
    views = model.converter.read(videos[0], crops=3, start=0.5, end=1.5).frames
    scores = sorted(score_views(model, views).mean(axis=0), reverse=True)
    assert spans[videos[0], 0.5, 1.5] == scores


def test_it_resumes_and_scores_nothing_twice(ray, preset, videos, tmp_path, monkeypatch):
    read = []
    real = worker_module.views_or_reason

    def reading(path, *arguments, **options):
        read.append(path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(worker_module, "views_or_reason", reading)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify_dataset(videos, preset, tmp_path, part_size=1, progress=stop)
    assert len(rows_in(tmp_path)) == 2
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("part-")}
    assert names == {"_settings.json", "_lock"}
    found = classify_dataset([*videos, videos[0]], preset, tmp_path, part_size=1)
    assert found == DatasetScores(str(tmp_path), 5, 1, 3)
    assert sorted(read) == videos
    assert rows_in(tmp_path) == expected(preset, videos)
    assert classify_dataset(videos, preset, tmp_path) == DatasetScores(str(tmp_path), 5, 1, 0)
    assert sorted(read) == videos
    again = classify_dataset(videos, preset, tmp_path, retry_errors=True)
    assert again == DatasetScores(str(tmp_path), 5, 1, 1)
    assert read[5:] == [videos[2]]
    # Another call keeps the rows with an error of videos that it does not name.
    other = classify_dataset(videos[:1], preset, tmp_path, retry_errors=True)
    assert other == DatasetScores(str(tmp_path), 5, 1, 0)
    assert rows_in(tmp_path) == expected(preset, videos)


def test_relative_paths_are_read_from_here_and_written_as_given(
    ray, preset, videos, tmp_path, monkeypatch
):
    monkeypatch.chdir(os.path.dirname(videos[0]))
    monkeypatch.setattr(
        worker_module, "views_or_reason", _elsewhere(worker_module.views_or_reason, tmp_path)
    )
    classify_dataset(["0.mkv"], preset, tmp_path / "scores")
    assert rows_in(tmp_path / "scores")["0.mkv"]["error"] is None


def _elsewhere(read, folder):
    """A worker's working folder is another one."""

    def reading(*arguments, **options):
        with contextlib.chdir(folder):
            return read(*arguments, **options)

    return reading


def test_other_weights_under_the_same_name_are_noticed(ray, preset, videos, tmp_path):
    copy = tmp_path / "preset"
    model = MLP3D.from_preset(preset)
    model.save_to_preset(copy)
    classify_dataset(videos[:1], copy, tmp_path / "scores")
    for weight in model.weights:
        weight.assign(weight + 1)
    model.save_to_preset(copy)
    with pytest.raises(ValueError, match="other settings: digest"):
        classify_dataset(videos, copy, tmp_path / "scores")


def test_an_error_of_the_network_ends_the_job_with_its_words(ray, preset, videos, tmp_path):
    copy = tmp_path / "preset"
    model = MLP3D.from_preset(preset)
    model.weights[-1].assign(model.weights[-1] * float("nan"))
    model.save_to_preset(copy)
    with pytest.raises(ValueError, match="outputs that are not finite"):
        classify_dataset(videos, copy, tmp_path / "scores")
    assert not list((tmp_path / "scores").glob("part-*"))


def test_a_worker_whose_preset_is_another_one_says_so(ray, preset, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "preset_digest", lambda *arguments: "another")
    with pytest.raises(ValueError, match="is another one on the machine of a worker"):
        classify_dataset(videos, preset, tmp_path)


def test_a_lost_unit_is_no_silent_loss(ray, preset, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(job_module, "_scored", lambda *arguments: iter([(3, 0)]))
    with pytest.raises(RuntimeError, match=r"2 of 5 videos have no row .* the same call"):
        classify_dataset(videos, preset, tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clips": 0}, "clips must be a positive integer, got 0"),
        ({"part_size": 0}, "part_size must be a positive integer"),
        ({"workers": 1.5}, "workers must be a positive integer, got 1.5"),
        ({"cpus_per_worker": 0}, "cpus_per_worker must be a number above 0, got 0"),
        ({"gpus_per_worker": -1}, "gpus_per_worker must be a number of at least 0"),
        ({"retry_errors": 1}, "retry_errors must be True or False, got 1"),
        ({"preset": "mlp3d_nano"}, "preset must have weights; 'mlp3d_nano' is an architecture"),
        ({"converter": 3}, r"converter must be a data\.VideoConverter, .*, got int"),
        ({"paths_or_manifest": []}, "paths_or_manifest has no video"),
    ],
)
def test_what_is_refused_before_anything_is_written(ray, preset, tmp_path, options, words):
    given = {"paths_or_manifest": ["a.mp4"], "preset": preset, "output": tmp_path / "scores"}
    with pytest.raises(ValueError, match=words):
        classify_dataset(**{**given, **options})
    assert not (tmp_path / "scores").exists()


def test_presets_without_classes_or_converter(ray, preset, tmp_path):
    model = MLP3D.from_preset(preset)
    model.backbone.save_to_preset(tmp_path / "backbone")
    with pytest.raises(ValueError, match=r"must be a network with classes, .* a MLP3DBackbone"):
        classify_dataset(["a.mp4"], tmp_path / "backbone", tmp_path / "scores")
    (hub.read_preset(preset).folder / "video_converter.json").rename(tmp_path / "kept")
    try:
        with pytest.raises(ValueError, match=r"must have a converter .* pass converter="):
            classify_dataset(["a.mp4"], preset, tmp_path / "scores")
    finally:
        (tmp_path / "kept").rename(preset / "video_converter.json")


def test_without_ray_one_line_says_how_to_get_it(preset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError) as caught:
        classify_dataset(["a.mp4"], preset, tmp_path / "scores")
    assert str(caught.value) == "Ray is not installed: pip install 'keras-mlp3d[ray]'"
    assert not (tmp_path / "scores").exists()


class Died(BaseException):
    """What stands for a killed process: nothing catches it."""


def test_a_video_that_kills_its_workers_gets_a_row(ray, preset, videos, tmp_path, monkeypatch):
    """As Ray does: another worker gets the same unit, until one returns."""
    real, deaths = worker_module.views_or_reason, []

    def reading(path, *arguments, **options):
        if path == videos[1]:
            deaths.append(path)
            raise Died
        return real(path, *arguments, **options)

    class Restarted:
        def __init__(self, job):
            self._job = job

        def __call__(self, batch):
            while True:
                with contextlib.suppress(Died):
                    return worker_module.DatasetWorker(self._job)(batch)

    monkeypatch.setattr(worker_module, "views_or_reason", reading)
    monkeypatch.setattr(job_module, "DatasetWorker", Restarted)
    monkeypatch.setattr(job_module, "unit_size", lambda *arguments: 5)
    found = classify_dataset(videos, preset, tmp_path)
    assert found == DatasetScores(str(tmp_path), 5, 2, 5)
    rows = rows_in(tmp_path)
    assert rows[videos[1]]["error"] == "the worker that read it died, 2 times in a row"
    assert len(deaths) == 3
    others = [videos[0], *videos[2:]]
    assert {path: rows[path] for path in others} == expected(preset, others)


def test_a_part_that_was_written_before_its_worker_died_is_kept(
    ray, preset, videos, tmp_path, monkeypatch
):
    class AfterDeath(worker_module.DatasetWorker):
        def __call__(self, batch):
            super().__call__(batch)  # and the answer is lost
            monkeypatch.setattr(worker_module, "views_or_reason", None)
            return super().__call__(batch)

    monkeypatch.setattr(job_module, "DatasetWorker", AfterDeath)
    monkeypatch.setattr(job_module, "unit_size", lambda *arguments: 5)
    assert classify_dataset(videos, preset, tmp_path) == DatasetScores(str(tmp_path), 5, 1, 5)
