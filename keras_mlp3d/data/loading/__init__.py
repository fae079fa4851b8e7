"""From rows to batches: the clips of an epoch, decoded ahead, for Keras and for tf.data."""
