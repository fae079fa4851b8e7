"""A supernet that is trained on between the blocks of a search."""

import json
import shutil

import keras
import pytest

from keras_mlp3d.data import read_manifest
from keras_mlp3d.models.switchable import sample_blocks
from keras_mlp3d.search import (
    Refinement,
    SearchSpace,
    find_schedule,
    greedy,
    refinement_recipe,
    train_supernet,
)
from keras_mlp3d.training import TrainingInterrupted

SPACE = SearchSpace(("short_range", "shift_token"), (1, 2))
DEPTH = 4


@pytest.fixture(scope="module")
def manifests(videos):
    return read_manifest(videos, "train"), read_manifest(videos, "val")


@pytest.fixture(scope="module")
def trained(preset, recipe, manifests, tmp_path_factory):
    """The folder of a trained supernet."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_supernet(preset, SPACE, recipe, manifests[0], folder, verbose=0)
    return folder


@pytest.fixture
def begun(preset, recipe, manifests, trained, tmp_path):
    """A supernet in a folder, and a function that makes its refinement."""
    shutil.copytree(trained, tmp_path / "run")

    def refinement(model, epochs=1, **options):
        again = refinement_recipe(recipe, epochs).replace(weight_decay=0.0)
        folder = tmp_path / "run" / "refined"
        return Refinement(model, again, manifests[0], folder, workers=1, verbose=0, **options)

    def supernet():
        return train_supernet(preset, SPACE, recipe, manifests[0], tmp_path / "run", verbose=0)

    return tmp_path / "run", supernet, refinement


def mixings(model):
    """The time mixing of each block."""
    layers = model.backbone.layers
    return [layer.token_mixing.mix_time for layer in layers if hasattr(layer, "token_mixing")]


def kernels(model):
    """The kernel of time mixing of each block."""
    return [keras.ops.convert_to_numpy(layer.kernel) for layer in mixings(model)]


def test_decided_blocks_are_not_sampled(begun):
    """Of a block fixed at S = 1, only w_0 is ever used, so that the others get no gradient."""
    _, supernet, refinement = begun
    model = supernet()
    before = kernels(model)
    one = SPACE.mixings[0]
    refinement(model, epochs=8)(0, (one, one, None, None))
    moved = [
        [bool((new[i] != old[i]).any()) for i in range(3)]
        for new, old in zip(kernels(model), before, strict=True)
    ]
    assert moved[0] == moved[1] == [False, True, False]
    assert any(moved[2][::2])
    assert any(moved[3][::2])
    assert model.backbone.choices[:2] == (one, one)


def test_sampling_is_on_again_for_the_next_repeat(begun):
    _, supernet, refinement = begun
    model = supernet()
    first = model.get_weights()
    refine = refinement(model)
    refine(0, (SPACE.mixings[0], None, None, None))
    assert any((new != old).any() for new, old in zip(model.get_weights(), first, strict=True))
    refine(1, (None,) * DEPTH)
    assert all((new == old).all() for new, old in zip(model.get_weights(), first, strict=True))
    [rate] = {layer.sample_candidate.rate for layer in mixings(model)}
    assert rate == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="shorter"):
        sample_blocks(model.backbone, [True])


def test_a_search_with_it_is_resumed_and_read(begun, manifests, tmp_path):
    folder, supernet, refinement = begun
    options = {"repeats": 2, "batch_size": 4}

    class Killed(Exception):
        pass

    def killed(done, total):
        if done == 7:
            raise Killed

    model = supernet()
    with pytest.raises(Killed):
        find_schedule(
            model,
            *(SPACE, manifests[1], folder),
            **options,
            refine=refinement(model),
            progress=killed,
        )
    model = supernet()
    again_with = refinement(model)
    result, scorer = find_schedule(
        model, *(SPACE, manifests[1], folder), **options, refine=again_with
    )
    assert len(result.schedules) == 2
    # The weights at the end are those that have scored the best repeat.
    assert scorer(result.schedule, 0) == result.value
    refined = sorted(path.name.split("-")[0] for path in folder.glob("refined/*/repeat1/*"))
    assert refined == ["block1", "block2", "block3"]
    assert not [*folder.glob("refined/**/checkpoint-*")]

    # Once more with the same objects, as one tries another confidence.
    assert len({layer.sample_candidate.rate for layer in mixings(model)}) == 1
    assert (
        find_schedule(model, *(SPACE, manifests[1], folder), **options, refine=again_with)[0]
        == result
    )

    # The same in one go, in another folder.
    other = tmp_path / "other"
    other.mkdir()
    model = supernet()
    again, _ = find_schedule(
        model, *(SPACE, manifests[1], other), **options, refine=refinement(model)
    )
    assert again == result

    # Without it, it is another search.
    with pytest.raises(ValueError, match="of another search: refinement was"):
        find_schedule(supernet(), SPACE, manifests[1], folder, **options)


def test_another_supernet_has_other_folders(begun):
    folder, supernet, refinement = begun
    model = supernet()
    choices = (SPACE.mixings[1], None, None, None)
    refinement(model)(0, choices)
    refinement(model)(0, choices)  # of the weights that the first one has left
    assert len([*folder.glob("refined/*/repeat1/block1-*")]) == 2


def test_a_training_between_blocks_is_interrupted_and_resumed(begun):
    _, supernet, refinement = begun
    choices = (SPACE.mixings[1], None, None, None)
    whole = supernet()
    refine = refinement(whole)
    stops = []

    class Stopping:
        def __enter__(self):
            return lambda: bool(stops.append(True)) or len(stops) == 1

        def __exit__(self, *_):
            pass

    part = supernet()
    interrupted = refinement(part, stopping=Stopping)
    with pytest.raises(TrainingInterrupted):
        interrupted(0, choices)
    interrupted(0, choices)
    assert len(stops) > 1
    refine(0, choices)  # reads what is trained
    for one, other in zip(whole.trainable_weights, part.trainable_weights, strict=True):
        assert (keras.ops.convert_to_numpy(one) == keras.ops.convert_to_numpy(other)).all()


def test_a_number_of_the_backend_is_a_score():
    number = keras.Variable(0.5).value
    assert greedy(lambda choices, seed: number, SPACE, 2, repeats=1).value == 0.5


def test_the_recipe_between_blocks(recipe):
    again = refinement_recipe(recipe, 3)
    assert (again.epochs, again.warmup_epochs) == (3, 0)
    assert again.learning_rate == pytest.approx(recipe.learning_rate / 10)
    assert json.loads(json.dumps(again.to_dict())) == again.to_dict()
