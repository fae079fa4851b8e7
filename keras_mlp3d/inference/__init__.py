"""Inference: scores of videos, averaged over their views."""

from keras_mlp3d.inference.classify import Prediction, classify
from keras_mlp3d.inference.score_views import score_views

__all__ = ["Prediction", "classify", "score_views"]
