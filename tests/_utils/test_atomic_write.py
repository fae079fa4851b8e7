"""No write of the package leaves half a file, and a full disk names the file: each of them."""

import ast
import contextlib
import errno
import os
import pathlib
import resource
import subprocess

import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, MLP3DBackbone, hub, plots
from keras_mlp3d._utils.atomic_write import (
    append,
    folder_beside,
    naming,
    reserve,
    write_whole,
    written_beside,
)
from keras_mlp3d.cli.terminal import print_error
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, check_videos
from keras_mlp3d.data.datasets import motion_shapes
from keras_mlp3d.data.datasets.check import write_check_report
from keras_mlp3d.data.datasets.shards.write import write_shards
from keras_mlp3d.inference import Evaluation, VideoResult
from keras_mlp3d.search import Network, compare, correlation
from keras_mlp3d.search.trace import Trace
from keras_mlp3d.training import EventFiles, checkpoint

PACKAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "keras_mlp3d"


@contextlib.contextmanager
def no_room(size):
    """No file of this process grows over so many bytes: what a full disk does, as `EFBIG`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def small_model():
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(40)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def classifier():
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2")
    return MLP3D(backbone, 2, converter=VideoConverter(8, (32, 32)))


def videos(folder):
    if not (folder / "videos").exists():
        motion_shapes.write_motion_shapes(folder / "videos", num_clips=2)
    paths = sorted((folder / "videos").rglob("*.mp4"))[:2]
    return Manifest(tuple(VideoRow(str(path), 0) for path in paths), ("a",), "train")


def evaluation():
    results = [VideoResult(f"{k}.mp4", None, None, 0, 0, 0.75, 1) for k in range(20)]
    return Evaluation(("run", "jump"), np.array([20, 0]), results, ())


class Toy:
    def gmacs(self, schedule):
        return 1.0

    def __call__(self, schedule, seed=0):
        return 0.5


def shards(folder):
    write_shards(videos(folder), folder / "out", num_shards=1, store="video")


def network(folder):
    return Network(f"{folder.name} a name of some length, so that there is much to write", None)


#: What writes -> (the file that it writes, a function that writes it into a folder).
WRITERS = {
    "a whole file": ("file", lambda f: write_whole(f / "file", b"new" * 99)),
    "an appended file": ("file", lambda f: append(f / "file", b"new" * 99, sync=True)),
    "a checkpoint": (
        "checkpoint-000001.npz",
        lambda f: checkpoint.save_checkpoint(f, small_model(), 1),
    ),
    "weights of the best epoch": (
        "best.npz",
        lambda f: checkpoint.save_weights(f / "best.npz", small_model()),
    ),
    "weights as HDF5": (
        "model.weights.h5",
        lambda f: hub.save_weights(small_model(), f / "model.weights.h5"),
    ),
    "JSON of a preset": ("a.json", lambda f: hub.write_json(f / "a.json", {"a": "b" * 400})),
    "an evaluation": ("e.json", lambda f: evaluation().write_json(f / "e.json")),
    "a picture": ("p.png", lambda f: plots.plot_curves({"loss": [2.0, 1.0]}, f / "p.png")),
    "a comparison": (
        "comparison.json",
        lambda f: compare([network(f)] * 2, Toy(), path=f / "comparison.json"),
    ),
    "a correlation": (
        "c.json",
        lambda f: correlation(
            {"a long name" * 9: "shift_token:2", "b": "shift_token:4"}, Toy(), Toy(), f / "c.json"
        ),
    ),
    "the trace of a search": (
        "trace.jsonl",
        lambda f: Trace(f / "trace.jsonl", {"depth": 2}).add(["shift_token:2" * 20, None], 7, 0.5),
    ),
    "a manifest": ("m.csv", lambda f: videos(f).write_csv(f / "m.csv")),
    "a report on videos": (
        "report.csv",
        lambda f: write_check_report(list(check_videos(videos(f))), f / "report.csv"),
    ),
    "a shard": ("out/train-00000-of-00001.tfrecord", shards),
}


@pytest.mark.parametrize("what", WRITERS)
@pytest.mark.parametrize("size", [0, 60])
def test_without_room_the_file_is_named_and_what_was_there_stays(tmp_path, what, size):
    name, write = WRITERS[what]
    videos(tmp_path)
    small_model()
    write(tmp_path)
    assert (tmp_path / name).is_file()
    before = content_of(tmp_path)
    assert len(before[name]) > 60, "there must be something that does not fit"
    for path in (tmp_path / "out").glob("*.json"):  # a shard that is finished is not written again
        path.unlink()
        del before[f"out/{path.name}"]
    with no_room(size), pytest.raises(OSError, match="File too large") as caught:
        write(tmp_path)
    assert caught.value.filename == str(tmp_path / name)
    assert caught.value.errno == errno.EFBIG
    assert content_of(tmp_path) == before


@pytest.mark.parametrize("size", [0, 3000])
def test_a_preset_is_whole_or_as_it_was(tmp_path, size):
    model = classifier()
    with no_room(size), pytest.raises(OSError, match="File too large") as caught:
        model.save_to_preset(tmp_path / "preset")
    assert pathlib.Path(caught.value.filename).parent == tmp_path / "preset"
    assert not list(tmp_path.iterdir())
    model.save_to_preset(tmp_path / "preset")
    before = content_of(tmp_path)
    with no_room(size), pytest.raises(OSError, match="File too large") as caught:
        model.save_to_preset(tmp_path / "preset", "another")
    assert caught.value.__notes__ == ["The preset that was there before is untouched."]
    assert content_of(tmp_path) == before


def test_logs_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    history = {"loss": [2.0]}
    logs = EventFiles(tmp_path, history)
    logs.on_train_begin()
    [path] = tmp_path.rglob("*tfevents*")
    before = path.read_bytes()
    history["loss"].append(1.0)
    with no_room(len(before) + 10), pytest.raises(OSError, match="File too large") as caught:
        logs.on_epoch_end(1)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 100 KiB of its own, which the system must let us make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    model, path = small_model(), small_disk / "model.weights.h5"
    hub.save_weights(model, path)
    before = content_of(small_disk)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    for write in (
        lambda: hub.save_weights(model, path),
        lambda: write_whole(path, b"0" * 5000),
        lambda: append(path, b"0" * 50_000),
    ):
        with pytest.raises(OSError, match="No space left on device") as caught:
            write()
        assert caught.value.filename == str(path)
    filler.unlink()
    assert content_of(small_disk) == before


# --- the mechanism -------------------------------------------------------------------------------

HDF5 = "Can't synchronously write data (file write failed: errno = 28, error message = 'No space')"


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
        (OSError(errno.ENOSPC, HDF5), errno.ENOSPC),
        (OSError(HDF5), errno.ENOSPC),
        (PermissionError(errno.EACCES, "Permission denied", ".a.csv.part"), errno.EACCES),
        (OSError("something odd"), None),
    ],
)
def test_errors_get_the_name_and_keep_their_kind(error, number):
    with (
        pytest.raises(type(error), match=r"a\.csv") as caught,
        naming("a.csv", "b.csv is whole.", [".a.csv.part"]),
    ):
        raise error
    assert caught.value.errno == number
    if number is None:
        assert str(caught.value) == "Cannot write 'a.csv': something odd"
    else:
        assert (caught.value.filename, caught.value.strerror) == ("a.csv", os.strerror(number))
    notes = ["b.csv is whole."] if number == errno.ENOSPC else []
    assert getattr(caught.value, "__notes__", []) == notes


def test_an_error_of_another_file_keeps_its_name():
    with pytest.raises(FileNotFoundError) as caught, naming("to.csv"):
        pathlib.Path("from.csv").read_text()
    assert caught.value.filename == "from.csv"


def test_what_is_whole_is_said_on_the_command_line_too(capsys):
    with pytest.raises(OSError) as caught, naming("b.npz", "a.npz is whole."):
        raise OSError(errno.ENOSPC, "No space left on device")
    print_error(caught.value)
    assert capsys.readouterr().err == (
        "keras-mlp3d: error: No space left on device: b.npz. a.npz is whole.\n"
    )


def test_an_interrupted_write_leaves_nothing(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), written_beside(tmp_path / "a") as beside:
        half(beside)
    assert content_of(tmp_path) == {"a": b"before"}


@pytest.mark.parametrize("error", [None, OSError("disk full"), KeyboardInterrupt()])
def test_a_temporary_folder_is_removed_with_what_it_holds(tmp_path, error):
    with (
        contextlib.nullcontext() if error is None else pytest.raises(type(error)),
        folder_beside(tmp_path / "a") as folder,
    ):
        assert folder.parent == tmp_path
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("some")
        if error is not None:
            raise error
    assert not list(tmp_path.iterdir())


def test_a_temporary_folder_that_cannot_be_made_names_the_file(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".a-xyz"))

    with pytest.raises(FileNotFoundError) as caught, folder_beside(tmp_path / "absent" / "a"):
        pass
    assert caught.value.filename == str(tmp_path / "absent" / "a")
    assert caught.value.strerror == f"The folder {str(tmp_path / 'absent')!r} does not exist"
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NotADirectoryError) as caught, folder_beside(tmp_path / "file" / "a"):
        pass
    assert caught.value.filename == str(tmp_path / "file" / "a")
    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(OSError, match="No space left") as caught, folder_beside(tmp_path / "a"):
        pass
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))


def test_hdf5_that_fails_while_it_closes_the_file(tmp_path, monkeypatch):
    def failing(self, path, overwrite):
        pathlib.Path(path).write_bytes(b"half")
        raise RuntimeError(f"Can't decrement id ref count ({HDF5})")

    model = small_model()
    monkeypatch.setattr(keras.Model, "save_weights", failing)
    with pytest.raises(OSError, match="No space left on device") as caught:
        hub.save_weights(model, tmp_path / "model.weights.h5")
    assert caught.value.filename == str(tmp_path / "model.weights.h5")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_cannot_reserve_is_written_to_all_the_same(tmp_path, monkeypatch):
    def unknown(*args):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    reserve(tmp_path / "a", 10)
    monkeypatch.delattr(os, "posix_fallocate")
    reserve(tmp_path / "a", 10)
    assert not list(tmp_path.iterdir())


# --- every write of the package ------------------------------------------------------------------

#: Functions that write into files, or put them in their place, beside `open` with such a mode.
WRITING = {
    *("write_text", "write_bytes", "rename", "savefig", "save_weights", "savez", "tofile"),
    *("savez_compressed", "truncate", "copyfile", "copytree", "symlink", "NamedTemporaryFile"),
    *("os.replace", "os.open", "shutil.copy", "shutil.move"),
}
#: Functions of ours that have such a name.
OURS = {"save_weights", "hub.save_weights"}
#: Where files are moved as they are, or what is written is no file of the user's.
OTHERS = {
    "_utils/child_process.py: os.open",  # /dev/null
    "_utils/one_writer.py: os.open",  # a folder, to lock it
    "cli/main.py: open",  # /dev/null
    "cli/main.py: os.open",  # /dev/null
    "cli/train.py: open",  # /dev/null
    "data/datasets/motion_shapes/files.py: av.open",  # into memory
    "search/trace.py: os.replace",  # a trace out of the way
    "training/run_folder.py: os.replace",  # a run out of the way
}
#: What is written inside one of these.
NAMED = {"naming", "written_beside"}


def is_writing(call):
    name = ast.unparse(call.func)
    last = name.rsplit(".", 1)[-1]
    if last == "open" and name != "os.open":
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        texts = [arg.value for arg in given if isinstance(arg, ast.Constant)]
        texts = [text for text in texts if isinstance(text, str) and len(text) < 4]
        return any(set("wax+") & set(text) for text in texts)
    return name not in OURS and bool({name, last} & WRITING)


def writes_in(text):
    """The name of every function that writes and that no `with naming(...)` or the like holds."""
    found = []

    def visit(node, named):
        if isinstance(node, ast.With):
            first = node.items[0].context_expr
            named |= isinstance(first, ast.Call) and ast.unparse(first.func) in NAMED
        if isinstance(node, ast.Call) and is_writing(node) and not named:
            found.append(ast.unparse(node.func))
        for child in ast.iter_child_nodes(node):
            visit(child, named)

    visit(ast.parse(text), False)
    return found


def test_every_file_is_written_by_what_names_it():
    here = PACKAGE / "_utils" / "atomic_write.py"
    found = {
        f"{path.relative_to(PACKAGE)}: {write}"
        for path in PACKAGE.rglob("*.py")
        if path != here
        for write in writes_in(path.read_text(encoding="utf-8"))
    }
    assert found - OTHERS == set(), "write it with _utils.atomic_write"
    assert OTHERS - found == set(), "no longer there"


def test_the_reader_of_writes_sees_them():
    """The test of the test."""
    text = (
        "open(a, 'w'); open(a); a.open('ab'); open(a, mode='r+b'); open(a, 'rb')\n"
        "path.write_text(t); name.replace('a', 'b'); os.replace(a, b); save_weights(p, m)\n"
        "with naming(p), open(p, 'w') as file:\n    model.save_weights(p)\n"
        "with tempfile.TemporaryDirectory() as d, naming(p):\n    model.save_weights(d)\n"
    )
    expected = ["open", "a.open", "open", "path.write_text", "os.replace", "model.save_weights"]
    assert writes_in(text) == expected
