"""How the page is served: for whom, with which limits, and silent towards other machines.

Without Gradio: an object takes its place. `make test-app` serves the real page.
"""

import asyncio
import os
import pathlib
import signal
import sys
import tempfile
import threading
import types
from unittest import mock

import pytest

from keras_mlp3d import models
from keras_mlp3d.app import Limits, launch
from keras_mlp3d.app.launch import OwnFilesOnly

PRESET = "mlp3d_nano_searched"


@pytest.fixture
def gradio(monkeypatch):
    """An object in place of Gradio, whose page is stopped at once; the network is none."""
    fake = mock.MagicMock(name="gradio")
    page = fake.Blocks.return_value.__enter__.return_value
    page.local_url, page.is_running = "http://127.0.0.1:7860/", True
    starlette = types.ModuleType("starlette.middleware")
    starlette.Middleware = lambda cls: cls
    monkeypatch.setitem(sys.modules, "gradio", fake)
    monkeypatch.setitem(sys.modules, "starlette.middleware", starlette)
    monkeypatch.setattr(models.MLP3D, "from_preset", lambda files: None)
    return fake


def launched(gradio, **options):
    """Serves until the address is told, and returns what Gradio's `launch` got."""
    page = gradio.Blocks.return_value.__enter__.return_value

    def ready(address):
        assert address == "http://127.0.0.1:7860/"
        folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"])
        assert folder.is_dir()
        (folder / "upload.mp4").touch()
        ready.folder = folder
        os.kill(os.getpid(), signal.SIGTERM)

    before = os.environ.get("GRADIO_TEMP_DIR"), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        launch([PRESET], ready=ready, **options)
    assert (os.environ.get("GRADIO_TEMP_DIR"), signal.getsignal(signal.SIGTERM)) == before
    assert not ready.folder.exists()  # nor is any upload left
    page.close.assert_called_once_with(verbose=False)
    return page.launch.call_args.kwargs


def test_the_page_is_for_this_machine_and_speaks_to_no_other(gradio, monkeypatch):
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    given = launched(gradio)
    assert given["server_name"] == "127.0.0.1"
    assert given["server_port"] is None
    assert given["share"] is False
    assert given["show_error"] is False
    assert given["app_kwargs"] == {"middleware": [OwnFilesOnly]}
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert gradio.Blocks.call_args.kwargs["analytics_enabled"] is False
    fonts = gradio.themes.Default.call_args.kwargs
    assert all(isinstance(font, str) for names in fonts.values() for font in names)  # no GoogleFont


def test_what_is_asked_for_is_served(gradio, tmp_path):
    (tmp_path / "mine.mp4").touch()
    limits = Limits(max_bytes=5000)
    given = launched(gradio, host="0.0.0.0", port=8000, limits=limits, examples=tmp_path)
    assert (given["server_name"], given["server_port"]) == ("0.0.0.0", 8000)
    assert given["max_file_size"] == 5000
    [clips, _], options = gradio.Examples.call_args
    assert clips == [[str(tmp_path / "mine.mp4"), PRESET]]
    assert options["cache_examples"] is False


def test_a_page_that_is_served_slowly_is_served(gradio):
    """Gradio gives up if its own request to the page takes more than three seconds."""
    page = gradio.Blocks.return_value.__enter__.return_value
    page.launch.side_effect = ValueError("When localhost is not accessible, …")
    launched(gradio)
    page.is_running = False
    with pytest.raises(ValueError, match="localhost"):
        launch([PRESET])


def test_a_port_that_is_in_use(gradio):
    page = gradio.Blocks.return_value.__enter__.return_value
    page.launch.side_effect = OSError("Cannot find empty port in range: 8000-8000.")
    with pytest.raises(OSError, match=r"cannot be served at 127\.0\.0\.1, port 8000: it is in use"):
        launch([PRESET], port=8000)


def test_without_gradio_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    line = r"^The page needs Gradio, which is not installed: pip install 'keras-mlp3d\[app\]'$"
    with pytest.raises(ImportError, match=line):
        launch([PRESET])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"port": 0}, "port must be an integer from 1 to 65535, got 0"),
        ({"presets": ["mlp3d_xs"]}, "has no weights"),
        ({"examples": "absent"}, "examples must be a folder of videos, got 'absent'"),
    ],
)
def test_wrong_arguments_come_before_gradio(monkeypatch, options, part):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match=part):
        launch(**options)


def test_a_thread_may_serve_too(gradio, tmp_path, monkeypatch):
    """Only the main thread can set handlers of signals. Uploads are deleted after an error too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    errors = []

    def serve():
        try:
            launch([PRESET], ready=stop)
        except ZeroDivisionError as error:
            errors.append(error)

    def stop(address):
        assert list(tmp_path.iterdir())
        raise ZeroDivisionError

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(60)
    assert len(errors) == 1
    assert not list(tmp_path.iterdir())


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere():
    sent = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message):
        sent.append(message)

    asyncio.run(OwnFilesOnly(inner)({"type": "http"}, None, send))
    headers = dict(sent[0]["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert headers[b"a"] == b"b"
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert "*" not in policy
    assert sent[1] == {"type": "http.response.body", "body": b"page"}
