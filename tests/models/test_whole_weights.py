import keras
import numpy as np
import pytest
from models import tiny
from numpy_weights import weights_of

WRONG = np.zeros((2, 10, 32, 32, 3), "uint8")  # no whole tubelets


class StopAfter(keras.callbacks.Callback):
    def __init__(self, batches, error):
        super().__init__()
        self.batches, self.error = batches, error

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.batches:
            raise self.error


def compiled():
    model = tiny.tiny_model(task={"dropout": 0.0})
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("what", ["predict", "fit", "evaluate"])
def test_a_wrong_clip_costs_no_weight(what):
    model = compiled()
    before = weights_of(model)
    arguments = (WRONG,) if what == "predict" else (WRONG, np.zeros(2))
    with pytest.raises(ValueError, match="frames"):
        getattr(model, what)(*arguments, verbose=0)
    after = weights_of(model)
    assert all((after[name] == value).all() for name, value in before.items())
    assert np.isfinite(model.predict(tiny.pixels(), verbose=0)).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("stop")])
def test_steps_made_before_an_interruption_are_kept(error):
    """Two steps and an interruption leave what two steps alone would leave."""
    clips, labels = tiny.pixels((3, *tiny.CLIP[1:])), np.arange(3)
    whole, stopped = compiled(), compiled()
    whole.fit(clips[:2], labels[:2], batch_size=1, shuffle=False, verbose=0)
    with pytest.raises(type(error)):
        stopped.fit(
            clips,
            labels,
            batch_size=1,
            shuffle=False,
            verbose=0,
            callbacks=[StopAfter(2, error)],
        )
    expected, got = weights_of(whole), weights_of(stopped)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=1e-6)
    assert stopped.optimizer.iterations == 2
    stopped.fit(clips, labels, batch_size=1, verbose=0)
    assert stopped.optimizer.iterations == 5
