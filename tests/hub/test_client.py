"""Addresses of presets on the Hub."""

import pytest

from keras_mlp3d.hub.client import parse_hub_uri


@pytest.mark.parametrize(
    ("uri", "repo_id", "revision"),
    [
        ("hf://someone/mlp3d", "someone/mlp3d", "main"),
        ("hf://Some-One/mlp3d_s.v1@v1.0+cpu", "Some-One/mlp3d_s.v1", "v1.0+cpu"),
        ("hf://a/b@refs/pr/1", "a/b", "refs/pr/1"),
    ],
)
def test_address_is_read(uri, repo_id, revision):
    address = parse_hub_uri(uri)
    assert (address.repo_id, address.revision, str(address)) == (repo_id, revision, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "mlp3d_s",
        "HF://someone/mlp3d",
        "hf://",
        "hf://mlp3d",
        "hf:///mlp3d",
        "hf://someone/",
        "hf://someone/mlp3d/",
        "hf://someone/mlp3d/config.json",
        "hf://datasets/mlp3d",
        "hf://../mlp3d",
        "hf://someone/..",
        "hf://someone/a..b",
        "hf://someone/a--b",
        "hf://someone/mlp3d.git",
        "hf://.someone/mlp3d",
        "hf://someone/-mlp3d",
        "hf://someone\\mlp3d",
        "hf://someone/mlp3d%2e",
        "hf://someone/mlp 3d",
        "hf://someone/mlp3d\n",
        "hf://someone/mlp\u00e9",
        "hf://someone/mlp3d?x",
        "hf://someone/" + "m" * 90,
        "hf://someone/mlp3d@",
        "hf://someone/mlp3d@../main",
        "hf://someone/mlp3d@refs/../../x",
        "hf://someone/mlp3d@/main",
        "hf://someone/mlp3d@refs//x",
        "hf://someone/mlp3d@a@b",
        "hf://someone/mlp3d@-x",
        "hf://someone/mlp3d@a\\b",
        "hf://someone/mlp3d@a%2fb",
        "hf://someone/mlp3d@v1\n",
        None,
    ],
)
def test_hostile_address_is_refused(uri):
    with pytest.raises(ValueError, match="hf://user/repo") as caught:
        parse_hub_uri(uri)
    assert repr(uri) in str(caught.value)
