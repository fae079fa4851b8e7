"""`examples/sweep.py`: a small study, resumed, that is judged on videos that chose nothing."""

import importlib.util
import re

import pytest

from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes

CLASSES = ("circle_then_tilt", "tilt_then_circle")


@pytest.fixture(scope="module")
def sweep(pytestconfig):
    path = pytestconfig.rootpath / "examples" / "sweep.py"
    spec = importlib.util.spec_from_file_location("sweep_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.optuna.logging.set_verbosity(module.optuna.logging.ERROR)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for split, clips in (("train", 8), ("val", 4), ("test", 6)):
        write_motion_shapes(folder / split, split=split, num_clips=clips, classes=CLASSES)
    return folder


def test_a_small_study(sweep, data, tmp_path, capsys, monkeypatch):
    arguments = ["--data", str(data), "--test", str(data / "test"), "--run", str(tmp_path / "run")]
    arguments += ["--preset", "mlp3d_nano_motion_shapes", "--set", "warmup_epochs=0"]
    arguments += ["--set", "epochs=1"]
    sweep.main([*arguments, "--trials", "2"])
    first = capsys.readouterr().out
    assert re.search(r"chosen on 4 videos of val: trial [01], [01]\.\d+", first)
    assert re.search(r"top-1 [01]\.\d+, 95 % interval .*, on 6 videos that chose nothing", first)
    for name in ("learning_rate", "dropout", "layer_decay"):
        assert f"--set {name}=" in first
    # The same command again trains nothing; one more trial is one more training.
    trained = []
    train = sweep.train
    monkeypatch.setattr(
        sweep, "train", lambda *args, **kwargs: trained.append(1) or train(*args, **kwargs)
    )
    sweep.main([*arguments, "--trials", "2"])
    assert capsys.readouterr().out == first
    assert not trained
    sweep.main([*arguments, "--trials", "3"])
    assert trained == [1]
    assert (tmp_path / "run" / "trial-2" / "preset" / "config.json").exists()


@pytest.mark.parametrize("spelled", ["val", "train/../val", "./val"])
def test_test_videos_that_chose_something_are_refused(sweep, data, tmp_path, spelled):
    arguments = ["--data", str(data), "--test", f"{data}/{spelled}", "--run", str(tmp_path / "run")]
    with pytest.raises(ValueError, match="neither --data nor --val, got 4 that are, such as"):
        sweep.main([*arguments, "--trials", "1"])
    assert not (tmp_path / "run").exists()


def test_validation_videos_are_needed(sweep, data, tmp_path, capsys):
    table = tmp_path / "train.csv"
    table.write_text("".join(f"{path},a\n" for path in sorted(data.glob("train/*/*.mp4"))))
    with pytest.raises(SystemExit):
        sweep.main(["--data", str(table), "--test", str(data / "test"), "--run", str(tmp_path)])
    assert "--val is needed" in capsys.readouterr().err


def test_a_resumed_study_tries_other_settings(sweep, data, tmp_path, monkeypatch):
    tried = []

    def trial(trial, *_):
        tried.append(tuple(sweep.settings(trial).values()))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return 0.5

    monkeypatch.setattr(sweep, "train_trial", trial)
    arguments = ["--data", str(data), "--test", str(data / "test"), "--run", str(tmp_path / "run")]
    with pytest.raises(KeyboardInterrupt):
        sweep.main([*arguments, "--trials", "5"])
    monkeypatch.setattr(sweep.km.MLP3D, "from_preset", ended)
    with pytest.raises(Ended):
        sweep.main([*arguments, "--trials", "5"])
    assert len(set(tried)) == len(tried) == 6


class Ended(Exception):
    """The trials are over."""


def ended(_):
    raise Ended
