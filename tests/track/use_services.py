"""A training that is interrupted and resumed, tracked by the real services, without a connection.

    python tests/track/use_services.py

Weights & Biases writes its offline files, MLflow its file store. What both stored is read again.
`make test-track` runs it in an environment without TensorFlow.
"""

import os
import pathlib
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", MLFLOW_ALLOW_FILE_STORE="true")

import keras
import numpy as np

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.training import Recipe, TrainingInterrupted, tracked, train

RECIPE = Recipe("unmeasured", "example", epochs=3, warmup_epochs=0.5, batch_size=2)


class Noise(keras.utils.PyDataset):
    """Two batches of black clips."""

    epoch = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.zeros((2, 8, 32, 32, 3), "uint8"), np.array([0, 1], "int32")


def run(service, folder, stop=None):
    """Trains, or resumes."""
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2")
    options = {"folder": folder, "verbose": 0, "stop": stop}
    with tracked(service, folder, RECIPE, preset="tiny") as callbacks:
        train(MLP3D(backbone, 2), RECIPE, Noise(), callbacks=callbacks, **options)


def interrupted_and_resumed(service, folder):
    """Stops after three steps of six, and resumes."""
    calls = []
    try:
        run(service, folder, lambda: calls.append(1) or len(calls) > 3)
    except TrainingInterrupted as stopped:
        print(f"{service}: {stopped}")
    run(service, folder)


def check_mlflow(folder):
    """One finished run with the loss of every epoch and the recipe's values."""
    import mlflow

    mlflow.set_tracking_uri((folder / "store").as_uri())
    interrupted_and_resumed("mlflow", folder / "run")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("keras-mlp3d")
    [found] = client.search_runs([experiment.experiment_id])
    losses = client.get_metric_history(found.info.run_id, "loss")
    assert [metric.step for metric in losses] == [0, 1, 2], losses
    assert found.info.status == "FINISHED", found.info
    assert found.data.params["epochs"] == "3", found.data.params
    assert found.data.params["preset"] == "tiny", found.data.params


def check_wandb(folder):
    """Offline files of both parts, of one identifier."""
    interrupted_and_resumed("wandb", folder / "run")
    files = sorted((folder / "run" / "wandb").glob("offline-run-*"))
    names = {path.name.rsplit("-", 1)[1] for path in files}
    assert len(files) == 2, files
    assert len(names) == 1, files


def main():
    for service, check in {"mlflow": check_mlflow, "wandb": check_wandb}.items():
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))
        print(f"{service}: every epoch once, in one run")


if __name__ == "__main__":
    main()
