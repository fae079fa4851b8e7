"""The model card of a preset: its README.md on the Hugging Face Hub.

Everything in it comes from the preset's own files, which may come from anywhere. So every text is
escaped: a label cannot become a table cell, a heading, HTML or YAML.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_mlp3d.hub.card_sources import citation, origin
from keras_mlp3d.hub.markdown import code_block, fold, line, paragraphs, table, text
from keras_mlp3d.hub.metadata import plain_number

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_TASKS = {
    "CycleMLP": "image-classification",
    "FrameCycleMLP": "video-classification",
    "MLP3D": "video-classification",
    "TwoPathMLP3D": "video-classification",
    "MLP3DBackbone": "video-classification",
}
_LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_DATASET_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_FROM_PRESET = re.compile(r'(?<=\.from_preset\()"(?:[^"\\\n]|\\.)*"')
_SEVERAL = (
    "Each class has a score of its own, from 0 to 1 (sigmoid): a video may have several classes, "
    "or none."
)
_CLASSIFIERS = frozenset({"MLP3D", "TwoPathMLP3D", "FrameCycleMLP"})


def model_card(
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    task: Mapping[str, Any] | None = None,
    converter: Mapping[str, Any] | None = None,
    uri_hint: str | None = None,
    example: Sequence[int] | None = None,
) -> str:
    """Write the model card of a preset.

    A section whose keys are absent is left out. The results are those in the metadata that have a
    value; they are also in the `model-index`, which the Hub reads. Without one, the card says that
    the accuracy is unmeasured.

    Args:
        metadata: Content of the preset's `metadata.json`.
        config: Content of its `config.json`.
        task: Content of its `task.json`, or None.
        converter: Content of its `video_converter.json`, or None.
        uri_hint: None, or where the preset will be found, such as "hf://user/repo".
        example: None, or the shape of an input that the network takes, batch axis first.

    Returns:
        The text of README.md: YAML front matter, then Markdown.

    Example:

    >>> card = model_card({"class_name": "MLP3D", "parameter_count": 12}, {"config": {}})
    >>> card.splitlines()[:3]
    ['---', 'library_name: keras', 'pipeline_tag: video-classification']
    """
    class_name = metadata.get("class_name")
    if not isinstance(class_name, str) or class_name not in _TASKS:
        class_name = "MLP3D"
    title = f"# {class_name}"
    sections = [
        _front_matter(metadata, class_name) + "\n" + title,
        paragraphs(metadata.get("description")),
        _usage(metadata, class_name, converter, uri_hint, example, task),
        _sizes(metadata),
        _clip(metadata, converter),
        _results(metadata),
        _training(metadata),
        *_schedules(config),
        _labels(task),
        origin(metadata),
        citation(metadata),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(metadata: Mapping[str, Any], class_name: str) -> str:
    from huggingface_hub import ModelCardData

    fields: dict[str, Any] = {}
    if metadata.get("license"):
        name = line(metadata["license"])
        if _LICENSE_ID.fullmatch(name.lower()):
            fields["license"] = name.lower()
        else:
            # The Hub refuses names that it does not know, except in this form.
            fields |= {"license": "other", "license_name": name}
    datasets = [name for name in _list(metadata.get("datasets")) if isinstance(name, str)]
    datasets = [name for name in datasets if _DATASET_ID.fullmatch(name)]
    results = [_eval_result(metric, class_name) for metric in _metrics(metadata)]
    if results:
        fields |= {"eval_results": results, "model_name": class_name}
    tags = ["cyclemlp"] if class_name in ("CycleMLP", "FrameCycleMLP") else ["mlp-3d"]
    data = ModelCardData(
        library_name="keras",
        pipeline_tag=_TASKS[class_name],
        tags=[*tags, "keras", _TASKS[class_name]],
        datasets=datasets or None,
        **fields,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _metrics(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics that were measured, their values as plain numbers: YAML needs them."""
    metrics = [_dict(metric) for metric in _list(metadata.get("metrics"))]
    metrics = [{**metric, "value": plain_number(metric.get("value"))} for metric in metrics]
    return [metric for metric in metrics if metric["value"] is not None]


def _eval_result(metric: Mapping[str, Any], class_name: str) -> "EvalResult":
    """Return a metric in the form of the Hub's `model-index`."""
    from huggingface_hub import EvalResult

    name, dataset = line(metric.get("name", "")), line(metric.get("dataset", ""))
    slug = _NO_SLUG.sub("-", name.lower()).strip("-")
    is_id = _DATASET_ID.fullmatch(dataset)
    return EvalResult(
        task_type=_TASKS[class_name],
        dataset_type=dataset if is_id else _NO_SLUG.sub("-", dataset.lower()).strip("-") or "other",
        dataset_name=dataset or "unnamed",
        dataset_split=line(metric.get("split", "")) or None,
        metric_type="accuracy" if slug == "top-1-accuracy" else slug or "other",
        metric_name=name or None,
        metric_value=metric["value"],
    )


def with_address(card: str, uri: str) -> str:
    """Return a model card whose snippet loads the preset from another place.

    Args:
        card: Text of the card.
        uri: The place, such as "hf://user/repo".

    Example:

    >>> with_address('model = keras_mlp3d.MLP3D.from_preset("here")', "hf://me/net")
    'model = keras_mlp3d.MLP3D.from_preset("hf://me/net")'
    """
    address = json.dumps(line(uri), ensure_ascii=False)
    return _FROM_PRESET.sub(lambda _: address, card, count=1)


def _usage(
    metadata: Mapping[str, Any],
    class_name: str,
    converter: Any,
    uri_hint: str | None,
    example: Sequence[int] | None,
    task: Any,
) -> str:
    architecture = metadata.get("weights") == "none"
    arguments = json.dumps(line(uri_hint or "path/to/preset"), ensure_ascii=False)
    if architecture:
        arguments += ", load_weights=False"
    lines = ["import keras_mlp3d", "", f"model = keras_mlp3d.{class_name}.from_preset({arguments})"]
    if converter is not None and class_name in _CLASSIFIERS and not architecture:
        lines.append('predictions = keras_mlp3d.inference.classify(model, ["video.mp4"])')
    else:
        images = class_name == "CycleMLP"
        name, axes = ("images", "") if images else ("clips", "time, ")
        outputs = "scores" if _is_multi_label(task) else "logits"
        outputs = "tokens" if class_name == "MLP3DBackbone" else outputs
        shape = tuple(example or _example_shape(metadata, converter, images))
        lines = ["import numpy as np", "", *lines]
        lines += [
            f"# Your {name}: (batch, {axes}height, width, 3), values from 0 to 255.",
            f'{name} = np.zeros({shape}, "uint8")',
            f"{outputs} = model({name})",
        ]
    section = "## Use\n\n```python\n" + "\n".join(lines) + "\n```"
    section += (
        "\n\n`pip install keras-mlp3d` with a backend of Keras: TensorFlow, JAX or PyTorch. If you "
        "save the network as a `.keras` file, `import keras_mlp3d` before Keras loads the file: "
        "Keras does not find the classes otherwise."
    )
    if architecture:
        section += "\n\nThis preset is an architecture without weights: the model starts untrained."
    return section


def _example_shape(metadata: Mapping[str, Any], converter: Any, images: bool) -> tuple[int, ...]:
    """Return the shape of an input, from what the metadata and the converter say."""

    def sides(value: Any) -> list[int]:
        return [side for side in _list(value) if type(side) is int and 32 <= side <= 1024][:2]

    clip, settings = _dict(metadata.get("clip")), _settings(converter)
    sizes = (clip.get("size"), settings.get("image_size"), metadata.get("image_size"))
    size = next((side for side in map(sides, sizes) if len(side) == 2), [64, 64])
    frames = clip.get("frames", settings.get("num_frames"))
    frames = frames if type(frames) is int and 0 < frames <= 1024 else 32
    return (1, *size, 3) if images else (1, frames, *size, 3)


def _settings(content: Any) -> dict[str, Any]:
    """Return the arguments in the content of a file, or those arguments themselves."""
    settings = _dict(content)
    return _dict(settings.get("config")) or settings


def _sizes(metadata: Mapping[str, Any]) -> str:
    what = "image" if metadata.get("class_name") == "CycleMLP" else "clip"
    rows = []
    if _is_number(metadata.get("parameter_count")):
        rows.append(("parameters", f"{metadata['parameter_count']:,}"))
    if _is_number(metadata.get("macs")):
        rows.append(
            (f"multiply-accumulates of one {what}", f"{metadata['macs'] / 1e9:.2f} × 10⁹"),
        )
    return "## Size\n\n" + table(("", ""), rows) if rows else ""


def _clip(metadata: Mapping[str, Any], converter: Any) -> str:
    clip = _dict(metadata.get("clip"))
    settings = _settings(converter)
    size = clip.get("size", settings.get("image_size"))
    stated = [
        ("frames", clip.get("frames", settings.get("num_frames"))),
        ("height × width", " × ".join(str(side) for side in _list(size)) or None),
        ("sampling of frames", clip.get("sampling", settings.get("sampling"))),
        ("crop", settings.get("crop")),
    ]
    rows = [(name, text(value)) for name, value in stated if value is not None]
    return "## Clip\n\n" + table(("", ""), rows) if rows else ""


def _results(metadata: Mapping[str, Any]) -> str:
    metrics, reported = _metrics(metadata), _reported(metadata)
    if not metrics:
        return f"## Results\n\nThe accuracy of this preset is unmeasured.{reported}"
    rows = [
        (
            text(metric.get("name", "")),
            f"{metric['value']:.6g}",
            text(metric.get("dataset", "")),
            text(metric.get("split", "")),
        )
        for metric in metrics
    ]
    commands = [str(metric["command"]) for metric in metrics if metric.get("command")]
    section = "## Results\n\n" + table(("metric", "value", "data set", "split"), rows)
    for command in dict.fromkeys(commands):
        section += "\n\nMeasured with:\n\n" + code_block(command)
    return section + reported


def _reported(metadata: Mapping[str, Any]) -> str:
    """Return what others state of these weights: no result of ours, so not in `model-index`."""
    rows = [_dict(entry) for entry in _list(metadata.get("reported"))]
    return "".join(
        f"\n\nReported by {text(row.get('by', 'others'))}, not measured here: "
        f"{text(row.get('name', ''))} {row['value']:.6g} on {text(row.get('dataset', ''))}."
        for row in rows
        if _is_number(row.get("value"))
    )


def _training(metadata: Mapping[str, Any]) -> str:
    training = metadata.get("training")
    if not training:
        return ""
    if not isinstance(training, dict):
        return "## Training\n\n" + paragraphs(training)
    parts = ["## Training"]
    parts += [
        f"- {name}: {text(training[key])}"
        for key, name in (("data", "Data"), ("hardware", "Hardware"))
        if training.get(key)
    ]
    if training.get("command"):
        parts.append("\nTrained with:\n\n" + code_block(training["command"]))
    return "\n".join([parts[0], "", *parts[1:]])


def _schedules(config: Any) -> Iterator[str]:
    """Yield one section per backbone: its blocks with their kinds of grouped time mixing."""
    for path, backbone in _backbones(_dict(config)):
        pairs = [pair for pair in _list(backbone["schedule"]) if len(_list(pair)) == 2]
        depths = [depth for depth in _list(backbone.get("depths")) if type(depth) is int]
        stages = [""] * len(pairs)
        if sum(depths) == len(pairs) and min(depths, default=0) > 0:  # before any list is made
            stages = [str(stage) for stage, depth in enumerate(depths, 1) for _ in range(depth)]
        rows = [
            (str(block), stage, text(kind), "all" if size is None else text(size))
            for block, (stage, (kind, size)) in enumerate(zip(stages, pairs, strict=True), 1)
        ]
        if rows:
            title = "## Schedule" + (f" ({text(path)} path)" if path else "")
            columns = ("block", "stage", "kind of time mixing", "group size")
            yield title + "\n\n" + fold(table(columns, rows), len(rows), "blocks")


def _backbones(
    node: dict[str, Any], path: str = "", depth: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path of a two-path network or "", dict with a schedule), at up to 8 levels."""
    if "schedule" in node:
        yield path, node
    elif depth < 8:
        for key, value in node.items():
            inner = key if key in ("appearance", "motion") else path
            yield from _backbones(_dict(value), inner, depth + 1)


def _labels(task: Any) -> str:
    settings = _settings(task)
    names = _list(settings.get("class_names"))
    if not names:
        count = settings.get("num_classes")
        several = f" {_SEVERAL}" if _is_multi_label(task) else ""
        if not _is_number(count):
            return ""
        return f"## Labels\n\n{count} classes, without names.{several}"
    rows = [(str(index), text(name)) for index, name in enumerate(names)]
    several = f"{_SEVERAL}\n\n" if _is_multi_label(task) else ""
    return f"## Labels\n\n{several}" + fold(table(("index", "label"), rows), len(rows), "labels")


def _is_multi_label(task: Any) -> bool:
    return _settings(task).get("activation") == "sigmoid"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _is_number(value: Any) -> bool:
    return plain_number(value) is not None
