"""A run whose videos changed: resumed or refused, and it says what changed."""

import json

import keras
import numpy as np
import pytest
from training import noise

from keras_mlp3d.data import Manifest, VideoRow
from keras_mlp3d.training import (
    DataChange,
    Recipe,
    RunFolder,
    TrainingInterrupted,
    checkpoint,
    data_change,
    data_identity,
    train,
    video_list,
)

CLASSES = ("first", "second")
RECIPE = Recipe("unmeasured", "test")


def manifest(numbers, classes=CLASSES, split="train", label=lambda k: k % 2, root=None, **times):
    rows = tuple(VideoRow(f"{root or ''}{k}.mp4", label(k), **times) for k in numbers)
    return Manifest(rows, classes, split, root=root)


def identity(numbers, validation=range(100, 120), **options):
    return data_identity(manifest(numbers, **options), manifest(validation, split="val"))


# --- what changed --------------------------------------------------------------------------------


def change(before, now):
    return data_change(json.loads(json.dumps(video_list(before))), video_list(now))


def test_videos_that_are_gone_new_or_of_another_class():
    found = change(manifest(range(40)), manifest([*range(2, 40), 50], label=lambda k: int(k > 38)))
    assert found.removed == ("0.mp4", "1.mp4")
    assert found.added == ("50.mp4",)
    assert found.relabeled == tuple(f"{k}.mp4" for k in range(3, 39, 2))
    assert str(found) == (
        "2 of 40 videos are gone ('0.mp4', '1.mp4'), 1 is new ('50.mp4'), 18 of 40 videos have "
        "another class ('3.mp4', '5.mp4', '7.mp4', ...)"
    )


def test_stretches_are_videos_of_their_own():
    found = change(manifest([1], start=2.0), manifest([1], start=2.0, end=3.5))
    assert str(found) == "1 of 1 videos is gone ('1.mp4 2- s'), 1 is new ('1.mp4 2-3.5 s')"


def test_another_order_and_another_folder():
    found = change(manifest([1, 2, 3]), manifest([3, 2, 1]))
    assert str(found) == "the order of 3 videos changed"
    assert found.is_small
    moved = change(manifest(range(4), root="/old/"), manifest(range(4), root="/new/"))
    assert moved == DataChange(4)


def test_other_classes():
    found = change(manifest([0]), manifest([0], classes=("second", "first")))
    assert not found.is_small
    assert str(found) == "the classes were 2 ('first', 'second'), are 2 ('second', 'first')"


@pytest.mark.parametrize(
    ("before", "changed", "is_small"),
    [
        *((1, 0, True), (1, 1, False), (4, 1, True), (7, 1, True), (7, 2, False), (20, 5, True)),
        *((20, 6, False), (100, 5, True), (119, 6, False), (120, 6, True), (120, 7, False)),
        *((1000, 50, True), (1000, 51, False)),
    ],
)
def test_how_many_are_a_few(before, changed, is_small):
    names = tuple(map(str, range(changed)))
    for field in ("removed", "added", "relabeled"):
        assert DataChange(before, **{field: names}).is_small == is_small
    half = changed // 2
    assert DataChange(before, names[:half], names[half:]).is_small == is_small


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"classes": ["a"], "videos": 3},
        {"classes": ["a"], "videos": [["a.mp4", 0]]},
        {"classes": ["a"], "videos": [["a.mp4", 0, "x", None]]},
        {"classes": ["a"], "videos": [[["a"], 0, None, None]]},
        {"classes": None, "videos": []},
    ],
)
def test_damaged_lists(damaged):
    with pytest.raises(ValueError, match="it is not a list of videos"):
        data_change(damaged, video_list(manifest([0])))


# --- the folder of a run -------------------------------------------------------------------------


@pytest.fixture
def begun(tmp_path):
    RunFolder(tmp_path, RECIPE, identity(range(40))).begin()
    (tmp_path / "checkpoint-000001.npz").touch()
    return tmp_path


def test_a_run_without_results_begins_again(begun, caplog):
    (begun / "checkpoint-000001.npz").unlink()
    other = RunFolder(begun, RECIPE.replace(epochs=3), identity(range(10, 40)))
    assert not other.changes
    other.begin()
    content = json.loads((begun / "run.json").read_text())
    assert (content["recipe"]["epochs"], content["training"]["clips"]) == (3, 30)
    assert sorted(path.name for path in begun.iterdir()) == ["run.json", "videos.json"]
    (begun / "preset").mkdir()  # a finished run whose checkpoints its owner has deleted
    with pytest.raises(ValueError, match=r"recipe epochs was 3, is 32\."):
        RunFolder(begun, RECIPE, identity(range(10, 40)))


def test_a_small_change_is_taken_up(begun, caplog):
    run = RunFolder(begun, RECIPE, identity(range(2, 40), [*range(100, 120), 7]))
    assert run.changes == {
        "training": "2 of 40 videos are gone ('0.mp4', '1.mp4')",
        "validation": "1 is new ('7.mp4')",
    }
    run.begin()
    assert not RunFolder(begun, RECIPE, identity(range(40))).changes, "nothing is written yet"
    run.accept_changes(3)
    assert "The training videos of" in caplog.text
    assert "2 of 40 videos are gone ('0.mp4', '1.mp4')" in caplog.text
    content = json.loads((begun / "run.json").read_text())
    assert content["training"]["clips"] == 38
    assert content["versions"]["keras"] == keras.__version__
    assert content["changes"] == [{"epochs_done": 3, **run.changes}]
    again = RunFolder(begun, RECIPE, identity(range(2, 40), [*range(100, 120), 7]))
    assert not again.changes
    RunFolder(begun, RECIPE, identity(range(3, 40))).accept_changes(4)
    assert len(json.loads((begun / "run.json").read_text())["changes"]) == 2


def test_a_large_change_needs_consent(begun):
    now = identity(range(10, 40))
    with pytest.raises(ValueError, match=r"training: 10 of 40 videos are gone .*accept-changed"):
        RunFolder(begun, RECIPE, now)
    assert RunFolder(begun, RECIPE, now, accept_changed_data=True).changes["training"]
    RunFolder(begun, RECIPE, now, anew=True).begin()
    assert (begun / "before-1" / "videos.json").is_file()
    (begun / "checkpoint-000001.npz").touch()
    assert not RunFolder(begun, RECIPE, now).changes


@pytest.mark.parametrize("accept", [False, True])
def test_other_classes_are_another_run(begun, accept):
    other = identity(range(40), classes=("first", "third"))
    with pytest.raises(ValueError, match=r"the classes were .*are .*'third'") as caught:
        RunFolder(begun, RECIPE, other, accept_changed_data=accept)
    assert "accept" not in str(caught.value)


@pytest.mark.parametrize("accept", [False, True])
def test_another_recipe_is_another_run_whatever_the_videos(begun, accept):
    with pytest.raises(ValueError, match=r"recipe epochs was 32, is 3\.") as caught:
        RunFolder(begun, RECIPE.replace(epochs=3), identity(range(1, 40)), False, accept)
    assert "accept" not in str(caught.value)


def test_no_validation_any_more(begun):
    without = {**identity(range(40)), "validation": None}
    with pytest.raises(ValueError, match=r"validation was .* is None"):
        RunFolder(begun, RECIPE, without, accept_changed_data=True)


@pytest.mark.parametrize("content", [None, b"", b"[", b"[]", b'{"training": {"digest": "0"}}'])
def test_a_run_that_does_not_say_which_videos_it_had(begun, content, caplog):
    """A run of an earlier version, or a damaged file: it resumes where the digest is equal."""
    (begun / "videos.json").unlink()
    if content is not None:
        (begun / "videos.json").write_bytes(content)
    run = RunFolder(begun, RECIPE, identity(range(40)))
    assert not run.changes
    with pytest.raises(ValueError, match=r"the digest was .* not known.*accept-changed-data"):
        RunFolder(begun, RECIPE, identity(range(1, 40)))
    accepted = RunFolder(begun, RECIPE, identity(range(1, 40)), accept_changed_data=True)
    assert "are not known" in accepted.changes["training"]
    assert ("videos.json is not used" in caplog.text) == (content is not None)
    if content is None:  # the list is made up for
        run.begin()
        assert RunFolder(begun, RECIPE, identity(range(1, 40))).changes


def test_a_kill_between_the_two_files(begun, monkeypatch):
    now = identity(range(2, 40))
    run = RunFolder(begun, RECIPE, now)
    before = (begun / "run.json").read_bytes()
    run.accept_changes(0)
    (begun / "run.json").write_bytes(before)
    run = RunFolder(begun, RECIPE, now)
    assert run.changes == {"training": "as was accepted before"}
    run.accept_changes(0)
    assert not RunFolder(begun, RECIPE, now).changes


# --- a training ----------------------------------------------------------------------------------


def go(folder, batches, numbers, stops=(), **options):
    """Trains on so many batches, and is asked after each step and epoch whether to stop."""
    asked, model = iter(stops), noise.make_model()
    recipe = noise.make_recipe(epochs=3, ema_momentum=None, **options.pop("recipe", {}))

    data, options["stop"] = noise.Clips(batches=batches), lambda: next(asked, False)
    return model, train(model, recipe, data, None, folder, identity(numbers), verbose=0, **options)


def steps_of(model):
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    [found] = [v for v in optimizer.variables if v.name == "iteration"]
    return int(keras.ops.convert_to_numpy(found))


def test_resumed_between_epochs_the_schedule_goes_by_the_epoch(tmp_path):
    with pytest.raises(TrainingInterrupted, match="after epoch 1"):
        go(tmp_path, 5, range(40), [False] * 5 + [True])
    model, result = go(tmp_path, 4, range(1, 40))
    assert len(result.history["loss"]) == 3
    assert steps_of(model) == 3 * 4
    whole = go(tmp_path / "other", 4, range(1, 40))[1]
    rates = (run.history["learning_rate"][1:] for run in (result, whole))
    np.testing.assert_allclose(*rates, rtol=1e-6)
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["changes"][0]["epochs_done"] == 1


def test_resumed_in_an_epoch_that_epoch_begins_again_with_its_weights(tmp_path, caplog):
    options = {"checkpoint_every": 1}
    with pytest.raises(TrainingInterrupted, match="after step 3 of 5 in epoch 2"):
        go(tmp_path, 5, range(40), [False] * 8 + [True], **options)
    names = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    assert names[-1] == "checkpoint-000001-000003.npz"
    before = read(tmp_path / names[-1])
    first = [True]
    with pytest.raises(TrainingInterrupted, match="after step 1 of 4 in epoch 2"):
        go(tmp_path, 4, range(1, 40), first, **options)
    assert "Epoch 2 was interrupted after step 3 and begins again" in caplog.text
    restarted = read(tmp_path / "checkpoint-000001.npz")
    for name, value in before.items():
        if name.startswith("model/"):
            np.testing.assert_array_equal(restarted[name], value, err_msg=name)
    _, result = go(tmp_path, 4, range(1, 40), **options)
    assert len(result.history["loss"]) == 3
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*"))[-1] == (
        "checkpoint-000003.npz"
    )


def read(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_a_kill_while_the_checkpoint_is_put_back(tmp_path, monkeypatch):
    """The same call again does what it would have done."""
    with pytest.raises(TrainingInterrupted):
        go(tmp_path, 5, range(40), [False] * 8 + [True])

    def killed(self, epochs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "accept_changes", killed)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path, 4, range(1, 40))
    model, _ = go(tmp_path, 4, range(1, 40))
    assert steps_of(model) == 12
    assert json.loads((tmp_path / "run.json").read_text())["changes"][0]["epochs_done"] == 1


def test_gradients_that_are_summed_up_keep_their_place(tmp_path):
    """Two steps make an update, an epoch has five: at its end a gradient waits for another."""
    recipe = {"gradient_accumulation": 2}
    with pytest.raises(TrainingInterrupted, match="after epoch 1"):
        go(tmp_path, 5, range(40), [False] * 5 + [True], recipe=recipe)
    with pytest.raises(TrainingInterrupted, match="after epoch 2"):
        go(tmp_path, 4, range(1, 40), [False] * 4 + [True], recipe=recipe)
    header = json.loads(read(tmp_path / "checkpoint-000002.npz")["state.json"].tobytes())
    assert header["epoch"] == 2
    model, _ = go(tmp_path, 4, range(1, 40), recipe=recipe)
    assert steps_of(model) == 13


def test_the_optimizer_that_scales_the_loss(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW()), "mse")
    model.optimizer.build(model.trainable_variables)
    checkpoint.save_checkpoint(tmp_path, model, 3, step=2)
    checkpoint.restart_epoch(tmp_path, model, 3, {"history": {}}, steps=10)
    assert checkpoint.load_checkpoint(tmp_path, model) == (3, 0, {"history": {}})
    assert steps_of(model) == 30


def test_a_finished_run_stays_finished(tmp_path):
    model, result = go(tmp_path, 5, range(40))
    again, second = go(tmp_path, 4, range(1, 40))
    assert second == result
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(w) for w in (one, other)))


def test_refused_it_touches_nothing(tmp_path):
    with pytest.raises(TrainingInterrupted):
        go(tmp_path, 5, range(40), [True])
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(ValueError, match="20 of 40 videos are gone"):
        go(tmp_path, 2, range(20))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    _, result = go(tmp_path, 2, range(20), accept_changed_data=True)
    assert len(result.history["loss"]) == 3
