"""Types that signatures share."""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

#: A tensor of any backend, or a NumPy array: they have no common class.
Tensor: TypeAlias = Any
#: A shape: an integer per axis, None if its length is unknown. (Any, since most axes are known.)
Shape: TypeAlias = Sequence[Any]
#: A path.
StrPath: TypeAlias = str | os.PathLike[str]
#: What `dtype=` of a Keras layer takes: a name, a `keras.DTypePolicy`, or None for the default.
DType: TypeAlias = Any
