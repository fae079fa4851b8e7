"""The address of a preset on the Hugging Face Hub."""

import dataclasses
import re

_SCHEME = "hf://"
_HUB_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_REVISION_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_OTHER_KINDS = frozenset({"models", "datasets", "spaces", "kernels", "buckets"})


@dataclasses.dataclass(frozen=True)
class HubAddress:
    """A model repository on the Hub and one of its revisions.

    Args:
        repo_id: str, `"user/repo"`.
        revision: str, a branch, a tag, a pull request (`"refs/pr/1"`) or a commit.

    Example:

    >>> str(HubAddress("someone/mlp3d", "v1.0"))
    'hf://someone/mlp3d@v1.0'
    """

    repo_id: str
    revision: str = "main"

    def __str__(self):
        suffix = "" if self.revision == "main" else f"@{self.revision}"
        return f"{_SCHEME}{self.repo_id}{suffix}"


def parse_hub_uri(uri):
    """Reads an address of the form `hf://user/repo[@revision]`.

    Args:
        uri: str.

    Returns:
        A `HubAddress`; without a revision it is `"main"`.

    Raises:
        ValueError: the address has another form, or a part that could leave its folder.

    Example:

    >>> parse_hub_uri("hf://someone/mlp3d@refs/pr/1")
    HubAddress(repo_id='someone/mlp3d', revision='refs/pr/1')
    """

    def refuse(why):
        raise ValueError(
            f"A preset on the Hugging Face Hub is named hf://user/repo or hf://user/repo@revision; "
            f"got {uri!r}: {why}."
        )

    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        refuse(f"it does not start with {_SCHEME}")
    repo_id, at, revision = uri.removeprefix(_SCHEME).partition("@")
    parts = repo_id.split("/")
    if len(parts) != 2:
        refuse("between hf:// and @ stand exactly one user and one repository")
    if parts[0] in _OTHER_KINDS:
        refuse(f"{parts[0]!r} is no user, and only model repositories hold presets")
    if not all(_HUB_NAME.fullmatch(part) for part in parts) or len(repo_id) > 96:
        refuse(
            "names have letters, digits, '-', '_' and '.', neither start nor end with '-' or '.', "
            "and user/repo is at most 96 characters"
        )
    if ".." in repo_id or "--" in repo_id or repo_id.endswith(".git"):
        refuse("a name has no '..', no '--' and no '.git' at its end")
    if not at:
        return HubAddress(repo_id)
    if ".." in revision or not all(_REVISION_PART.fullmatch(p) for p in revision.split("/")):
        refuse("a revision is made of letters, digits, '.', '_', '+', '-' and '/', without '..'")
    return HubAddress(repo_id, revision)
