import pytest

from keras_mlp3d.training import Recipe, parse_overrides


def test_values_as_typed():
    texts = ["epochs = 3", "dtype=mixed_bfloat16", "clip_norm=null", "remat=true", "name=a=b"]
    assert parse_overrides(texts) == {
        "epochs": 3,
        "dtype": "mixed_bfloat16",
        "clip_norm": None,
        "remat": True,
        "name": "a=b",
    }


def test_they_go_into_a_recipe():
    recipe = Recipe("unmeasured", "mine", augmentation={"flip": 0.5})
    changed = recipe.replace(**parse_overrides(["augmentation.flip=0", "image_size=[64, 32]"]))
    assert changed.augmentation == {"flip": 0}
    assert changed.image_size == (64, 32)
    with pytest.raises(ValueError, match=r"epochs must be a whole number.*'many'"):
        recipe.replace(**parse_overrides(["epochs=many"]))


@pytest.mark.parametrize("text", ["epochs", "=3", ""])
def test_no_pair(text):
    with pytest.raises(ValueError, match="Expected key=value"):
        parse_overrides([text])


def test_twice():
    with pytest.raises(ValueError, match="epochs is set twice: 1 and '2'"):
        parse_overrides(["epochs=1", "epochs=2"])


def test_deep_nesting_is_a_text():
    assert parse_overrides(["name=" + "[" * 100_000])["name"].startswith("[[")
