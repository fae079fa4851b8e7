"""Services that track a training: what they are told, and that a resumed training continues there.

The services here are modules of the tests with the names and calls of the real ones; `make
test-track` runs tests/track/use_services.py against those themselves.
"""

import json
import sys
import types

import keras
import pytest
from training.test_identity import RECIPE, loader, network

from keras_mlp3d.training import Recipe, TrainingInterrupted, tracked, train
from keras_mlp3d.training import track as module


class Service:
    """Remembers its runs: {identifier: what was logged}."""

    def __init__(self):
        self.runs, self.ended, self.begun = {}, [], []

    def begin(self, identifier, **facts):
        identifier = identifier or f"run-{len(self.runs)}"
        self.begun.append((identifier, facts))
        self.runs.setdefault(identifier, [])
        return identifier


def _wandb(service):
    def init(id, resume, **facts):
        assert resume == "allow"
        name = service.begin(id, **facts)
        return types.SimpleNamespace(
            id=name,
            log=lambda values, step: service.runs[name].append((step, values)),
            finish=lambda exit_code: service.ended.append((name, bool(exit_code))),
        )

    return {"wandb": types.SimpleNamespace(init=init)}


def _mlflow(service):
    class MlflowCallback(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            assert self.model is not None

        def on_epoch_end(self, epoch, logs=None):
            service.runs[service.begun[-1][0]].append((epoch, logs))

    mlflow = types.ModuleType("mlflow")
    mlflow.set_experiment = lambda name: None
    mlflow.log_params = lambda values: service.begun[-1][1].update(config=values)
    mlflow.start_run = lambda run_id=None, **facts: types.SimpleNamespace(
        info=types.SimpleNamespace(run_id=service.begin(run_id, **facts))
    )
    mlflow.end_run = lambda status: service.ended.append((service.begun[-1][0], status == "FAILED"))
    mlflow.keras = types.ModuleType("mlflow.keras")
    mlflow.keras.MlflowCallback = MlflowCallback
    return {"mlflow": mlflow, "mlflow.keras": mlflow.keras}


@pytest.fixture(params=["wandb", "mlflow"])
def named(request, monkeypatch):
    """(name of a service, the service)"""
    service = Service()
    for name, content in {"wandb": _wandb, "mlflow": _mlflow}[request.param](service).items():
        monkeypatch.setitem(sys.modules, name, content)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: True)
    return request.param, service


def run(name, folder, **options):
    with tracked(name, folder, RECIPE, preset="mine") as callbacks:
        return train(
            network(), RECIPE, loader(), folder=folder, verbose=0, callbacks=callbacks, **options
        )


@pytest.mark.parametrize("steps", [1, 2])  # two are an epoch
def test_a_training_that_is_resumed_goes_on_in_the_same_run(named, tmp_path, steps):
    name, service = named
    calls = []
    with pytest.raises(TrainingInterrupted):
        run(name, tmp_path, stop=lambda: calls.append(1) or len(calls) >= steps)
    run(name, tmp_path)
    assert list(service.runs) == ["run-0"]
    assert json.loads((tmp_path / "tracking.json").read_text()) == {name: "run-0"}
    assert service.ended == [("run-0", True), ("run-0", False)]
    logged = service.runs["run-0"]
    assert [epoch for epoch, _ in logged] == [0, 1]
    assert all({"loss", "accuracy"} <= set(values) for _, values in logged)
    config = service.begun[0][1]["config"]
    assert config["epochs"] == 2
    assert config["preset"] == "mine"
    assert config["name"] == "short"


def test_a_training_anew_is_a_new_run(named, tmp_path):
    name, service = named
    run(name, tmp_path)
    other = RECIPE.replace(epochs=1)
    with tracked(name, tmp_path, other) as callbacks:
        train(
            network(), other, loader(), folder=tmp_path, verbose=0, callbacks=callbacks, anew=True
        )
    assert list(service.runs) == ["run-0", "run-1"]
    assert json.loads((tmp_path / "before-1" / "tracking.json").read_text()) == {name: "run-0"}


def test_a_folder_of_another_training_begins_no_run(named, tmp_path):
    name, service = named
    run(name, tmp_path)
    other = RECIPE.replace(epochs=1)
    with pytest.raises(ValueError, match="epochs"), tracked(name, tmp_path, other) as callbacks:
        train(network(), other, loader(), folder=tmp_path, verbose=0, callbacks=callbacks)
    assert len(service.begun) == 1
    assert len(service.ended) == 1


@pytest.mark.parametrize("content", ["[]", "no json", '{"wandb": 7}'])
def test_a_damaged_file(named, tmp_path, content):
    (tmp_path / "tracking.json").write_text(content)
    with pytest.raises(ValueError, match=r"tracking\.json must name the runs.*remove it"):
        run(named[0], tmp_path)


def test_values_of_a_recipe_are_plain():
    augmentation = {"crop": {"scale": [0.5, 1]}}
    recipe = Recipe("unmeasured", "short", "x" * 400, augmentation=augmentation)
    values = module._parameters(recipe.to_dict())
    assert values["augmentation.crop.scale"] == "[0.5, 1]"
    assert values["description"] == "x" * 250
    assert all(isinstance(value, bool | int | float | str) for value in values.values())


def test_tensorboard_needs_no_callback_and_nothing_is_nothing(tmp_path):
    for service in ("tensorboard", None):
        with tracked(service, tmp_path, RECIPE) as callbacks:
            assert callbacks == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("service", ["tensorboard", "wandb", "mlflow"])
def test_a_service_that_is_not_installed(service, tmp_path, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    line = rf"pip install 'keras-mlp3d\[{service}\]'"
    with pytest.raises(ImportError, match=line), tracked(service, tmp_path, RECIPE):
        pass


def test_an_unknown_service(tmp_path):
    with pytest.raises(ValueError, match="service must be one of"), tracked("x", tmp_path, RECIPE):
        pass
