"""Which folder on this machine a preset's name or path stands for."""

import difflib
import os
import pathlib
import re
from collections.abc import Sequence

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.files import CONFIG


def local_folder(handle: StrPath, builtin: pathlib.Path, names: Sequence[str]) -> pathlib.Path:
    """Return the folder of a preset that is not on the Hub.

    Args:
        handle: Name of a built-in preset, or path of a folder. A path object that leads to a preset
            means that folder, also if it has a built-in name.
        builtin: Folder of the built-in presets.
        names: Names of the built-in presets.

    Raises:
        ValueError: If there is no such preset, or a string means two.

    Example:

    >>> local_folder("mlp3d_xs", pathlib.Path("presets"), ["mlp3d_xs"]).name
    'mlp3d_xs'
    """
    name = os.fspath(handle)
    folder = pathlib.Path(name)
    is_preset = (folder / CONFIG).is_file()
    if name in names:
        if not is_preset or folder.samefile(builtin / name):
            return builtin / name
        if isinstance(handle, str):
            raise ValueError(
                f"The preset {name!r} is ambiguous: it is a built-in preset, and the current "
                f"directory has a preset in a folder of that name. Write './{name}' to load the "
                "folder. To load the built-in preset, rename or remove the folder."
            )
    if is_preset:
        return folder
    if folder.is_dir():
        raise ValueError(f"The directory {name!r} holds no preset: {CONFIG} is missing.")
    page = re.fullmatch(r"(?:https?://huggingface\.co/)?([\w.-]+/[\w.-]+)/?", name)
    close = [f"hf://{page[1]}"] if page else difflib.get_close_matches(name, names, 1, 0.5)
    raise ValueError(
        f"Unknown preset {name!r}: neither a built-in name ({', '.join(names)}), nor a directory "
        "that exists, nor an address hf://user/repo."
        + (f" Did you mean {close[0]!r}?" if close else "")
    )


def handle_nearby(directory: StrPath, builtin: pathlib.Path, names: Sequence[str]) -> str:
    """Return what loads a preset if the current directory is the one that holds its folder.

    Args:
        directory: The folder of the preset.
        builtin: Folder of the built-in presets.
        names: Names of the built-in presets.

    Returns:
        Its name, or "./NAME" if the name is built-in and the folder is another one.

    Example:

    >>> handle_nearby("presets_of_mine/mlp3d_xs", pathlib.Path("presets"), ["mlp3d_xs"])
    './mlp3d_xs'
    """
    path = pathlib.Path(directory).resolve()
    is_taken = path.name in names and path.parent != builtin.resolve()
    return f"./{path.name}" if is_taken else path.name
