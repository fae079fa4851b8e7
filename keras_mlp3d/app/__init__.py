"""A page that tries networks on videos, in a browser. Needs Gradio (`keras-mlp3d[app]`)."""

from keras_mlp3d.app.answers import Answer, answers
from keras_mlp3d.app.launch import launch
from keras_mlp3d.app.limits import Limits, Refused
from keras_mlp3d.app.networks import Networks

__all__ = ["Answer", "Limits", "Networks", "Refused", "answers", "launch"]
