"""Readers that turn the lists of data sets into a `Manifest`, one file a data set."""

from keras_mlp3d.data.readers.csv import read_csv
from keras_mlp3d.data.readers.folder import read_folder
from keras_mlp3d.data.readers.kinetics import read_kinetics
from keras_mlp3d.data.readers.manifest import read_manifest
from keras_mlp3d.data.readers.something import read_something_v1, read_something_v2

__all__ = [
    "read_csv",
    "read_folder",
    "read_kinetics",
    "read_manifest",
    "read_something_v1",
    "read_something_v2",
]
