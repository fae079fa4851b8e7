"""Pictures of networks and of their predictions. Needs matplotlib (`keras-mlp3d[plots]`)."""

from keras_mlp3d.plots.average_precision import plot_average_precision
from keras_mlp3d.plots.comparison import plot_comparison
from keras_mlp3d.plots.confusion import plot_confusion
from keras_mlp3d.plots.correlation import plot_correlation
from keras_mlp3d.plots.curves import plot_curves
from keras_mlp3d.plots.figure import check_picture_path
from keras_mlp3d.plots.predictions import MAX_ROWS, plot_predictions
from keras_mlp3d.plots.schedules import plot_schedule
from keras_mlp3d.plots.search import plot_search
from keras_mlp3d.plots.timeline import check_overlay_path, plot_timeline, write_overlay
from keras_mlp3d.plots.wrong_answers import plot_wrong_answers

__all__ = [
    "MAX_ROWS",
    "check_overlay_path",
    "check_picture_path",
    "plot_average_precision",
    "plot_comparison",
    "plot_confusion",
    "plot_correlation",
    "plot_curves",
    "plot_predictions",
    "plot_schedule",
    "plot_search",
    "plot_timeline",
    "plot_wrong_answers",
    "write_overlay",
]
