"""The Hugging Face Hub: addresses of presets, the client, and its errors in our words."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from keras_mlp3d._utils.printable import printable
from keras_mlp3d.hub.transfer_limits import TooMuch, TooSlow, limited

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: Largest list of files that is read: a hundred times what that of a large repository takes.
MAX_LISTING_BYTES = 16 * 2**20
LOGIN = "log in with `hf auth login` or set HF_TOKEN"

_SCHEME = "hf://"
_HUB_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_REVISION_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_OTHER_KINDS = frozenset({"models", "datasets", "spaces", "kernels", "buckets"})


@dataclasses.dataclass(frozen=True)
class HubAddress:
    """A model repository on the Hub and one of its revisions.

    Args:
        repo_id: "user/repo".
        revision: A branch, a tag, a pull request ("refs/pr/1") or a commit.

    Example:

    >>> str(HubAddress("someone/mlp3d", "v1.0"))
    'hf://someone/mlp3d@v1.0'
    """

    repo_id: str
    revision: str = "main"

    def __str__(self) -> str:
        suffix = "" if self.revision == "main" else f"@{self.revision}"
        return f"{_SCHEME}{self.repo_id}{suffix}"


def parse_hub_uri(uri: str) -> HubAddress:
    """Read an address of the form `hf://user/repo[@revision]`.

    Args:
        uri: The address.

    Returns:
        A `HubAddress`; its revision is "main" if the address names none.

    Raises:
        ValueError: If the address has another form, or a part of it could leave its folder.

    Example:

    >>> parse_hub_uri("hf://someone/mlp3d@refs/pr/1")
    HubAddress(repo_id='someone/mlp3d', revision='refs/pr/1')
    """

    def refuse(why: str) -> NoReturn:
        raise ValueError(
            f"A preset on the Hugging Face Hub is named hf://user/repo or hf://user/repo@revision; "
            f"got {uri!r}: {why}."
        )

    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        refuse(f"it does not start with {_SCHEME}")
    repo_id, at, revision = uri.removeprefix(_SCHEME).partition("@")
    parts = repo_id.split("/")
    if len(parts) != 2:
        refuse("between hf:// and @ there must be exactly one user and one repository")
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


class HubError(OSError):
    """The Hub, the network or a downloaded file failed; the message names the address and a fix.

    A badly written address is a `ValueError` instead: nothing was asked of the Hub yet.

    Example:

    >>> issubclass(HubError, OSError)
    True
    """


class HubUnreachableError(HubError):
    """The Hub gave no answer, or none that helps now: only the cache can serve.

    Example:

    >>> issubclass(HubUnreachableError, HubError)
    True
    """


def hub_api() -> "HfApi":
    """Return the client of the Hub."""
    from huggingface_hub import HfApi  # late: its import takes longer than all of this package

    return HfApi(library_name="keras_mlp3d")


def list_files(
    address: HubAddress, commit: str | None = None
) -> tuple[str, dict[str, tuple[int | None, str | None]]]:
    """Ask the Hub for the files of a repository.

    Args:
        address: The repository and its revision.
        commit: None, or the commit of that revision to list.

    Returns:
        The commit, and {file name: (size, checksum)} as the Hub states them.

    Raises:
        HubError: If the Hub does not answer, or refuses.
    """
    from huggingface_hub import constants

    with explained(address, "asking for its files"), limited(MAX_LISTING_BYTES):
        info = hub_api().model_info(
            address.repo_id,
            revision=commit or address.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    stated: dict[str, tuple[int | None, str | None]] = {}
    for file in info.siblings or ():
        if file.lfs is not None:
            stated[file.rfilename] = (file.lfs.size, file.lfs.sha256)
        else:
            stated[file.rfilename] = (file.size, file.blob_id)
    return str(info.sha), stated


@contextlib.contextmanager
def explained(address: HubAddress | str, doing: str) -> Iterator[None]:
    """Turn any error of a transfer into one `HubError` that names the address and a fix.

    Args:
        address: What was asked for: a preset on the Hub, or the address of a file elsewhere.
        doing: What failed, such as "uploading".

    Raises:
        HubError: In place of any other error.
    """
    try:
        yield
    except HubError:
        raise
    # This broad because the exceptions of the HTTP library below (which one depends on the version
    # of huggingface_hub) and of hf_xet pass through, and share no base class.
    except Exception as error:
        raise _explain(error, address, doing) from error


def _explain(error: Exception, address: HubAddress | str, doing: str) -> HubError:
    from huggingface_hub import errors

    # The upload wraps what went wrong, and so does a download of a file that is not cached.
    wraps = type(error) is RuntimeError or isinstance(error, errors.LocalEntryNotFoundError)
    if wraps and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if isinstance(error, TooMuch):
        return HubError(f"{address} was stopped while {doing}: {error}.")
    if isinstance(error, TooSlow):
        return HubUnreachableError(f"{address} was given up while {doing}: {error}.")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachableError(f"{address} was not asked for: HF_HUB_OFFLINE is set.")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(address, HubAddress) and (refused := _refusal(error, status, address, doing)):
        return refused
    first_line = next(iter(str(error).strip().splitlines()), "")
    what = f"{type(error).__name__}: {printable(first_line)}"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return HubError(f"{address} failed while {doing}, on this machine ({what}).")
    if status is not None and status < 500:
        return HubError(f"The Hub refused {doing} of {address} ({what}).")
    return HubUnreachableError(
        f"{address} failed while {doing} ({what}): check the network and try again."
    )


def _refusal(
    error: Exception, status: int | None, address: HubAddress, doing: str
) -> HubError | None:
    """Return what the Hub says in its own way: no access, no such repository, too many requests."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return HubError(f"{address} is gated: ask for access on its page, then {LOGIN}.")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return HubError(
            f"The Hub shows no repository {address.repo_id!r} while {doing}: check the name, and "
            f"if it is private, {LOGIN} with a token that has access."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(
            f"{address.repo_id!r} has no revision {address.revision!r}: name an existing branch, "
            f"tag or commit."
        )
    if status == 403:
        return HubError(
            f"Access to {address} was refused (403) while {doing}: {LOGIN} with a token that may "
            f"do that."
        )
    if status == 429:
        return HubUnreachableError(
            f"The Hub takes no more requests now (429), while {doing} of {address}: wait some "
            f"minutes, or {LOGIN} for a higher limit."
        )
    return None
