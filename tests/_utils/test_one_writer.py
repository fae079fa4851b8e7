"""One process at a time writes a folder: others are refused, and a killed one holds nothing."""

import errno
import signal
import subprocess
import sys

import pytest

from keras_mlp3d._utils import one_writer
from keras_mlp3d._utils.one_writer import only_writer

HOLD = """
import sys
from keras_mlp3d._utils.one_writer import only_writer

with only_writer(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the folder until its input ends."""
    pytest.importorskip("fcntl")
    command = [sys.executable, "-c", HOLD, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_a_second_process_is_refused_until_the_first_one(how, holder, tmp_path, monkeypatch):
    monkeypatch.setattr(one_writer, "_PATIENCE", 0.3)
    refused = pytest.raises(ValueError, match=r"another process writes to .*: wait for it, or use")
    with refused, only_writer(tmp_path):
        raise AssertionError("it must not be entered")
    if how == "ends":
        holder.stdin.close()
    else:
        holder.send_signal(signal.SIGKILL)
    monkeypatch.setattr(one_writer, "_PATIENCE", 20)
    with only_writer(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_same_process_enters_twice_and_leaves_it_open_after_an_error(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for _ in range(2):
        with pytest.raises(KeyError), only_writer(tmp_path), only_writer(tmp_path / "link"):
            raise KeyError


def test_a_new_folder_stays_if_something_is_in_it(tmp_path):
    with only_writer(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b").exists()
    with only_writer(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()
    (tmp_path / "empty").mkdir()
    with only_writer(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()  # it was there before


def test_a_system_without_locks(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    asked = []

    def refused(file, how):
        asked.append(how)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with only_writer(tmp_path):
        assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB]
