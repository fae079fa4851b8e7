"""Inference: scores of videos, averaged over their views; what they are worth on a data set."""

from keras_mlp3d.inference.classify import Prediction, classify
from keras_mlp3d.inference.evaluate import evaluate
from keras_mlp3d.inference.evaluation import Evaluation, VideoResult, wilson_interval
from keras_mlp3d.inference.score_views import score_views

__all__ = [
    "Evaluation",
    "Prediction",
    "VideoResult",
    "classify",
    "evaluate",
    "score_views",
    "wilson_interval",
]
