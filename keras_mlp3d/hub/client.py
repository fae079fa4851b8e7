"""What downloads and uploads share: the client of the Hub, its list of files, its errors."""

import contextlib
import hashlib

LOGIN = "log in with `hf auth login` or set HF_TOKEN"


class HubError(OSError):
    """The Hub, the way to it or what came from it failed; the message names the address and a fix.

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


def hub_api():
    """Returns the client. Imported here: it takes longer than the rest of this package's hub."""
    from huggingface_hub import HfApi

    return HfApi(library_name="keras_mlp3d")


def list_files(address):
    """Returns the commit and {file name: (size, checksum)} as the Hub states them."""
    from huggingface_hub import constants

    with explained(address, "asking for its files"):
        info = hub_api().model_info(
            address.repo_id,
            revision=address.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    stated = {}
    for file in info.siblings or ():
        if file.lfs is not None:
            stated[file.rfilename] = (file.lfs.size, file.lfs.sha256)
        else:
            stated[file.rfilename] = (file.size, file.blob_id)
    return info.sha, stated


@contextlib.contextmanager
def explained(address, doing):
    """Turns whatever the transfer raises into one `HubError` that names the address and a fix."""
    try:
        yield
    # As broad as it is because the exceptions of the HTTP library below (which one depends on the
    # version of huggingface_hub) and of hf_xet come through, and share no base.
    except Exception as error:
        raise _explain(error, address, doing) from error


def _explain(error, address, doing):
    from huggingface_hub import errors

    if type(error) is RuntimeError and isinstance(error.__cause__, Exception):
        error = error.__cause__  # The upload wraps what went wrong.
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachableError(f"{address} was not asked for: HF_HUB_OFFLINE is set.")
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
            f"Access to {address} was refused while {doing}: {LOGIN} with a token that may do that."
        )
    if status == 429:
        return HubUnreachableError(f"The Hub takes no more requests for {address} now: wait.")
    first_line = next(iter(str(error).strip().splitlines()), "")
    what = f"{type(error).__name__}: {first_line}"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return HubError(f"{address} failed while {doing}, on this machine ({what}).")
    if status is not None and status < 500:
        return HubError(f"The Hub refused {doing} of {address} ({what}).")
    return HubUnreachableError(
        f"{address} failed while {doing} ({what}): check the network and try again."
    )


def hash_file(path, git_blob):
    """Returns a file's SHA-256, or its Git blob hash (of what the Hub does not keep as LFS)."""
    if git_blob:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()
