"""Pictures of what networks say and are made of; needs matplotlib (`keras-mlp3d[plots]`)."""

from keras_mlp3d.plots.confusion import plot_confusion
from keras_mlp3d.plots.curves import plot_curves
from keras_mlp3d.plots.figure import check_picture_path
from keras_mlp3d.plots.predictions import MAX_ROWS, plot_predictions
from keras_mlp3d.plots.schedules import plot_schedule

__all__ = [
    "MAX_ROWS",
    "check_picture_path",
    "plot_confusion",
    "plot_curves",
    "plot_predictions",
    "plot_schedule",
]
