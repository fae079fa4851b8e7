"""Presets: folders with a network's configuration and weights, on disk or on the Hub."""

from keras_mlp3d.hub.converter import make_converter
from keras_mlp3d.hub.files import (
    CARD,
    CONFIG,
    CONVERTER,
    METADATA,
    PRESET_FILES,
    TASK,
    TASK_WEIGHTS,
    WEIGHTS,
    check_directory,
    file_sha256,
    serialised,
    write_json,
    write_preset,
)
from keras_mlp3d.hub.model_card import model_card
from keras_mlp3d.hub.preset import Preset, list_presets, read_preset
from keras_mlp3d.hub.remote import HubError, download_preset, upload_preset
from keras_mlp3d.hub.weights import layer_model, load_weights, save_weights

__all__ = [
    "CARD",
    "CONFIG",
    "CONVERTER",
    "METADATA",
    "PRESET_FILES",
    "TASK",
    "TASK_WEIGHTS",
    "WEIGHTS",
    "HubError",
    "Preset",
    "check_directory",
    "download_preset",
    "file_sha256",
    "layer_model",
    "list_presets",
    "load_weights",
    "make_converter",
    "model_card",
    "read_preset",
    "save_weights",
    "serialised",
    "upload_preset",
    "write_json",
    "write_preset",
]
