"""Serves the page: where, for whom, and without a word to any other machine."""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.app.examples import default_folder, find_examples, notice_of
from keras_mlp3d.app.limits import Limits
from keras_mlp3d.app.markup import STYLE
from keras_mlp3d.app.networks import Networks
from keras_mlp3d.app.page import build_page, load_gradio

#: What the browser may load: the page's own files, and pictures that the page itself makes.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
_FONTS = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]


def launch(
    presets: Sequence[str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    limits: Limits | None = None,
    examples: StrPath | None = None,
    ready: Callable[[str], object] = print,
) -> None:
    """Serve the page until it is interrupted (Ctrl-C or SIGTERM).

    Nothing leaves the machine: Gradio's telemetry and share links are off, the page loads no file
    of another server, and uploaded videos are deleted when it ends.

    Args:
        presets: Presets that the page offers, the first chosen. Defaults to those with weights in
            the package.
        host: Address to listen on. "0.0.0.0" lets every machine that reaches this one use the
            page.
        port: Port to listen on. Defaults to the first free one from 7860 on.
        limits: `Limits`.
        examples: Folder of example clips. Defaults to `examples/clips` of a checkout, if it is one.
        ready: Function that gets the address of the page when it is served.

    Raises:
        ValueError: If an argument is wrong, or a preset cannot be used.
        ImportError: If Gradio is not installed.
        OSError: If the port is in use.

    Example:

    >>> try:
    ...     launch(["absent_preset"])
    ... except ValueError as error:
    ...     print(str(error)[:30])
    Unknown preset 'absent_preset'
    """
    if port is not None:
        check_integer("port", port, 1, 65535)
    limits, networks = limits or Limits(), Networks(presets)
    folder = default_folder() if examples is None else examples
    clips = find_examples(folder, networks.names)
    gradio = load_gradio()
    networks.run(networks.names[0], lambda model: None)  # a preset that fails, fails here
    with _uploads(), _until_terminated():
        page = build_page(networks, limits, clips, notice_of(folder) if clips else "")
        theme = gradio.themes.Default(font=_FONTS[0], font_mono=_FONTS[1])
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                ssr_mode=False,
                quiet=True,
                inline=False,
                show_error=False,
                prevent_thread_lock=True,
                enable_monitoring=False,
                max_file_size=limits.max_bytes,
                footer_links=[],
                theme=theme,
                css=STYLE,
                app_kwargs={"middleware": [_middleware()]},
            )
        except OSError as error:
            raise OSError(
                f"The page cannot be served at {host}, "
                f"{'ports 7860 to 7959' if port is None else f'port {port}'}: it is in use, or not "
                "an address of this machine. Choose another port or host."
            ) from error
        except ValueError:
            # Its own request to the page took more than three seconds, as on a busy machine.
            if not page.is_running:
                raise
        try:
            ready(page.local_url)
            threading.Event().wait()
        finally:
            page.close(verbose=False)


def _middleware() -> Any:
    from starlette.middleware import Middleware

    return Middleware(OwnFilesOnly)


class OwnFilesOnly:
    """ASGI middleware: tells the browser to load nothing from other servers.

    Args:
        app: The ASGI application that answers.
    """

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def send_with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                headers.append((b"content-security-policy", _POLICY.encode("ascii")))
                headers.append((b"referrer-policy", b"no-referrer"))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_policy)


@contextlib.contextmanager
def _uploads() -> Iterator[None]:
    """Have Gradio keep uploads in a folder that is deleted in the end."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="keras-mlp3d-app-", ignore_cleanup_errors=True) as new:
        os.environ["GRADIO_TEMP_DIR"] = new
        try:
            yield
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


@contextlib.contextmanager
def _until_terminated() -> Iterator[None]:
    """Have SIGTERM end the page as Ctrl-C does, so that uploads are deleted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
