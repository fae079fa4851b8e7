"""What a user can do who needs weights for a preset that has none."""

import shlex

from keras_mlp3d import hub

#: Class of a preset -> the option of `keras-mlp3d convert` that takes it.
_CONVERT_OPTIONS = {"CycleMLP": "--from", "MLP3D": "--inflate"}
_SIZES = ("channels", "depths", "mlp_ratios")


def other_weights(files: hub.Preset) -> str:
    """Return the end of a sentence: where the weights for an architecture may come from.

    Args:
        files: A preset without weights.

    Returns:
        ", or ...", with a command that takes this preset; empty if no command does.

    Example:

    >>> other_weights(hub.read_preset("mlp3d_xs"))
    ", or load 'mlp3d_xs_imagenet', which starts from ImageNet"
    >>> other_weights(hub.read_preset("mlp3d_tiny"))
    ', or train it: keras-mlp3d train --data DIRECTORY --preset mlp3d_tiny'
    """
    started, preset = f"{files.handle}_imagenet", shlex.quote(files.handle)
    if started in hub.list_presets():
        return f", or load {started!r}, which starts from ImageNet"
    if files.class_name == "CycleMLP" or (files.class_name == "MLP3D" and _fits_a_cycle_mlp(files)):
        return (
            ", or make a preset with weights from a CycleMLP checkpoint: keras-mlp3d convert "
            f"CHECKPOINT --to DIRECTORY {_CONVERT_OPTIONS[files.class_name]} {preset}"
        )
    if files.converter is not None:
        return f", or train it: keras-mlp3d train --data DIRECTORY --preset {preset}"
    return ""


def _fits_a_cycle_mlp(files: hub.Preset) -> bool:
    """Return whether a built-in CycleMLP has the sizes of a network, so that it can be inflated."""
    known = (hub.read_builtin(name) for name in hub.list_presets())
    sizes = [files.config.get(size) for size in _SIZES]
    return any(
        preset.class_name == "CycleMLP" and sizes == [preset.config[size] for size in _SIZES]
        for preset in known
    )
