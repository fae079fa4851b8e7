"""The line of progress: where it goes, what it says, and how it is removed."""

import io

import pytest

from keras_mlp3d._utils import progress as module
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.progress import Progress

CLEAR = "\r\x1b[K"


class Screen(io.StringIO):
    terminal = True

    def isatty(self):
        return self.terminal


def watch(monkeypatch):
    """A terminal as standard error. It is no fixture: pytest sets the stream after those."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0)
    return screen


def test_a_bar_with_the_time_left(monkeypatch, capsys):
    screen = watch(monkeypatch)
    clock = iter([100.0, 102.0, 103.0, 104.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Progress("videos") as progress:
        for done in (1, 2, 3, 4):
            progress(done, 4)
    assert screen.getvalue().split(CLEAR) == [
        "",
        f"[{7 * '#'}{23 * '.'}] 1/4 videos",
        f"[{15 * '#'}{15 * '.'}] 2/4 videos, 4 s left",
        f"[{22 * '#'}{8 * '.'}] 3/4 videos, 2 s left",
        f"[{30 * '#'}] 4/4 videos, 0 s left",
        "",
    ]
    assert capsys.readouterr().out == ""


def test_labels_and_unknown_totals(monkeypatch):
    screen = watch(monkeypatch)
    with Progress() as progress:
        progress(1, 3, "a.mp4")
        progress(3, 3, "x" * 60)
        progress(2, None, "b.mp4")
        progress(7)
    assert screen.getvalue().split(CLEAR)[1:] == [
        "1/3 a.mp4", "3/3 …" + "x" * 49, "2 b.mp4", "7", "",
    ]  # fmt: skip


def test_nothing_without_a_terminal_or_if_silent(monkeypatch):
    screen = watch(monkeypatch)
    Progress("videos", show=False)(1, 2)
    screen.terminal = False
    Progress("videos")(1, 2)
    assert screen.getvalue() == ""
    Progress("videos", show=True)(1, 2)
    assert "1/2 videos" in screen.getvalue()


def test_labels_cannot_steer_the_terminal(monkeypatch):
    screen = watch(monkeypatch)
    labels = [chr(code) for code in range(0x20)] + ["\x7f", "\x9b2J", "\u202e", "\u2028", "\udc80"]
    with Progress() as progress:
        for label in labels:
            progress(1, 3, f"a{label}b")
    shown = screen.getvalue().replace(CLEAR, "")
    assert shown.isprintable()
    assert one_line("\x1b]0;title\x07 a\n\tb") == "]0;title a b"


def test_a_line_never_wraps(monkeypatch):
    screen = watch(monkeypatch)
    monkeypatch.setattr(module, "_columns", lambda: 20)
    with Progress("videos") as progress:
        progress(1, 2)
        progress(1, 2, "文" * 40)
    lines = screen.getvalue().split(CLEAR)
    assert len(lines[1]) == 19
    assert lines[2] == "1/2 " + "文" * 7


def test_it_is_removed_after_an_error(monkeypatch):
    screen = watch(monkeypatch)

    def fail():
        with Progress("videos") as progress:
            progress(1, 2)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert screen.getvalue().endswith(f"1/2 videos{CLEAR}")


def test_it_is_not_written_too_often(monkeypatch):
    screen = watch(monkeypatch)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 1000)
    progress = Progress("videos")
    for done in range(1, 50):
        progress(done, 100)
    assert screen.getvalue() == f"{CLEAR}[{30 * '.'}] 1/100 videos"
    for _ in range(2):
        progress.clear()  # the second time writes nothing
    assert screen.getvalue().count(CLEAR) == 2
    for done in (60, 61, 100):
        progress(done, 100)
    shown = [line.partition("] ")[2].split(",")[0] for line in screen.getvalue().split(CLEAR)]
    assert shown[3:] == ["60/100 videos", "100/100 videos", ""]
