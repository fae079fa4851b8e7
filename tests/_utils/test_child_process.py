"""Calls into a child that answers, crashes, hangs, floods, or outlives nobody."""

import os
import signal
import threading
import time

import pytest

from keras_mlp3d._utils.child_process import ChildCrashed, ChildProcess, ChildStuck

PROGRAM = """
import ctypes, os, sys, time
from keras_mlp3d._utils.child_process import serve

def work(what, data=None):
    if what == "stuck":
        ctypes.CDLL(None).sleep(600)  # in a library, which does not return to Python
    if what == "busy":
        end = time.monotonic() + 3
        while time.monotonic() < end:
            pass
    if what == "kill":
        os.kill(os.getpid(), 11)
    if what == "exit":
        os._exit(3)
    if what == "print":
        print("noise", flush=True)
        os.write(1, b'"noise"' + bytes([10]))
        os.write(2, bytes(10**6))
    if what == "modules":
        return sorted(sys.modules)
    return [what, os.getpid(), data and [len(data), data[-1]]]

serve(work)
"""


@pytest.fixture
def child():
    child = ChildProcess(PROGRAM, patience=2)
    yield child
    child.close()


def test_calls_are_answered_by_one_process(child):
    first, pid, _ = child.call({"what": "a\udcff\n\x1b"})
    assert first == "a\udcff\n\x1b"
    assert child.call({"what": "b"}, bytes(range(256)) * 8192) == ["b", pid, [2**21, 255]]
    assert pid != os.getpid()


def test_what_a_library_prints_is_no_answer(child):
    assert child.call({"what": "print"})[0] == "print"
    assert child.call({"what": "a"})[0] == "a"


def test_the_process_starts_without_keras(child):
    modules = child.call({"what": "modules"})
    assert "keras_mlp3d._utils.child_process" in modules
    assert not {"keras", "numpy", "torch", "jax", "tensorflow"} & set(modules)


@pytest.mark.parametrize(("what", "how"), [("kill", "SIGSEGV"), ("exit", "exit code 3")])
def test_a_crash_is_told_and_the_next_call_is_answered(child, what, how):
    before = child.call({"what": "a"})[1]
    with pytest.raises(ChildCrashed, match=f"^{how}$"):
        child.call({"what": what})
    what, after, _ = child.call({"what": "b"})
    assert (what, after != before) == ("b", True)


def test_a_hang_is_ended_and_the_next_call_is_answered(child):
    pid = child.call({"what": "a"})[1]
    start = time.monotonic()
    with pytest.raises(ChildStuck, match="no progress for 2 s"):
        child.call({"what": "stuck"})
    assert 2 <= time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert child.call({"what": "b"})[0] == "b"


def test_long_work_is_no_hang(child):
    assert child.call({"what": "busy"})[0] == "busy"


def test_ctrl_c_does_not_reach_it(child):
    pid = child.call({"what": "a"})[1]
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    assert child.call({"what": "b"})[1] == pid


def test_close_ends_a_call_of_another_thread_and_starts_no_other(child):
    pid, errors = child.call({"what": "a"})[1], []

    def call():
        try:
            child.call({"what": "stuck"})
        except ChildCrashed as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.2)
    child.close()
    thread.join(5)
    assert len(errors) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ChildCrashed):
        child.call({"what": "a"})


def test_it_ends_with_its_parent(child):
    program = PROGRAM
    middle = ChildProcess(
        "from keras_mlp3d._utils.child_process import ChildProcess, serve\n"
        f"inner = ChildProcess({program!r}, 60)\n"
        "pids = []\n"
        "def work(what):\n"
        "    if what == 'start':\n"
        "        pids.append(inner.call({'what': 'a'})[1])\n"
        "        import threading\n"
        "        stuck = lambda: inner.call({'what': 'stuck'})\n"
        "        threading.Thread(target=stuck, daemon=True).start()\n"
        "    return pids\n"
        "serve(work)\n",
        patience=30,
    )
    [pid] = middle.call({"what": "start"})
    os.kill(pid, 0)
    middle.close()
    end = time.monotonic() + 10
    while time.monotonic() < end and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of"),
        ("syntax error", "SyntaxError"),
        ("import os; os._exit(4)", "exit code 4"),
        ("", "exit code 0"),
    ],
)
def test_a_program_that_does_not_start(program, words):
    child = ChildProcess(program, 2)
    with pytest.raises(RuntimeError, match=rf"cannot start a process of .*: {words}"):
        child.call({})


def test_no_interpreter(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nothing/python")
    with pytest.raises(RuntimeError, match=r"cannot start a process: .*No such file"):
        ChildProcess(PROGRAM, 2).call({})
