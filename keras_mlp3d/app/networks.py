"""The networks of the page: loaded once, a few kept, each computing one batch after the other."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import keras

from keras_mlp3d import hub, models
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.recent import Recent
from keras_mlp3d.app.limits import Refused
from keras_mlp3d.data import VideoConverter

Result = TypeVar("Result")

#: Networks that have classes and take clips.
CLASSIFIERS = ("MLP3D", "TwoPathMLP3D", "FrameCycleMLP")

# Keras numbers layers and sets policies for the whole process: networks are built one by one.
_building = threading.Lock()


class Networks:
    """The networks that the page offers.

    A network is loaded by the first request that needs it. The most recently used are kept. What a
    network computes runs in a thread of its own, in the order of the requests, so that a long
    video's batches and those of other requests take turns.

    Args:
        presets: Built-in names, directories or hf:// addresses. Defaults to the built-in presets
            with classes and weights in the package, those trained on real videos first.
        keep: Largest number of networks in memory, besides those that are computing.

    Attributes:
        names: The presets as they were named, in order.

    Raises:
        ValueError: If a preset is unknown, or holds no network that classifies videos.

    Example:

    >>> networks = Networks()
    >>> networks.names[:2]
    ('mlp3d_tiny_grid_words', 'mlp3d_tiny_radar_gestures')
    >>> networks.run("mlp3d_nano_motion_shapes", lambda model: model.num_classes)
    20
    """

    def __init__(self, presets: Sequence[str] | None = None, keep: int = 3):
        check_integer("keep", keep)
        handles = list(dict.fromkeys(presets or ())) or bundled_classifiers()
        read = hub.read_preset if presets else hub.read_builtin
        self._files = {handle: _checked(read(handle)) for handle in handles}
        self.names = tuple(self._files)
        self._kept, self._lock = Recent(keep), threading.Lock()

    def files(self, name: str) -> hub.Preset:
        """Return the JSON files of a preset.

        Args:
            name: One of `names`.

        Raises:
            Refused: If it is none of them.
        """
        if name not in self._files:
            raise Refused(f"The page does not offer the preset {one_line(name)!r}.")
        return self._files[name]

    def converter(self, name: str) -> VideoConverter:
        """Return what turns a video into the clip of a network.

        Args:
            name: One of `names`.
        """
        return hub.make_converter(self.files(name).converter)

    def classes(self, name: str) -> list[str]:
        """Return the names of a network's classes, such as "class 7" if it has none.

        Args:
            name: One of `names`.
        """
        files = self.files(name)
        named = files.class_names
        count = (files.task or files.config).get("num_classes", 0)
        return list(named) if named else [f"class {place}" for place in range(count)]

    def gives_several(self, name: str) -> bool:
        """Return whether a network scores each class by itself, so that several may be right.

        Args:
            name: One of `names`.
        """
        files = self.files(name)
        return (files.task or files.config).get("activation") == "sigmoid"

    def run(
        self, name: str, function: Callable[[keras.Model], Result], until: float | None = None
    ) -> Result:
        """Return `function(model)`, computed in the thread of the network.

        Args:
            name: One of `names`.
            function: Takes the network.
            until: Time of `time.monotonic` up to which the caller waits, or None.

        Raises:
            Refused: If it takes longer, or the page does not offer the preset.
        """
        files = self.files(name)
        with self._lock:  # two first requests load it once
            network = self._kept.get(name)
            if network is None:
                network = _Network(files)
                self._kept.set(name, network)
        seconds = None if until is None else max(0.0, until - time.monotonic())
        return network.call(function, seconds)


class _Network:
    """A network that is loaded at its first call, and its thread."""

    def __init__(self, files: hub.Preset):
        self._files = files
        self._model: keras.Model | None = None
        # Its thread ends when the last reference to the executor is gone.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="network")

    def call(self, function: Callable[[keras.Model], Result], seconds: float | None) -> Result:
        waiting = self._thread.submit(self._compute, function)
        try:
            return waiting.result(seconds)
        except concurrent.futures.TimeoutError:
            if waiting.done():  # the function itself raised it
                raise
            waiting.cancel()
            raise Refused(
                "The network is busy or slow: there was no answer in time. Try again in a while."
            ) from None

    def _compute(self, function):
        if self._model is None:
            with _building:
                self._model = getattr(models, self._files.class_name).from_preset(self._files)
        return function(self._model)


def bundled_classifiers() -> list[str]:
    """Return the built-in presets that classify videos and whose weights are in the package.

    Those trained on real videos, which come with a notice of the people who recorded them, are
    first.

    Example:

    >>> bundled_classifiers()[-1]
    'mlp3d_nano_searched'
    """
    found = [hub.read_builtin(name) for name in hub.list_presets()]
    kept = [p for p in found if p.weights == "bundled" and p.class_name in CLASSIFIERS]
    return [p.handle for p in sorted(kept, key=lambda p: "notice" not in p.metadata)]


def _checked(files: hub.Preset) -> hub.Preset:
    """Refuse a preset that the page could not use, before the page is there."""
    if files.class_name not in CLASSIFIERS:
        raise ValueError(
            f"The preset {files.handle!r} holds a {files.class_name}; the page needs "
            f"{', '.join(CLASSIFIERS[:-1])} or {CLASSIFIERS[-1]}, which classify videos."
        )
    if files.weights == "none":
        raise ValueError(
            f"The preset {files.handle!r} has no weights. Train it first: keras-mlp3d train "
            f"--data DIRECTORY --preset {files.handle}."
        )
    if files.converter is None:
        raise ValueError(
            f"The preset {files.handle!r} does not say how a video becomes a clip: save it from a "
            "model with converter=keras_mlp3d.data.VideoConverter(...)."
        )
    hub.make_converter(files.converter)
    return files
