"""Sends the metrics of a training to a service that tracks experiments.

A run of the service belongs to the folder of the training: a resumed training continues it.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_choice
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.training.recipe import Recipe
from keras_mlp3d.training.run_folder import TRACKING

TRACKERS = ("tensorboard", "wandb", "mlflow")

_PROJECT = "keras-mlp3d"
_LONGEST = 250  # characters of a parameter that every service takes


@contextlib.contextmanager
def tracked(
    service: str | None, folder: StrPath, recipe: Recipe, **facts: Any
) -> Iterator[list[keras.callbacks.Callback]]:
    """Yield the callbacks for `train` that send a training to a service, and close its run.

    - `"tensorboard"`: no callback, as `train` writes event files by itself, if the package
      tensorboard is installed.
    - `"wandb"`: Weights & Biases, in the project of WANDB_PROJECT or `keras-mlp3d`. Our own
      callback, as that of wandb imports TensorFlow on every backend.
    - `"mlflow"`: `mlflow.keras.MlflowCallback`, in the experiment of MLFLOW_EXPERIMENT_NAME or
      `keras-mlp3d`.

    The run of the service begins with the first step. Its identifier is in `tracking.json` in the
    folder. If the block fails or is interrupted, the service is told so. With several processes,
    only the first should track.

    Args:
        service: One of `TRACKERS`, or None for no callbacks.
        folder: Folder of the training.
        recipe: The recipe. Its values are parameters of the service's run.
        **facts: Further parameters, such as `preset="mlp3d_nano"`.

    Raises:
        ValueError: If the service is unknown.
        ImportError: If its package is not installed.

    Example:

    >>> recipe = Recipe("unmeasured", "example", epochs=2)
    >>> with tracked(None, "runs/first", recipe, preset="mlp3d_nano") as callbacks:
    ...     len(callbacks)
    0
    """
    if service is None:
        yield []
        return
    check_choice("service", service, TRACKERS)
    if importlib.util.find_spec(service) is None:
        raise ImportError(
            f"{service} is not installed, which tracks a training: "
            f"pip install 'keras-mlp3d[{service}]'"
        )
    if service == "tensorboard":
        yield []
        return
    kind = {"wandb": _WandbRun, "mlflow": _MlflowRun}[service]
    run = kind(pathlib.Path(folder), {**_parameters(recipe.to_dict()), **_parameters(facts)})
    try:
        yield [run]
    finally:
        run.close(failed=sys.exc_info()[0] is not None)


def _parameters(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return {name with dots: plain value}, as services compare runs by them."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update(_parameters(value, f"{above}{name}."))
        elif value is not None:
            plain = value if isinstance(value, bool | int | float) else str(value)[:_LONGEST]
            found[f"{above}{name}"] = plain
    return found


class _Run(keras.callbacks.Callback):
    """A run of a service, which is begun or resumed with the training.

    Args:
        folder: Folder of the training.
        parameters: {name: value} of the run.
    """

    service = ""

    def __init__(self, folder: pathlib.Path, parameters: Mapping[str, Any]):
        super().__init__()
        self._path, self._parameters = folder / TRACKING, parameters
        self._run: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self._run is not None:  # the rest of an interrupted epoch is a `fit` of its own
            return
        known = self._read()
        self._run = self._begin(known.get(self.service), self._path.parent.resolve())
        if known.get(self.service) != self._identifier():
            known[self.service] = self._identifier()
            write_whole(self._path, json.dumps(known, indent=2).encode())

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            known = None
        if not isinstance(known, dict) or not all(isinstance(v, str) for v in known.values()):
            raise ValueError(
                f"{self._path} must name the runs of services, and does not: remove it, and the "
                "training continues in a new run."
            )
        return known

    def _begin(self, known: str | None, folder: pathlib.Path) -> Any:
        """Begin the run of the service, or resume a known one."""
        raise NotImplementedError

    def _identifier(self) -> str:
        """Return the identifier that the service gave to the run."""
        raise NotImplementedError

    def close(self, failed: bool) -> None:
        """End the service's run."""
        raise NotImplementedError


class _WandbRun(_Run):
    service = "wandb"

    def _begin(self, known: str | None, folder: pathlib.Path) -> Any:
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=folder.name,
            id=known,
            resume="allow",
            dir=folder,
            config=dict(self._parameters),
        )

    def _identifier(self) -> str:
        return self._run.id

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._run.log({"epoch": epoch, **(logs or {})}, step=epoch)

    def close(self, failed: bool) -> None:
        if self._run is not None:
            self._run.finish(exit_code=int(failed))


class _MlflowRun(_Run):
    service = "mlflow"

    def __init__(self, folder: pathlib.Path, parameters: Mapping[str, Any]):
        from mlflow.keras import MlflowCallback

        super().__init__(folder, parameters)
        self._inner = MlflowCallback()

    def _begin(self, known: str | None, folder: pathlib.Path) -> Any:
        import mlflow

        if known is not None:
            run = mlflow.start_run(run_id=known)
        else:
            mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT))
            run = mlflow.start_run(run_name=folder.name)
            mlflow.log_params(dict(self._parameters))
            self._inner.set_model(self.model)
            self._inner.on_train_begin()
        return run

    def _identifier(self) -> str:
        return self._run.info.run_id

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._inner.on_epoch_end(epoch, logs)

    def close(self, failed: bool) -> None:
        if self._run is not None:
            import mlflow

            mlflow.end_run("FAILED" if failed else "FINISHED")
