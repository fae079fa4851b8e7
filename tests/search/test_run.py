"""A search in a folder, with a real supernet: what is kept, what agrees, what is refused."""

import json
import shutil

import keras
import numpy as np
import pytest

from keras_mlp3d.data import read_manifest
from keras_mlp3d.inference import evaluate
from keras_mlp3d.layers import SwitchableTimeMixing
from keras_mlp3d.search import (
    Scorer,
    SearchSpace,
    extract,
    find_schedule,
    load_supernet,
    train_supernet,
)
from keras_mlp3d.training import TrainingInterrupted

SPACE = SearchSpace(("short_range", "shift_token"), (1, 2, 4))


@pytest.fixture(scope="module")
def manifests(videos):
    return read_manifest(videos, "train"), read_manifest(videos, "val")


@pytest.fixture(scope="module")
def done(preset, recipe, manifests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    model = train_supernet(preset, SPACE, recipe, manifests[0], folder, verbose=0)
    result, scorer = find_schedule(model, SPACE, manifests[1], folder, repeats=2, batch_size=4)
    return folder, model, result, scorer


def test_one_compilation_serves_all_candidates(done, monkeypatch):
    scorer = done[3]
    traced, inner = [], SwitchableTimeMixing.call

    def counted(self, *args, **kwargs):
        traced.append(self)
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(SwitchableTimeMixing, "call", counted)
    for mixing in SPACE.mixings:
        scorer((mixing, None, None, None), seed=1)
        scorer((mixing,) * 4)
    if keras.backend.backend() == "torch":  # which runs the network step by step
        assert len(traced) == len(SPACE.mixings) * 4 * 2 * 2
    else:
        assert not traced


def test_the_estimate_is_the_accuracy_of_the_extracted_network(done, manifests):
    _, model, result, scorer = done
    for schedule in (result.schedule, (SPACE.mixings[4],) * 4):
        evaluation = evaluate(extract(model, schedule), manifests[1])
        assert scorer(schedule) == evaluation.top1
    assert result.value == scorer(result.schedule)


def test_scores_do_not_depend_on_what_was_scored_before(done, manifests):
    _, model, result, scorer = done
    candidate = (SPACE.mixings[2], None, None, None)
    first = scorer(candidate, seed=9)
    scorer(result.schedule)
    assert scorer(candidate, seed=9) == first
    streamed = Scorer(model, manifests[1], 4, max_bytes=0)
    assert not streamed.in_memory
    assert streamed(candidate, seed=9) == first


def test_the_folder_says_what_was_found(done, manifests):
    folder, _, result, scorer = done
    names = {path.name for path in folder.iterdir()}
    assert names == {"supernet", "search.json", "validation.json", "trace.jsonl", "result.json"}
    content = json.loads((folder / "result.json").read_text())
    assert content["value"] == result.value
    assert content["validation"] == manifests[1].digest
    assert content["expected"] == scorer.expected == 6
    assert content["failed"] == []
    assert len((folder / "trace.jsonl").read_text().splitlines()) > 1


def test_a_finished_search_is_only_read(done, preset, recipe, manifests, monkeypatch):
    folder, _, result, _ = done
    before = (folder / "trace.jsonl").read_bytes()
    model = train_supernet(preset, SPACE, recipe, manifests[0], folder, verbose=0)
    monkeypatch.setattr(Scorer, "__call__", None)
    again, _ = find_schedule(model, SPACE, manifests[1], folder, repeats=2, batch_size=4)
    assert again == result
    assert (folder / "trace.jsonl").read_bytes() == before


def test_the_supernet_can_be_loaded_from_the_folder(done, preset):
    folder, model, _, _ = done
    loaded, space, name = load_supernet(folder)
    assert space == SPACE
    assert name == str(preset)
    assert loaded.class_names == ["bright", "dark"]
    for one, other in zip(model.trainable_weights, loaded.trainable_weights, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(w) for w in (one, other)))


def test_a_folder_of_another_space_is_refused(done, preset, recipe, manifests):
    other = SearchSpace(("short_range",), (1, 2, 4))
    with pytest.raises(ValueError, match=r"another run: model space was .*'shift_token'"):
        train_supernet(preset, other, recipe, manifests[0], done[0], verbose=0)


def test_another_search_moves_the_earlier_one_aside(done, preset, recipe, manifests, tmp_path):
    """All of it, before its supernet is replaced: nothing may be left next to another's."""
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    (folder / "preset").mkdir()
    (folder / "preset" / "mine").write_text("kept")
    (folder / "process.png").write_bytes(b"kept")
    names = {path.name for path in folder.iterdir()}
    digest = (folder / "result.json").read_bytes()
    stopped = recipe.replace(epochs=recipe.epochs + 1)
    with pytest.raises(TrainingInterrupted):
        train_supernet(
            preset, SPACE, stopped, manifests[0], folder, verbose=0, anew=True, stop=lambda: True
        )
    assert {path.name for path in folder.iterdir()} == {"supernet", "before-1"}
    assert {path.name for path in (folder / "before-1").iterdir()} == names - {"supernet"}
    assert (folder / "before-1" / "result.json").read_bytes() == digest
    assert (folder / "before-1" / "preset" / "mine").read_text() == "kept"
    with pytest.raises(ValueError, match="holds no trained supernet"):
        load_supernet(folder)
    train_supernet(preset, SPACE, stopped, manifests[0], folder, verbose=0)
    assert not (folder / "before-2").exists()


def test_another_choice_moves_the_earlier_result_aside(done, manifests, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    before = (folder / "result.json").read_bytes()
    options = {"repeats": 2, "batch_size": 4, "anew": True}
    find_schedule(done[1], SPACE, manifests[1], folder, **options)
    assert (folder / "result.json").read_bytes() == before
    assert not (folder / "before-1").exists()
    find_schedule(done[1], SPACE, manifests[1], folder, seed=1, **options)
    assert (folder / "before-1" / "result.json").read_bytes() == before


def test_adapters_are_refused_before_the_training(preset, recipe, manifests, tmp_path):
    with pytest.raises(ValueError, match="lora_rank must be None, got 2"):
        train_supernet(preset, SPACE, recipe.replace(lora_rank=2), manifests[0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_scores_of_other_weights_are_refused_or_set_aside(done, manifests, tmp_path):
    folder, model = done[:2]
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes((folder / "trace.jsonl").read_bytes())
    arguments = {"repeats": 1, "seed": 0, "batch_size": 4}
    kernel = model.backbone.get_layer("embedding").kernel
    value = keras.ops.convert_to_numpy(kernel).copy()
    try:
        kernel.assign(value * 0.5)
        with pytest.raises(ValueError, match="trace of another search: weights was"):
            find_schedule(model, SPACE, manifests[1], tmp_path, **arguments)
        find_schedule(model, SPACE, manifests[1], tmp_path, **arguments, anew=True)
    finally:
        kernel.assign(value)
    kept = (tmp_path / "trace-before-1.jsonl").read_bytes()
    assert kept == (folder / "trace.jsonl").read_bytes()
    assert trace.read_bytes() != kept


def test_scores_on_other_videos_are_made_again_if_few_changed(done, manifests, tmp_path, caplog):
    folder, model = done[:2]
    for name in ("trace.jsonl", "validation.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    arguments = {"repeats": 2, "batch_size": 4}
    validation = manifests[1]
    with pytest.raises(ValueError, match="trace of another search: validation was"):
        find_schedule(model, SPACE, validation.select(range(3)), tmp_path, **arguments)
    five = validation.select(range(1, 6))
    found, scorer = find_schedule(model, SPACE, five, tmp_path, **arguments)
    assert "1 of 6 videos is gone" in caplog.text
    assert "All scores are computed again" in caplog.text
    assert scorer.expected == 5
    assert found.value == scorer(found.schedule)
    assert (tmp_path / "trace-before-1.jsonl").read_bytes() == (folder / "trace.jsonl").read_bytes()
    caplog.clear()
    assert find_schedule(model, SPACE, five, tmp_path, **arguments)[0] == found
    assert not caplog.text
    three = validation.select(range(1, 4))
    found, scorer = find_schedule(
        model, SPACE, three, tmp_path, **arguments, accept_changed_data=True
    )
    assert scorer.expected == 3
    assert "2 of 5 videos are gone" in caplog.text


def test_other_videos_do_not_excuse_another_search(done, manifests, tmp_path):
    folder, model = done[:2]
    for name in ("trace.jsonl", "validation.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    five = manifests[1].select(range(5))
    with pytest.raises(ValueError, match="seed was 0, is 1; validation was"):
        find_schedule(model, SPACE, five, tmp_path, repeats=2, batch_size=4, seed=1)
    (tmp_path / "validation.json").write_text("[")
    with pytest.raises(ValueError, match="validation was"):
        find_schedule(model, SPACE, five, tmp_path, repeats=2, batch_size=4)


def test_a_folder_without_a_supernet(tmp_path):
    with pytest.raises(ValueError, match=r"no trained supernet: search\.json is missing"):
        load_supernet(tmp_path)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(ValueError, match=r"search\.json is damaged: KeyError 'recipe'"):
        load_supernet(tmp_path)
