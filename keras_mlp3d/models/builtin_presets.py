"""The class attribute `presets` of every network: the metadata of its built-in presets."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_mlp3d import hub


class BuiltinPresets:
    """The class attribute `presets`: name of each built-in preset of the class -> metadata."""

    def __get__(self, instance: Any, owner: Any) -> Mapping[str, dict[str, Any]]:
        table = _PresetTable(owner.preset_class_names())
        # Keras gets every attribute of a model that it saves or loads: that must read no file.
        return dict(table) if instance is None else table


class _PresetTable(Mapping[str, dict[str, Any]]):
    """Name -> metadata of the built-in presets of some classes, read when they are asked for."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = class_names

    @functools.cached_property
    def _metadata(self) -> dict[str, dict[str, Any]]:
        presets = (hub.read_builtin(name) for name in hub.list_presets())
        return {p.handle: p.metadata for p in presets if p.class_name in self._class_names}

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._metadata[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metadata)

    def __len__(self) -> int:
        return len(self._metadata)

    def __repr__(self) -> str:
        return repr(self._metadata)
