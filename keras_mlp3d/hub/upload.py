"""Uploads of saved presets to the Hugging Face Hub."""

import pathlib

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.client import LOGIN, HubError, explained, hub_api, list_files, parse_hub_uri
from keras_mlp3d.hub.files import CARD, CONFIG, METADATA, PRESET_FILES, read_json
from keras_mlp3d.hub.model_card import with_address
from keras_mlp3d.hub.weights import file_sha256


def upload_preset(
    uri: str, directory: StrPath, private: bool = False, commit_message: str | None = None
) -> str:
    """Upload a saved preset to the Hugging Face Hub.

    Creates the repository if it does not exist. All files are uploaded in one commit. The commit
    also removes the files of an earlier preset that this preset does not have. Other files of the
    repository and of the directory are left alone. In the uploaded model card, the snippet loads
    the preset from the repository.

    Args:
        uri: `hf://user/repo`, or `hf://user/repo@branch` for an existing branch.
        directory: Path of a folder that `save_to_preset` wrote.
        private: Whether a new repository is private. False leaves it to the owner's default.
        commit_message: None for a message that names the model's class.

    Returns:
        The address of the repository's page.

    Raises:
        FileNotFoundError: If the directory, or a file that every preset has, does not exist.
        ValueError: If the address is not of the safe form, or the directory holds something else.
        HubError: If there is no token, no permission or no network.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     try:
    ...         upload_preset("hf://someone/mlp3d", directory)
    ...     except FileNotFoundError:
    ...         print("an empty folder is no preset")
    an empty folder is no preset
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, get_token

    address = parse_hub_uri(uri)
    directory = pathlib.Path(directory)
    class_name = _check_preset(directory)
    with explained(address, "looking for a token"):
        token = get_token()
    if token is None:
        raise HubError(f"Uploading to {address} needs a token: {LOGIN} with one that may write.")
    with explained(address, "creating the repository"):
        page = hub_api().create_repo(address.repo_id, private=private or None, exist_ok=True)
    _, remote = list_files(address)
    operations: list[CommitOperationAdd | CommitOperationDelete] = []
    for name in PRESET_FILES:
        if name == CARD and (directory / name).is_file():
            card = (directory / name).read_bytes().decode(errors="replace")
            operations.append(CommitOperationAdd(name, with_address(card, str(address)).encode()))
        elif (directory / name).is_file():
            operations.append(CommitOperationAdd(name, str(directory / name)))
        elif name in remote:
            operations.append(CommitOperationDelete(name))
    with explained(address, "uploading"):
        hub_api().create_commit(
            address.repo_id,
            operations,
            commit_message=commit_message or f"Upload a preset of {class_name}",
            revision=address.revision,
        )
    return str(page)


def _check_preset(directory: pathlib.Path) -> str:
    """Return the class name of the preset in a directory, or say why it holds none."""
    found = {}
    for name in (CONFIG, METADATA):
        path = directory / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{directory} has no {name}: `directory` must be a folder that save_to_preset "
                f"wrote."
            )
        found[name] = read_json(path)
    # A folder of the Hub's cache holds links to the files beside it.
    inside = (directory.resolve(), directory.resolve().parent.parent / "blobs")
    for name in PRESET_FILES:
        path = directory / name
        if path.is_symlink() and path.resolve().parent not in inside:
            raise ValueError(
                f"{path} is a link to a file outside of the folder: it is not uploaded."
            )
    for name, key in ((CONFIG, "registered_name"), (METADATA, "class_name")):
        if not isinstance(found[name].get(key), str):
            raise ValueError(
                f"{directory / name} has no {key!r}: `directory` must be a folder that "
                f"save_to_preset wrote."
            )
    for name, expected in (found[METADATA].get("sha256") or {}).items():
        path = directory / name
        if name not in PRESET_FILES or not path.is_file():
            raise ValueError(f"{directory} lacks {name!r}, which its metadata.json lists.")
        if (actual := file_sha256(path)) != expected:
            raise ValueError(
                f"{path} is not the file that metadata.json lists: expected SHA-256 {expected}, "
                f"got {actual}. Save the preset again."
            )
    return found[METADATA]["class_name"]
