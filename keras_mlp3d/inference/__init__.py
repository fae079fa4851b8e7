"""Inference: scores of videos, averaged over their views, and accuracies on a data set."""

from keras_mlp3d.inference.average_precision import average_precision
from keras_mlp3d.inference.classify import Prediction, classify
from keras_mlp3d.inference.classify_dataset import DatasetScores, classify_dataset
from keras_mlp3d.inference.classify_stream import classify_stream
from keras_mlp3d.inference.classify_windows import WindowScores, classify_windows
from keras_mlp3d.inference.embed import Embedding, embed
from keras_mlp3d.inference.evaluate import evaluate
from keras_mlp3d.inference.evaluation import Evaluation, VideoResult, wilson_interval
from keras_mlp3d.inference.multi_label_evaluation import MultiLabelEvaluation, MultiLabelResult
from keras_mlp3d.inference.score_views import score_views
from keras_mlp3d.inference.wrong_answers import WrongAnswer, wrong_answers

__all__ = [
    "DatasetScores",
    "Embedding",
    "Evaluation",
    "MultiLabelEvaluation",
    "MultiLabelResult",
    "Prediction",
    "VideoResult",
    "WindowScores",
    "WrongAnswer",
    "average_precision",
    "classify",
    "classify_dataset",
    "classify_stream",
    "classify_windows",
    "embed",
    "evaluate",
    "score_views",
    "wilson_interval",
    "wrong_answers",
]
