"""A small network, a recipe and clips without files, for runs that are killed and resumed.

As a script it trains in a folder, and kills itself where it is told to:
`python noise.py FOLDER OUTPUT EVERY [EVENT COUNT]`, EVERY being the steps from one checkpoint to
the next (0: none within an epoch) and EVENT "batch", "replace" or "replaced". `python noise.py`
alone reads such arguments from lines, runs each line in a fork of itself, which has imported
everything, and prints its exit code.
"""

import json
import os
import pathlib
import signal
import sys
import traceback

import keras
import numpy as np

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.training import Recipe, checkpoint, train

EPOCHS, BATCHES = 4, 5


class Clips(keras.utils.PyDataset):
    """Clips that the epoch and the batch decide, with a pattern that tells the class."""

    def __init__(self, epoch=0, batches=BATCHES, validation=False):
        super().__init__()
        self.epoch, self.batches, self.validation = epoch, batches, validation

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        place = 0 if self.validation else self.epoch + 1
        rng = np.random.default_rng([place, index])
        labels = np.arange(4, dtype="int32") % 2
        clips = rng.integers(0, 128, (4, 8, 32, 32, 3))
        return (clips + 100 * labels[:, None, None, None, None]).astype("uint8"), labels

    def on_epoch_end(self):
        self.epoch += 1


def make_model():
    """A network with every kind of state that a checkpoint must hold: dropout and drop path."""
    keras.utils.set_random_seed(0)
    backbone = MLP3DBackbone(
        (4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2", drop_path_rate=0.2, name="backbone"
    )
    return MLP3D(backbone, 2, dropout=0.2, name="model")


def make_recipe(**changes):
    values = {
        "epochs": EPOCHS,
        "warmup_epochs": 0.5,
        "batch_size": 4,
        "learning_rate": 1.0,
        "clip_norm": 1.0,
        "ema_momentum": 0.9,
    }
    return Recipe(**{"receipt": "unmeasured", "name": "noise", **values, **changes})


def run(folder, options=None, **changes):
    model = make_model()
    result = train(
        model,
        make_recipe(**changes),
        Clips(),
        Clips(validation=True),
        folder,
        {"training": "noise"},
        verbose=0,
        **(options or {}),
    )
    return model, result


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(event, count):
    """Makes the process kill itself at the `count`-th event."""
    left = [count]

    def happened():
        left[0] -= 1
        if not left[0]:
            _kill()

    if event == "batch":

        class Killer(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                happened()

        fit = MLP3D.fit

        def armed(self, *args, callbacks, **kwargs):
            return fit(self, *args, callbacks=[*callbacks, Killer()], **kwargs)

        MLP3D.fit = armed
        return
    replace = os.replace

    def replacing(source, target):
        if event == "replace":
            happened()
        replace(source, target)
        if event == "replaced":
            happened()

    checkpoint.os.replace = replacing


def main(folder, output, every, event=None, count=None):
    if event is not None:
        _arm(event, int(count))
    model, _ = run(folder, {"checkpoint_every": int(every) or None})
    checkpoint.save_weights(pathlib.Path(output), model)


def serve():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                main(*json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
