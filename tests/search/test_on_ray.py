"""Trainings as tasks of Ray, in this process: what is submitted, what comes back, how they stop.

`tests/ray` trains on a cluster, and compares with trainings without it.
"""

import contextlib
import json
import sys
import types

import pytest
from fake_ray import FakeRay

from keras_mlp3d.data import read_manifest
from keras_mlp3d.search import Network, Trainer, compare, on_ray
from keras_mlp3d.training import TrainingInterrupted

module = sys.modules[on_ray.__module__]


class Toy:
    """A trainer of numbers: what a worker does is `train`."""

    def __init__(self, folder):
        self.folder, self.stop = folder, None

    def gmacs(self, schedule):
        return float(len(schedule))

    def run_folder(self, schedule, seed):
        return self.folder / f"{schedule.replace('same as ', '')}-{seed}"


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay((3, 0))
    monkeypatch.setattr(module, "connected", lambda address: contextlib.nullcontext(fake))
    monkeypatch.setattr(module, "_arguments", lambda trainer: {})
    return fake


@pytest.fixture
def began(monkeypatch):
    """What the workers were given, in turn; results as `results` says, or 0.5."""
    began = types.SimpleNamespace(jobs=[], results={})

    def train(job, options, schedule, seed):
        began.jobs.append((schedule, seed))
        return began.results.get((schedule, seed), ("done", 0.5))

    monkeypatch.setattr(module, "_train", train)
    return began


def test_a_comparison_takes_the_results_of_the_workers(ray, began, tmp_path):
    began.results = {("a", 1): ("done", 0.25)}
    networks = [Network("A", "a"), Network("B", "bb"), Network("searched", "same as a")]
    jobs = [(network.schedule, seed) for network in networks for seed in (0, 1)]
    with on_ray(Toy(tmp_path / "runs"), jobs, cpus_per_worker=1.5) as trainer:
        assert len(ray.tasks) == 2  # as many as there are CPUs for
        rows = compare(networks, trainer, (0, 1), tmp_path / "comparison.json")
    assert [row.accuracies for row in rows] == [(0.5, 0.25), (0.5, 0.5), (0.5, 0.25)]
    assert [row.gmacs for row in rows] == [1, 2, 9]
    assert len(began.jobs) == len(set(began.jobs)) == 4  # equal networks are trained once
    assert json.loads((tmp_path / "comparison.json").read_text())["seeds"] == [0, 1]
    assert (ray.options["num_cpus"], ray.options["max_calls"]) == (1.5, 1)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_error_of_a_training_ends_the_others_with_a_checkpoint(ray, began, tmp_path):
    began.results = {("a", 0): ("ValueError", "the recipe was another one")}
    seen = []

    def train(job, options, schedule, seed):
        seen.append((schedule, module.os.path.exists(job["stop"])))
        return began.results.get((schedule, seed), ("interrupted", "Stopped."))

    module._train, before = train, module._train
    try:
        with (
            pytest.raises(ValueError, match="a-0: the recipe was another one"),
            on_ray(Toy(tmp_path), [(name, 0) for name in "abcdefgh"]) as trainer,
        ):
            trainer("a")
    finally:
        module._train = before
    assert seen == [("a", False), ("b", True), ("c", True), ("d", True)]  # the others never began
    assert list(tmp_path.iterdir()) == []


def test_asked_to_stop(ray, began, tmp_path):
    toy = Toy(tmp_path)
    toy.stop = lambda: len(began.jobs) >= 2
    with (
        pytest.raises(TrainingInterrupted, match="Stopped after 2 trainings"),
        on_ray(toy, [(name, 0) for name in "abcdefgh"]) as trainer,
    ):
        trainer("h")
    assert began.jobs == [(name, 0) for name in "abcde"]  # three at a time
    assert list(tmp_path.iterdir()) == []


def test_a_training_whose_workers_were_all_killed(ray, began, tmp_path):
    ray.get = lambda task: (_ for _ in ()).throw(KeyError("worker died"))
    with on_ray(Toy(tmp_path), [("a", 0)]) as trainer:
        with pytest.raises(RuntimeError, match="a-0: its worker was killed 4 times"):
            trainer("a")
        with pytest.raises(ValueError, match="b-0 is none of the trainings"):
            trainer("b")


def test_a_worker_trains_as_the_trainer_does(videos, preset, recipe, tmp_path, monkeypatch):
    """The real function of the workers, called here: equal accuracy, equal files."""
    fake = FakeRay()
    monkeypatch.setattr(module, "connected", lambda address: contextlib.nullcontext(fake))
    data = read_manifest(videos, "train"), read_manifest(videos, "val")
    trainers = [
        Trainer(preset, recipe, *data, tmp_path / name, verbose=0) for name in ("here", "there")
    ]
    here = trainers[0]("shift_token:2", 3)
    with on_ray(trainers[1], [("shift_token:2", 3)]) as trainer:
        assert trainer("shift_token:2", 3) == here
    for name in ("run.json", "evaluation.json"):
        one, other = ((t.run_folder("shift_token:2", 3) / name).read_text() for t in trainers)
        assert one == other


def test_a_worker_says_what_went_wrong(videos, preset, recipe, tmp_path):
    data = read_manifest(videos, "train"), read_manifest(videos, "val")
    trainer = Trainer(preset, recipe, *data, tmp_path, verbose=0)
    job = {"here": str(tmp_path), "folder": str(tmp_path), "stop": "", "dtype": "float32"}
    options = module._arguments(trainer)
    kind, text = module._train(job, options, "sideways:2", 0)
    assert kind == "ValueError"
    assert "sideways" in text
    kind, text = module._train({**job, "here": "/not/there"}, options, "shift_token:2", 0)
    assert kind == "FileNotFoundError"
    assert "must be on the machines of all workers" in text
    (tmp_path / "stop").touch()
    job["stop"] = str(tmp_path / "stop")
    assert module._train(job, options, "shift_token:2", 0)[0] == "interrupted"
