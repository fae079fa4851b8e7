"""What a network keeps of the metadata of the preset that it was loaded from."""

import dataclasses
from collections.abc import Mapping
from typing import Any

#: Kept whatever becomes of the weights: what the result is derived from.
_OF_ANY_WEIGHTS = ("license", "notice", "citation", "source", "datasets")
#: Made at every save.
_OF_EACH_SAVE = (
    *("keras_mlp3d_version", "keras_version", "class_name", "parameter_count", "weights"),
    *("sha256", "weights_sha256", "date_saved"),
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """The preset that a network was loaded from.

    Args:
        metadata: Content of its `metadata.json`.
        weights_sha256: What `hub.weights_sha256` gives for its weights. None if the network was
            not loaded as it is stored, but with another head, schedule or other argument.

    Example:

    >>> origin = Origin({"license": "mit", "metrics": [], "weights": "bundled"}, "0a")
    >>> origin.kept("0a"), origin.kept("0b")
    ({'license': 'mit', 'metrics': []}, {'license': 'mit'})
    """

    metadata: Mapping[str, Any]
    weights_sha256: str | None

    def kept(self, weights_sha256: str) -> dict[str, Any]:
        """Return the metadata that still hold when the network is saved again.

        License, its notice, citation, source and data sets always do. The description, the metrics
        and all else are of those weights alone: they are kept only if the SHA-256 of the weights is
        the same.

        Args:
            weights_sha256: What `hub.weights_sha256` gives for the weights now.
        """
        if weights_sha256 == self.weights_sha256:
            return {k: v for k, v in self.metadata.items() if k not in _OF_EACH_SAVE}
        return {k: self.metadata[k] for k in _OF_ANY_WEIGHTS if k in self.metadata}
