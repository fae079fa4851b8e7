"""Which backend an import takes if nobody chose one, and what the error says if there is none."""

import ast
import contextlib
import json
import os
import pathlib
import pickle
import subprocess
import sys
import types

import jedi
import keras
import pytest

import keras_mlp3d as km
from keras_mlp3d._utils import backend as keras_backend

BACKENDS = ["tensorflow", "jax", "torch"]
INSTALL = [f"pip install 'keras-mlp3d[{name}]'" for name in ("jax", "torch", "tensorflow")]
LINE = (
    "keras_mlp3d uses the Keras backend {}, the first installed of tensorflow, jax, torch; set "
    "KERAS_BACKEND to choose."
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this process see the named packages alone, and an empty home of Keras."""
    site = tmp_path / "site"
    for name in ("tensorflow", "jax", "jaxlib", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(site)])
    # The editable install has a finder of its own, which knows no backend.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KERAS_BACKEND", "")  # so that it is put back; empty is unset for Keras

    def install(*names):
        for name in names:
            (site / name).mkdir(parents=True)
            (site / name / "__init__.py").write_text("raise RuntimeError('imported')")
            if name == "jax":
                install("jaxlib")
        return site

    return install


def write_config(folder, **content):
    (folder / "keras").mkdir()
    (folder / "keras" / "keras.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        (["torch"], "torch"),
        (["jax"], "jax"),
        (["tensorflow"], "tensorflow"),
        (["torch", "jax"], "jax"),
        (["torch", "jax", "tensorflow"], "tensorflow"),
    ],
)
def test_the_first_installed_backend_is_taken_and_named(machine, caplog, installed, chosen):
    machine(*installed)
    keras_backend.choose_backend()
    assert os.environ["KERAS_BACKEND"] == chosen
    assert [record.getMessage() for record in caplog.records] == [LINE.format(chosen)]


def test_a_sentence_can_go_elsewhere(machine, caplog):
    machine("torch")
    said = []
    keras_backend.choose_backend(said.append)
    assert (said, caplog.records) == ([LINE.format("torch")], [])


@pytest.mark.parametrize("backend", [*BACKENDS, "numpy"])
def test_the_variable_is_obeyed_in_silence(machine, monkeypatch, caplog, backend):
    machine(*BACKENDS)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    keras_backend.choose_backend()
    assert os.environ["KERAS_BACKEND"] == backend
    assert caplog.records == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_own_file_is_obeyed_in_silence(machine, tmp_path, caplog, backend):
    machine(*BACKENDS)
    write_config(tmp_path, backend=backend)
    keras_backend.choose_backend()
    assert (os.environ["KERAS_BACKEND"], caplog.records) == ("", [])


@pytest.mark.parametrize("content", ['{"backend": "tensorflow"}', "{}", "[]", "no JSON", ""])
def test_a_file_without_a_choice_does_not_hinder(machine, tmp_path, content):
    """Keras writes "tensorflow" itself when it is first imported, installed or not."""
    machine("torch")
    write_config(tmp_path)
    (tmp_path / "keras" / "keras.json").write_text(content)
    keras_backend.choose_backend()
    assert os.environ["KERAS_BACKEND"] == "torch"


def assert_helpful(error):
    lines = str(error).splitlines()
    assert isinstance(error, ImportError)
    assert len(lines) <= 6
    assert [line.strip() for line in lines[2:5]] == INSTALL
    assert "KERAS_BACKEND" in lines[-1]
    return lines[0]


def test_without_a_backend(machine):
    machine()
    with pytest.raises(ImportError) as caught:
        keras_backend.choose_backend()
    assert assert_helpful(caught.value) == "No Keras backend is installed."


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chosen_backend_that_is_missing(machine, tmp_path, monkeypatch, backend):
    others = [name for name in BACKENDS if name != backend]
    machine(*others)
    told = f" chooses the Keras backend '{backend}', which is not installed. Installed: "
    told += ", ".join(others) + "."
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ImportError) as caught:
        keras_backend.choose_backend()
    assert assert_helpful(caught.value) == "KERAS_BACKEND" + told
    monkeypatch.setenv("KERAS_BACKEND", "")
    if backend != "tensorflow":
        write_config(tmp_path, backend=backend)
        with pytest.raises(ImportError) as caught:
            keras_backend.choose_backend()
        assert assert_helpful(caught.value) == str(tmp_path / "keras" / "keras.json") + told


def test_a_chosen_backend_that_keras_does_not_have(machine, monkeypatch):
    machine("torch")
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ImportError) as caught:
        keras_backend.choose_backend()
    assert "'theano', which is no backend of Keras" in assert_helpful(caught.value)


def test_what_looks_like_a_backend_and_is_none(machine):
    site = machine("jax")
    (site / "jaxlib" / "__init__.py").unlink()
    (site / "jaxlib").rmdir()  # JAX does not work without it
    (site / "tensorflow" / "python").mkdir(parents=True)  # as an uninstalled package leaves it
    assert keras_backend.installed_backends() == []


def test_the_file_is_found_as_keras_finds_it(monkeypatch):
    from keras.src.backend import config  # private; the rule is Keras's

    assert keras_backend._config_path() == config._config_path
    assert config.keras_home() == os.path.dirname(config._config_path)
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    assert keras_backend._config_path() == os.path.expanduser("~/elsewhere/keras.json")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert keras_backend._config_path() == "/tmp/.keras/keras.json"


# --- in processes of their own, with Keras itself ------------------------------------------------

#: Hides the backends that are named in the first argument.
HIDE = "import sys\nfor name in sys.argv[1].split(): sys.modules[name] = None\n"


def python(root_dir, home, code, hidden, **environment):
    """Runs code in a process without KERAS_BACKEND in which some backends are not installed."""
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", HIDE + code, " ".join(hidden)],
        env={**kept, "PYTHONPATH": str(root_dir), "KERAS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
    )


USE = """
import keras_mlp3d
import keras
keras.saving.get_registered_object("keras_mlp3d>MLP3D").__name__
keras.saving.get_registered_object("keras_mlp3d>CycleFC").__name__
print(keras.backend.backend())
"""


def test_an_import_uses_the_installed_backend_and_registers_the_layers(root_dir, tmp_path):
    """Twice, as Keras leaves "tensorflow" in its file the first time."""
    backend = keras.backend.backend()
    for is_first in (True, False):
        result = python(root_dir, tmp_path, USE, {*BACKENDS} - {backend})
        assert (result.returncode, result.stdout) == (0, f"{backend}\n"), result.stderr
        config = json.loads((tmp_path / "keras.json").read_text())
        assert config["backend"] == "tensorflow"
        lines = result.stderr.splitlines()
        assert (LINE.format(backend) in lines) == (is_first or backend != "tensorflow")


def registered(folder):
    """The names of the classes and functions that files of a folder register with Keras."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            decorators = map(ast.unparse, getattr(node, "decorator_list", []))
            if any("register" in decorator for decorator in decorators):
                yield node.name


def test_an_import_registers_whatever_a_saved_model_may_hold(root_dir, tmp_path):
    """Layers and networks, and the optimizers and metrics with which it was compiled."""
    code = "import keras_mlp3d, keras; print(*keras.saving.get_custom_objects())"
    result = python(root_dir, tmp_path, code, {*BACKENDS} - {keras.backend.backend()})
    names = {f"keras_mlp3d>{name}" for name in registered(root_dir / "keras_mlp3d")}
    assert {"keras_mlp3d>CycleFC", "keras_mlp3d>AdamW"} <= names
    assert names <= {*result.stdout.split()}, result.stderr


def test_an_import_without_a_backend(root_dir, tmp_path):
    result = python(root_dir, tmp_path, "import keras_mlp3d", BACKENDS)
    assert (result.returncode, result.stdout) == (1, "")
    for line in INSTALL:
        assert f"\n  {line}\n" in result.stderr
    assert "KERAS_BACKEND" in result.stderr
    assert "No module named" not in result.stderr


def test_an_import_after_keras_has_failed(root_dir, tmp_path):
    code = (
        "import os\n"
        "try:\n    import keras\nexcept ImportError:\n    pass\n"
        "os.environ['KERAS_BACKEND'] = 'torch'  # too late: Keras has read it\n"
        "try:\n    import keras_mlp3d\nexcept ImportError as error:\n    print(error)\n"
    )
    result = python(root_dir, tmp_path, code, ["jax"], KERAS_BACKEND="jax")
    assert result.returncode == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert "Keras was imported before keras_mlp3d, on its backend jax, and failed" in first
    assert "Restart Python" in first
    assert [line.strip() for line in lines[1:4]] == INSTALL


def test_an_import_on_a_broken_backend(root_dir, tmp_path):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("raise ImportError('libjax.so is damaged')")
    code = f"sys.path.insert(0, {str(tmp_path)!r})\nimport keras_mlp3d"
    result = python(root_dir, tmp_path, code, ["tensorflow"], KERAS_BACKEND="jax")
    assert result.returncode == 1
    assert "Keras cannot be imported on its backend jax: libjax.so is damaged." in result.stderr
    assert INSTALL[0] in result.stderr


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [("0.4.35", True), ("0.5.3", True), ("0.6.0", False), ("0.10.2", False), ("1.0.0", False)],
)
def test_an_import_on_a_jax_that_changes_weights(monkeypatch, version, is_refused):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(__version__=version))
    monkeypatch.setattr(keras_backend, "keep_compiled_programs", lambda: None)
    monkeypatch.setattr(keras_backend, "_is_prepared", False)
    expected = contextlib.nullcontext()
    if is_refused:
        expected = pytest.raises(ImportError, match=f"jax {version} is installed. Before 0.6")
    with expected as error:
        keras_backend.import_keras()
    assert error is None or "pip install 'keras-mlp3d[jax]'" in str(error.value)


# --- the names of the package --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "original", "is_command"),
    [
        (["/usr/bin/keras-mlp3d", "train"], ["python", "/usr/bin/keras-mlp3d", "train"], True),
        ([r"keras-mlp3d.exe"], ["python", "keras-mlp3d.exe"], True),
        (["keras-mlp3d-script.py"], ["python", "keras-mlp3d-script.py"], True),
        (["-m", "train"], ["python", "-u", "-m", "keras_mlp3d", "train"], True),
        (["-m"], ["python", "-mkeras_mlp3d"], True),
        (["-m", "keras_mlp3d"], ["python", "-m", "pytest", "keras_mlp3d"], False),
        (["keras_mlp3d.py"], ["python", "keras_mlp3d.py"], False),
        (["-c", "keras-mlp3d"], ["python", "-c", "import keras_mlp3d", "keras-mlp3d"], False),
        ([""], ["python"], False),
        ([], [], False),
        (["-m"], [], False),
    ],
)
def test_only_the_command_imports_keras_later(monkeypatch, argv, original, is_command):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert keras_backend.is_command() == is_command


def test_names_are_the_same_whenever_they_are_imported():
    for name in km.__all__:
        assert name in dir(km)
        assert getattr(km, name) is getattr(km, name)
    assert pickle.loads(pickle.dumps(km.MLP3D)) is km.models.MLP3D
    names = {}
    exec("from keras_mlp3d import *", names)
    assert {*km.__all__} <= {*names}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        km.nothing  # noqa: B018
    assert not hasattr(km, "_nothing")


LATE = """
import importlib, json, pkgutil, sys
import keras_mlp3d
for package, module, name in json.loads(sys.stdin.read()):
    found = importlib.import_module(package)
    for one in pkgutil.iter_modules(found.__path__):  # a module must not hide a name
        if one.name != "_torch":
            importlib.import_module(f"{package}.{one.name}")
    assert getattr(found, name) is getattr(importlib.import_module(module), name), name
    assert name in found.__all__ and name in dir(found), name
"""


def test_names_that_are_imported_late_are_those_of_their_modules(root_dir):
    late = []
    for package in ("keras_mlp3d.training", "keras_mlp3d.data"):
        path = root_dir / package.replace(".", "/") / "__init__.py"
        for block in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
                late += [
                    (package, node.module, alias.name)
                    for node in block.body
                    for alias in node.names
                    if alias.name != "motion_shapes"  # a package
                ]
    assert ("keras_mlp3d.training", "keras_mlp3d.training.run", "train") in late
    result = subprocess.run(
        [sys.executable, "-c", LATE],
        env={**os.environ, "PYTHONPATH": str(root_dir)},
        input=json.dumps(late),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_editors_see_every_name(root_dir):
    path = pathlib.Path(km.__file__)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [block, *_] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body for alias in node.names}
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    assert seen == {*km.__all__} - {"__version__"}
    project = jedi.Project(root_dir)
    for code, wanted in (
        ("km.data.", {"read_video", "VideoLoader", "Manifest"}),
        ("km.training.", {"make_optimizer", "Recipe"}),
        ("km.", {"MLP3D", "data", "search", "list_presets"}),
    ):
        script = jedi.Script(f"import keras_mlp3d as km\n{code}", project=project)
        assert wanted <= {one.name for one in script.complete()}, code
