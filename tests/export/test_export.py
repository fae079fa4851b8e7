"""Every cell of backend x format: it works and is compared, or it is refused by a sentence."""

import json
import runpy
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from data.make_videos import jpeg, moving_frames, write_video
from export.frames import video_like

from keras_mlp3d import export
from keras_mlp3d.data import VideoConverter, read_video
from keras_mlp3d.export import (
    FORMATS,
    ExportError,
    export_model,
    files,
    formats,
    load,
    runtimes,
)
from keras_mlp3d.inference import score_views
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D

BACKEND = keras.backend.backend()
#: What works, per backend; all else is refused.
MATRIX = {
    "tensorflow": ["tf_saved_model", "onnx", "openvino", "litert"],
    "jax": ["tf_saved_model"],
    "torch": ["onnx", "openvino", "torch"],
}
#: The exporter of PyTorch takes a minute if all lengths are open: "torch" has them, the others two.
SIZES = {"torch": {"onnx": (32, 40), "openvino": (32, 40)}}
#: Where a picture of 32 pixels has one token, in the last stage, is the kind that reshapes most.
SCHEDULE = ["short_range:2", "long_range:2", "shift_token:2", "shift_window:2"]
NAMES = ["up", "down", "left", "right", "still"]


def network(**options):
    backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 1, SCHEDULE, name="backbone")
    return MLP3D(backbone, 5, class_names=NAMES, name="tiny", **options)


@pytest.fixture(scope="module")
def model():
    return network(converter=VideoConverter(8, (32, 40)))


def clips(batch, frames, height, width):
    shape = (batch, frames, height, width, 3)
    return np.random.default_rng(batch).integers(0, 256, shape).astype("float32")


def outputs(model, inputs):
    return np.asarray(model.predict_on_batch(inputs))


def test_the_matrix_is_complete():
    assert formats() == MATRIX[BACKEND]
    assert {backend: formats(backend) for backend in MATRIX} == MATRIX


@pytest.mark.parametrize("format", FORMATS)
def test_each_cell_works_or_is_refused(format, model, tmp_path):
    path = tmp_path / f"model{FORMATS[format]}"
    if format not in MATRIX[BACKEND]:
        other = next(backend for backend, known in MATRIX.items() if format in known)
        with pytest.raises(ValueError, match=f"set KERAS_BACKEND={other} for it"):
            model.export(path, format)
        assert not list(tmp_path.iterdir())
        return
    size = SIZES.get(BACKEND, {}).get(format)
    exported = model.export(path, format, size=size)
    assert exported.open_axes == ("batch", "frames", "height", "width")[: 2 if size else 4]
    assert 0 <= exported.largest_difference <= 1e-4
    assert exported.size > 10_000
    assert exported.version
    run = load(path, format)
    # Another shape than those of the export, the smallest picture among them.
    inputs = clips(3, 24, *(size or (32, 57)))
    wanted = outputs(model, inputs)
    np.testing.assert_allclose(run(inputs), wanted, atol=1e-4 * np.ptp(wanted))
    content = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert content["labels"] == NAMES
    assert content["converter"] == model.converter.get_config()
    assert content["shape"][:2] == ["batch", "frames"]
    assert content["frames_are_multiples_of"] == 8
    result = subprocess.run(
        [sys.executable, f"{path}.example.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("(1, 5)")
    assert sum(name in result.stdout for name in NAMES) == 5
    kept = {path.name, f"{path.name}.json", f"{path.name}.example.py", "model.bin"}
    assert {each.name for each in tmp_path.iterdir()} <= kept


@pytest.fixture(scope="module")
def with_preprocessing(model, tmp_path_factory):
    """The artifact with preprocessing, two clips and three crops, in the backend's best format."""
    format = {"tensorflow": "onnx", "jax": "tf_saved_model", "torch": "onnx"}[BACKEND]
    path = tmp_path_factory.mktemp("whole") / f"model{FORMATS[format]}"
    return path, export_model(model, path, format, preprocessing=True, clips=2, crops=3)


@pytest.mark.parametrize("shape", [(8, 32, 40), (21, 45, 60), (5, 70, 33)])
def test_preprocessing_is_that_of_the_converter(shape, model, with_preprocessing):
    path, exported = with_preprocessing
    assert exported.open_axes == ("frames", "height", "width")
    assert exported.largest_difference <= 1e-4
    frames = video_like(shape)
    views, _ = model.converter.views(frames, clips=2, crops=3)
    wanted = score_views(model, views).mean(axis=0)
    scores = load(path, exported.format)(frames)
    assert scores.shape == (5,)
    # Exact if nothing is resized; resized pixels may differ by one of 255 levels.
    part = 1e-4 if shape[1:] == (32, 40) else 1e-2
    np.testing.assert_allclose(scores, wanted, atol=part * np.ptp(wanted))


@pytest.mark.skipif(BACKEND == "jax", reason="JAX makes no ONNX, and refuses it above")
def test_a_program_without_keras_classifies_a_video(with_preprocessing, model, video, root):
    path, _ = with_preprocessing
    program = (root / "examples" / "run_onnx.py").read_text()
    assert "keras" not in program.split('"""')[2]
    result = subprocess.run(
        [sys.executable, "-W", "error", root / "examples" / "run_onnx.py", path, video],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split("%") for line in result.stdout.splitlines()]
    views, _ = model.converter.views(str(video), clips=2, crops=3)
    wanted = score_views(model, views).mean(axis=0)
    assert [name.strip() for _, name in rows] == [NAMES[i] for i in np.argsort(-wanted)]
    assert [float(score) for score, _ in rows] == pytest.approx(100 * np.sort(wanted)[::-1], abs=1)


@pytest.fixture
def frames_given(root, monkeypatch, tmp_path):
    """Runs the program on a video; the frames that it gives the artifact, which is no real one."""

    def run(path):
        given = {}

        class Session:
            def __init__(self, model):
                assert model == str(tmp_path / "model.onnx")

            def run(self, names, inputs):
                given.update(inputs)
                return [np.array([1.0])]

        (tmp_path / "model.onnx.json").write_text('{"labels": ["up"]}')
        monkeypatch.setitem(
            sys.modules, "onnxruntime", types.SimpleNamespace(InferenceSession=Session)
        )
        monkeypatch.setattr(sys, "argv", ["run_onnx.py", str(tmp_path / "model.onnx"), str(path)])
        runpy.run_path(str(root / "examples" / "run_onnx.py"))
        return given["frames"]

    return run


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90, 45])
def test_a_program_without_keras_turns_a_video_as_the_package_does(
    degrees, mirror, frames_given, tmp_path, capsys
):
    path = write_video(
        tmp_path / "turned.mov",
        moving_frames(3, 32, 48),
        codec="png",
        pix_fmt="rgb24",
        setup=lambda stream: stream.set_display_rotation(degrees, hflip=mirror),
    )
    wanted, _ = read_video(path)
    assert wanted.shape == ((3, 48, 32, 3) if abs(degrees) == 90 else (3, 32, 48, 3))
    np.testing.assert_array_equal(frames_given(path), wanted)
    assert capsys.readouterr().out == "100.0 %  up\n"


def test_a_program_without_keras_refuses_pictures_of_two_sizes(frames_given, tmp_path):
    path = tmp_path / "two.mjpeg"
    path.write_bytes(b"".join(jpeg(moving_frames(1, *size)[0]) for size in [(32, 48), (48, 64)]))
    with pytest.raises(SystemExit) as ended:
        frames_given(path)
    assert ended.value.code == (
        f"{path}: its pictures must be of one size, got 48 x 32 and then 64 x 48. Convert the "
        "video to one size."
    )


@pytest.fixture
def root(pytestconfig):
    return pytestconfig.rootpath


@pytest.fixture
def video(tmp_path):
    import av

    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for number in range(12):
            pixels = np.zeros((64, 80, 3), "uint8")
            pixels[:, 5 * number : 5 * number + 20] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def other_network(name):
    images = CycleMLP((8, 8, 8, 8), (1, 1, 1, 1), 1, num_classes=3, name="images")
    if name == "images":
        return images
    if name == "frame by frame":
        return FrameCycleMLP(images, activation="softmax")
    if name == "backbone":
        return network().backbone
    motion = MLP3D(MLP3DBackbone((8,) * 4, (1,) * 4, 1, SCHEDULE), 5)
    return TwoPathMLP3D(network(), motion, (32, 32))


@pytest.mark.parametrize("name", ["images", "frame by frame", "two paths", "backbone"])
def test_each_network_is_exported(name, tmp_path):
    format = {"tensorflow": "tf_saved_model", "jax": "tf_saved_model", "torch": "torch"}[BACKEND]
    fixed = {} if name == "images" else {"frames": 8}
    path = tmp_path / f"model{FORMATS[format]}"
    exported = other_network(name).export(path, format, batch=2, size=(32, 40), **fixed)
    assert exported.open_axes == ()
    assert exported.largest_difference <= 1e-4


@pytest.mark.skipif(BACKEND == "jax", reason="no ONNX, and refused above")
@pytest.mark.parametrize("name", ["frame by frame", "two paths"])
def test_each_network_has_open_lengths_in_onnx(name, tmp_path):
    """Slow on PyTorch, whose exporter tries what lengths may be."""
    exported = other_network(name).export(tmp_path / "model.onnx", "onnx")
    assert exported.open_axes == ("batch", "frames", "height", "width")
    assert exported.largest_difference <= 1e-4


@pytest.mark.skipif(BACKEND == "jax", reason="neither ONNX nor LiteRT, and refused above")
def test_int8_is_small_and_close(tmp_path):
    backbone = MLP3DBackbone((64, 64, 128, 128), (1, 1, 1, 1), 2, SCHEDULE)
    model = MLP3D(backbone, 5)
    format = {"tensorflow": "litert", "torch": "onnx"}[BACKEND]
    path = tmp_path / f"model{FORMATS[format]}"
    exported = model.export(path, format, int8=True, batch=1, frames=8, size=(32, 32))
    assert 1e-4 < exported.largest_difference <= 0.1
    # Convolutions stay float32: the embedding and the stage transitions.
    kept = sum(4 * int(np.prod(w.shape)) for w in model.weights if len(w.shape) > 3)
    assert exported.size < kept + 1.5 * model.count_params() + 50_000


# --- nothing is written that is not right --------------------------------------------------------


def last_format():
    return MATRIX[BACKEND][-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "keras"}, "format must be one of"),
        ({"frames": 12}, "a clip of 12 frames does not fit the schedule"),
        ({"frames": 0}, "frames must be a positive integer"),
        ({"batch": 1.5}, "batch must be a positive integer"),
        ({"size": (16, 40)}, "needs a height of at least 32 pixels"),
        ({"size": 64}, "size must be"),
        ({"preprocessing": "yes"}, "preprocessing must be"),
        ({"preprocessing": True, "frames": 8}, "frames must be None if preprocessing=True"),
        ({"crops": 3}, "crops needs preprocessing=True"),
    ],
)
def test_bad_arguments(arguments, message, model, tmp_path):
    format = last_format()
    options = {"format": format, **arguments}
    with pytest.raises(ValueError, match=message):
        model.export(tmp_path / f"model{FORMATS[format]}", **options)
    assert not list(tmp_path.iterdir())


def test_networks_that_no_format_can_hold(tmp_path):
    path, format = tmp_path / f"model{FORMATS[last_format()]}", last_format()
    with pytest.raises(ValueError, match="needs a converter, and tiny has none: pass converter"):
        network().export(path, format, preprocessing=True)
    with pytest.raises(ValueError, match="FrameCycleMLP"):
        CycleMLP((8,) * 4, (1,) * 4, 1, 3).export(path, format, preprocessing=True)
    nearest = VideoConverter(8, (32, 40), interpolation="nearest")
    with pytest.raises(ValueError, match="got 'nearest'"):
        network(converter=nearest).export(path, format, preprocessing=True)
    half = MLP3D(MLP3DBackbone((8,) * 4, (1,) * 4, 1, SCHEDULE, dtype="mixed_bfloat16"), 5)
    with pytest.raises(ValueError, match="of dtype 'float32', got 'mixed_bfloat16'"):
        half.export(path, format)
    quantized = network()
    quantized.quantize("int8")
    with pytest.raises(ValueError, match="quantized to int8"):
        quantized.export(path, format)
    switchable = MLP3DBackbone((8,) * 4, (1,) * 4, 1, SCHEDULE, candidates=["short_range:2"])
    with pytest.raises(ValueError, match=r"no format can switch: export what models\.extract"):
        MLP3D(switchable, 5).export(path, format)
    if FORMATS[format]:
        with pytest.raises(ValueError, match=r"must end in '\."):
            network().export(tmp_path / "model", format)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_one_line(model, monkeypatch, tmp_path):
    format = {"tensorflow": "onnx", "jax": "tf_saved_model", "torch": "onnx"}[BACKEND]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'keras-mlp3d\[(export|tensorflow-cpu)\]'$"):
        model.export(tmp_path / f"model{FORMATS[format]}", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", ["converter", "runtime", "values", "numbers"])
def test_what_is_wrong_does_not_appear_and_keeps_what_was_there(
    fault, model, monkeypatch, tmp_path
):
    format = last_format()
    path = tmp_path / f"model{FORMATS[format]}"
    if FORMATS[format]:
        path.write_bytes(b"earlier")
    else:
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"earlier")

    def way(graph, artifact, int8):
        if fault == "converter":
            raise KeyError("no such\noperator")
        artifact.write_bytes(b"new")
        return "1"

    def load_it(artifact, given, returned):
        if fault == "runtime":
            raise RuntimeError("not a model")
        wrong = {"values": 1e-3, "numbers": np.nan}[fault]
        return lambda inputs: outputs(model, inputs) * (1 + wrong)

    module = sys.modules["keras_mlp3d.export.export_model"]
    monkeypatch.setitem(module._WAYS[BACKEND], format, (way, ()))
    monkeypatch.setitem(module._RUNTIMES, format, load_it)
    with pytest.raises(ExportError) as caught:
        model.export(path, format)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    earlier = path if FORMATS[format] else path / "saved_model.pb"
    assert earlier.read_bytes() == b"earlier"


@pytest.mark.parametrize("domain", ["", "com.example"])
def test_foreign_operators_are_refused(domain, tmp_path):
    import onnx

    shape = onnx.helper.make_tensor_value_info
    values = [shape(name, onnx.TensorProto.FLOAT, [2]) for name in ("x", "y")]
    node = onnx.helper.make_node("Erf", ["x"], ["y"], domain=domain)
    graph = onnx.helper.make_graph([node], "one", values[:1], values[1:])
    versions = [onnx.helper.make_opsetid(name, 18) for name in {"", domain}]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=versions, ir_version=9), tmp_path / "x.onnx"
    )
    if domain:
        with pytest.raises(ValueError, match=r"outside ONNX's standard set: com\.example\.Erf"):
            runtimes.onnx(tmp_path / "x.onnx", "x", "y")
    else:
        run = runtimes.onnx(tmp_path / "x.onnx", "x", "y")
        assert run(np.zeros(2, "float32")).tolist() == [0, 0]


def test_a_full_disk_is_named(model, monkeypatch, tmp_path):
    format = last_format()
    path = tmp_path / f"model{FORMATS[format]}"

    def way(graph, artifact, int8):
        raise OSError(28, "No space left on device", str(artifact))

    module = sys.modules["keras_mlp3d.export.export_model"]
    monkeypatch.setitem(module._WAYS[BACKEND], format, (way, ()))
    with pytest.raises(OSError, match="No space left") as caught:
        model.export(path, format)
    assert (caught.value.errno, caught.value.filename) == (28, str(path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["", "/variables/a", ".json", ".example.py"])
def test_errors_name_the_files_as_they_are_called_in_the_end(ending, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(PermissionError) as caught, files.appearing_at(path) as artifact:
        raise PermissionError(13, "Permission denied", f"{artifact}{ending}")
    assert caught.value.filename == f"{path}{ending}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("absent", "The folder '.*absent' does not exist"), ("file", "Not a directory")],
)
def test_a_folder_that_cannot_be_written_to(folder, reason, model, tmp_path):
    (tmp_path / "file").write_text("a file")
    format = last_format()
    path = tmp_path / folder / f"model{FORMATS[format]}"
    with pytest.raises(OSError, match=reason) as caught:
        model.export(path, format)
    assert caught.value.filename == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_something_else_is_kept(model, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("kept")
    if "tf_saved_model" not in MATRIX[BACKEND]:
        pytest.skip("this backend writes no folders")
    with pytest.raises(FileExistsError, match="a folder without a SavedModel"):
        model.export(tmp_path / "notes", "tf_saved_model")
    assert (tmp_path / "notes" / "a.txt").read_text() == "kept"
    serving = tmp_path / "1"
    for place in ("assets.extra", "assets"):
        (serving / place).mkdir(parents=True)
        (serving / "saved_model.pb").write_bytes(b"")
        (serving / place / "mine").write_text("kept")
        with pytest.raises(FileExistsError, match="which is no part of its SavedModel"):
            model.export(serving, "tf_saved_model")
        assert (serving / place / "mine").read_text() == "kept"
        shutil.rmtree(serving)


def test_benchmark_has_a_row_per_format(model, monkeypatch):
    """The table alone: `tests/cli/test_export.py` makes one of real exports."""
    videos = [(clips(1, 8, 32, 40)[0].astype("uint8"), label) for label in range(5)]
    module = sys.modules["keras_mlp3d.export.benchmark"]

    def made(network, path, format, **options):
        if format == "openvino":
            raise ExportError("it differs")
        return export.Exported(path, format, "1", (), 1e-7, 1000)

    monkeypatch.setattr(module, "formats", lambda: ["onnx", "openvino"])
    monkeypatch.setattr(module, "export_model", made)
    monkeypatch.setattr(module, "load", lambda path, format: lambda x: -outputs(model, x))
    rows = export.benchmark(model, (8, 32, 40, 3), videos)
    assert [row.name for row in rows] == ["keras", "onnx", "onnx int8", "openvino"]
    assert [row.error for row in rows] == ["", "", "", "it differs"]
    assert [row.top1 for row in rows] == [0.2, 0.2, 0.2, None]  # one clip under each label
    assert all((row.milliseconds or 0) > 0 for row in rows[:3])
    assert rows[3].milliseconds is None
