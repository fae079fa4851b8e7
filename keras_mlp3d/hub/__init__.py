"""Presets: folders with a network's configuration and weights, on disk or on the Hub."""

from keras_mlp3d.hub.adapter_file import read_adapters, write_adapters
from keras_mlp3d.hub.client import HubError
from keras_mlp3d.hub.converted import converted_preset
from keras_mlp3d.hub.download import download_preset
from keras_mlp3d.hub.files import (
    CARD,
    CONFIG,
    CONVERTER,
    MAX_JSON_BYTES,
    METADATA,
    TASK,
    TASK_WEIGHTS,
    WEIGHTS,
    WEIGHTS_FORMATS,
    check_directory,
    make_class_names_printable,
    read_json,
    serialized,
    write_json,
    write_preset,
)
from keras_mlp3d.hub.local_folder import handle_nearby
from keras_mlp3d.hub.metadata import check_metadata, plain_metadata
from keras_mlp3d.hub.model_card import model_card
from keras_mlp3d.hub.named_weights import weights_sha256
from keras_mlp3d.hub.origin import Origin
from keras_mlp3d.hub.preset import (
    INFLATE,
    Preset,
    builtin_folder,
    fetch_weights,
    list_presets,
    make_converter,
    read_builtin,
    read_preset,
)
from keras_mlp3d.hub.upload import upload_preset
from keras_mlp3d.hub.web_download import WebFile, download_file
from keras_mlp3d.hub.weights import (
    WeightsFile,
    check_weights_file,
    file_sha256,
    layer_model,
    save_weights,
)

__all__ = [
    "CARD",
    "CONFIG",
    "CONVERTER",
    "INFLATE",
    "MAX_JSON_BYTES",
    "METADATA",
    "TASK",
    "TASK_WEIGHTS",
    "WEIGHTS",
    "WEIGHTS_FORMATS",
    "HubError",
    "Origin",
    "Preset",
    "WebFile",
    "WeightsFile",
    "builtin_folder",
    "check_directory",
    "check_metadata",
    "check_weights_file",
    "converted_preset",
    "download_file",
    "download_preset",
    "fetch_weights",
    "file_sha256",
    "handle_nearby",
    "layer_model",
    "list_presets",
    "make_class_names_printable",
    "make_converter",
    "model_card",
    "plain_metadata",
    "read_adapters",
    "read_builtin",
    "read_json",
    "read_preset",
    "save_weights",
    "serialized",
    "upload_preset",
    "weights_sha256",
    "write_adapters",
    "write_json",
    "write_preset",
]
