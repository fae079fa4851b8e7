"""Weights of the presets that start from the checkpoints of the CycleMLP authors.

At the first load the checkpoint is downloaded and converted to a preset in the user's cache. Later
loads read the cache, and need neither the network nor PyTorch.

Source: section 4.2.
"""

import importlib.util
import logging
import os
import pathlib

from keras_mlp3d import hub
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.conversion.checkpoint import MAX_COPIES, SLACK_BYTES, CheckpointError
from keras_mlp3d.conversion.cycle_mlp import load_cyclemlp
from keras_mlp3d.conversion.inflate import inflate
from keras_mlp3d.hub.model_card import with_address
from keras_mlp3d.models import CycleMLP, MLP3DBackbone

#: Environment variable: address of another place that has the files of the release.
MIRROR = "KERAS_MLP3D_CYCLEMLP_URL"
#: What `save_to_preset` writes itself.
_OF_EACH_SAVE = ("class_name", "parameter_count", "weights")

_logger = logging.getLogger("keras_mlp3d")


def make_weights(preset: hub.Preset) -> hub.Preset:
    """Return a preset with its weights on disk: from the cache, or downloaded and converted.

    Args:
        preset: A built-in preset whose `weights` are the address of a checkpoint, or those of the
            preset of a CycleMLP.

    Returns:
        The preset, with its weights in the cache.

    Raises:
        ImportError: If the checkpoint must be converted, and PyTorch is not installed.
        HubError: If the checkpoint cannot be downloaded.
        OSError: If the cache cannot be written.
        ValueError: If what was downloaded is no checkpoint of this network.

    Source:
        Section 4.2.
    """
    make = _inflate if preset.weights.startswith(hub.INFLATE) else _convert
    return hub.converted_preset(preset, lambda folder: make(preset, folder))


def _convert(preset: hub.Preset, folder: pathlib.Path) -> None:
    if importlib.util.find_spec("torch") is None:
        raise ImportError(
            f"The first load of the preset {preset.handle!r} converts a PyTorch checkpoint, which "
            "needs PyTorch: pip install torch. Later loads do not, on any backend."
        )
    name = preset.weights.rpartition("/")[2]
    mirror = os.environ.get(MIRROR)
    url = preset.weights if not mirror else f"{mirror.rstrip('/')}/{name}"
    model = CycleMLP(**preset.config)
    limit = MAX_COPIES[".pth"] * 4 * model.count_params() + SLACK_BYTES
    _logger.info("%s: downloading %s", preset.handle, url)
    try:
        file = hub.download_file(url, folder.with_name(name), limit)
    except (hub.HubError, ValueError) as error:
        if not mirror:
            raise
        raise type(error)(f"{error} The address is the one in {MIRROR}.") from error
    try:
        load_cyclemlp(model, file.path)
    except ValueError as error:
        file.remove()
        # Not the advice to the owner of a checkpoint: the preset decides what it must be.
        reason = error.reason if isinstance(error, CheckpointError) else str(error)
        raise ValueError(
            f"{url} did not bring the checkpoint of {preset.handle!r}, and what came was removed: "
            f"{reason}" + (f" The address is the one in {MIRROR}." if mirror else "")
        ) from error
    source = (
        f"{preset.metadata['source']}. Converted from {url} ({file.size:,} bytes, SHA-256 "
        f"{file.sha256})"
    )
    _save(model, folder, preset, source)
    file.remove()


def _inflate(preset: hub.Preset, folder: pathlib.Path) -> None:
    frame_preset = make_weights(hub.read_builtin(preset.weights.removeprefix(hub.INFLATE)))
    model = MLP3DBackbone(**preset.config)
    inflate(CycleMLP.from_preset(frame_preset), model)
    source = f"{preset.metadata['source']}. {frame_preset.metadata['source']}"
    _save(model, folder, preset, source)


def _save(
    model: CycleMLP | MLP3DBackbone, folder: pathlib.Path, preset: hub.Preset, source: str
) -> None:
    """Save the weights of a built-in preset, with a card that loads it by its built-in name."""
    kept = {name: preset.metadata[name] for name in preset.metadata if name not in _OF_EACH_SAVE}
    model.save_to_preset(folder, **{**kept, "source": source})
    card = folder / hub.CARD
    write_whole(card, with_address(card.read_text(encoding="utf-8"), folder.name).encode())
