"""A user's program over the public names, for `mypy --strict`: it is type-checked, never run.

A line with `# type: ignore[...]` is a mistake that the types must find: mypy says so if they do not
(`warn_unused_ignores`).
"""

import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import assert_type

import numpy as np

import keras_mlp3d as km


def layers() -> None:
    tokens = np.zeros((1, 4, 8, 8, 16), "float32")
    km.layers.TubeletEmbedding(64, window=(4, 7, 7), strides=(4, 4, 4), padding=(0, 2, 2))
    km.layers.CycleFC(64, axis="width", kernel_size=3, use_bias=True)(tokens)
    mixing = km.layers.GroupedTimeMixing(
        "short_range", 4, share_weights=True, max_group_size=None, use_bias=True
    )
    assert_type(mixing, km.layers.GroupedTimeMixing)
    km.layers.StochasticDepth(0.1, name="drop", dtype="mixed_bfloat16")
    km.layers.StageTransition(128)
    assert_type(km.layers.stochastic_depth_rates((1, 2), 0.1), tuple[tuple[float, ...], ...])


def models() -> None:
    schedule = km.parse_schedule("short_range:4+shift_window:4", depth=10)
    assert_type(schedule, tuple[km.Mixing, ...])
    assert_type(schedule[0].kind, str)
    km.parse_schedule([("long_range", 2)] * 4, depth=4)
    backbone = km.MLP3DBackbone(
        (64, 128, 320, 512),
        (2, 2, 4, 2),
        4,
        schedule,
        share_weights=True,
        max_group_size=None,
        drop_path_rate=0.1,
        include_rescaling=True,
        input_shape=(None, None, None, 3),
        dtype="mixed_bfloat16",
        name="backbone",
    )
    assert_type(backbone.valid_num_frames(64), list[int])
    backbone.pyramid_outputs["P5"]
    model = km.MLP3D(backbone, 10, dropout=0.5, activation=None, class_names=None, converter=None)
    km.TwoPathMLP3D(model, model, motion_size=(128, 128))
    km.CycleMLP((64, 128, 320, 512), (2, 2, 4, 2), 4, num_classes=1000)


def presets(folder: pathlib.Path) -> None:
    assert_type(km.list_presets(), list[str])
    model = km.MLP3D.from_preset("mlp3d_xs", load_weights=False, num_classes=10)
    assert_type(model, km.MLP3D)
    assert_type(km.CycleMLP.from_preset("cyclemlp_b1"), km.CycleMLP)
    assert_type(km.TwoPathMLP3D.from_preset("mlp3d_xs"), km.TwoPathMLP3D)
    assert_type(km.MLP3DBackbone.from_preset("hf://a/b", schedule="full"), km.MLP3DBackbone)
    model.save_to_preset(folder, description="Mine.", metrics=[{"name": "top-1", "value": 0.5}])
    km.upload_preset("hf://user/repo", folder)
    preset = km.hub.read_preset("mlp3d_xs")
    assert_type(preset, km.hub.Preset)
    assert_type(preset.parameter_count, int)


def smaller_and_elsewhere(model: km.MLP3D, folder: pathlib.Path) -> None:
    model.quantize("int8")
    model.save_to_preset(folder, format="safetensors")
    model.enable_lora(8, targets=["mix_time"])
    assert_type(model.lora_rank, int | None)
    model.save_lora_weights(folder / "mine.lora.h5")
    model.load_lora_weights(folder / "mine.lora.h5")
    model.merge_lora()
    exported = model.export(folder / "model.onnx", format="onnx", size=(64, 64), int8=True)
    assert_type(exported, km.export.Exported)
    assert_type(exported.largest_difference, float)


def weights_of_the_frame_network(model: km.MLP3D) -> None:
    frames = km.CycleMLP.from_preset("cyclemlp_b1", load_weights=False)
    km.conversion.load_cyclemlp(frames, "CycleMLP_B1.pth")
    km.conversion.load_cyclemlp(frames, {"head.weight": np.zeros((1000, 512))})
    km.conversion.inflate(frames, model)


def cost(model: km.MLP3D, backbone: km.MLP3DBackbone) -> None:
    counted = km.cost.count(model, input_shape=(64, 224, 224, 3))
    assert_type(counted, km.cost.Cost)
    assert_type(counted.macs + km.cost.count(backbone).params, int)
    assert_type([row.macs for row in counted.layers], list[int])
    assert_type(counted.table(), str)


def videos(file: io.BytesIO) -> None:
    frames, fps = km.data.read_video("clip.mp4", indices=[0, 2])
    assert_type(frames, np.ndarray)
    print(fps)
    km.data.read_video(file.getvalue())
    km.data.read_video(pathlib.Path("clip.mp4"))
    assert_type(km.data.probe_video("clip.mp4"), km.data.VideoInfo)
    assert_type(km.data.frame_times("clip.mp4"), np.ndarray | None)
    converter = km.data.VideoConverter(
        num_frames=64, image_size=(128, 128), sampling="uniform", crop="center"
    )
    assert_type(converter("clip.mp4", np.random.default_rng(0)), np.ndarray)
    assert_type(converter.read("clip.mp4", clips=4, crops=3), km.data.Views)
    assert_type(km.data.VideoConverter.from_config(converter.get_config()), km.data.VideoConverter)


def datasets() -> None:
    manifest = km.data.read_folder("videos/train")
    assert_type(manifest, km.data.Manifest)
    assert_type(manifest.class_names, Sequence[str])
    assert_type([row.label for row in manifest.rows], list[int | tuple[int, ...]])
    assert_type(km.data.read_manifest("videos.csv"), km.data.Manifest)
    checked = km.data.check_videos(manifest)
    assert_type(next(iter(checked)), km.data.VideoCheck)
    loader = km.data.VideoLoader(
        manifest, km.data.VideoConverter(image_size=(64, 64)), batch_size=8, training=True
    )
    assert_type(len(loader), int)


def inference(model: km.MLP3D, manifest: km.data.Manifest) -> None:
    predictions = km.inference.classify(model, ["a.mp4"], clips=1, crops=3, top_k=5)
    assert_type(predictions, list[km.inference.Prediction])
    scored = km.inference.classify_dataset(iter(["a.mp4"]), "my_preset", "scores", address="local")
    assert_type(scored, km.inference.DatasetScores)
    [prediction] = km.inference.classify(model, np.zeros((8, 64, 64, 3), "uint8"), fps=25)
    assert_type(prediction.labels, tuple[str, ...])
    assert_type(prediction.scores, tuple[float, ...])
    assert_type(prediction.frame_indices, np.ndarray)
    assert_type(prediction.frame_times, np.ndarray | None)
    evaluation = km.inference.evaluate(model, manifest)
    assert_type(evaluation, km.inference.Evaluation)
    assert_type(evaluation.failed, tuple[tuple[str, str], ...])


def training(model: km.MLP3D, loader: km.data.VideoLoader) -> None:
    assert_type(km.training.list_recipes(), list[str])
    run = km.training.train(
        model, km.training.Recipe("unmeasured", "mine", epochs=2), loader, folder="run"
    )
    assert_type(run, km.training.TrainingRun)
    assert_type(run.best_epoch, int)
    km.training.freeze(model, 2)


def search(manifest: km.data.Manifest) -> None:
    space = km.search.SearchSpace(group_sizes=(1, 2))
    recipe = km.training.Recipe("unmeasured", "mine")
    model = km.search.train_supernet("mlp3d_nano", space, recipe, manifest, "found")
    assert_type(model, km.MLP3D)
    result, _ = km.search.find_schedule(model, space, manifest, "found")
    assert_type(result, km.search.SearchResult)
    assert_type(km.search.spearman([1.0, 2.0], [2.0, 1.0]), float)


def mistakes_that_the_types_find(model: km.MLP3D, manifest: km.data.Manifest) -> None:
    km.Mixing(4, "short_range")  # type: ignore[arg-type]
    km.parse_schedule("short_range:4", depth="10")  # type: ignore[arg-type]
    km.layers.CycleFC("64")  # type: ignore[arg-type]
    km.layers.StochasticDepth([0.1])  # type: ignore[arg-type]
    km.data.VideoConverter(num_frame=64)  # type: ignore[call-arg]
    km.data.VideoConverter(image_size=128)  # type: ignore[arg-type]
    km.inference.classify(model, ["a.mp4"], top=5)  # type: ignore[call-arg]
    km.cost.count(model).mac  # type: ignore[attr-defined]  # noqa: B018
    km.training.train(model, "fine_tune", manifest)  # type: ignore[arg-type]


def in_a_type(results: Iterator[km.inference.Prediction]) -> list[str]:
    return [prediction.labels[0] for prediction in results]
