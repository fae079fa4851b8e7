"""Slow, readable twins of the layers: loops in NumPy and float64, written from the paper.

They import nothing of the package. Weights come as a dict of arrays under the layers' own names,
such as `token_mixing/mix_width/dense/kernel`; `part(weights, name)` picks those below a name.
"""
