"""A network keeps its weights when training or prediction fails or is interrupted."""

import functools

import keras


def _then_whole(method):
    @functools.wraps(method)
    def run(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            if getattr(self, "_jax_state", None):
                self.jax_state_sync()
                self._jax_state = None
            raise

    return run


class WholeWeights(keras.Model):
    """A `keras.Model` that is whole after an error, an interruption included.

    Keras's trainer for JAX takes the weights out of the model while it runs, and does not put them
    back when an exception passes (Keras 3.15): a clip of a wrong length in `predict` would leave a
    model without weights.
    """

    fit = _then_whole(keras.Model.fit)
    evaluate = _then_whole(keras.Model.evaluate)
    predict = _then_whole(keras.Model.predict)

    # The weights stay where they are until newer ones come. It costs no memory: a step gives its
    # buffers to the next, and JAX frees them whoever else holds them.
    def _purge_model_variables(self, **which):
        pass
