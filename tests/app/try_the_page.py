"""Tries the page of `keras-mlp3d app` with a real browser: `make test-app` runs this.

Not part of the suite: it needs Gradio, Selenium, Chromium and its driver. Uploads a real clip and
files that are no videos (and with `--camera` a recording), reads the answers from the page, and
checks that neither the browser nor the server speaks to another machine.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLIP = ROOT / "examples/clips/radar_gestures/val/z/801_2.4m_00.mp4"
SMALLEST, REAL = "mlp3d_nano_searched", "mlp3d_tiny_radar_gestures"
MISSING = (
    "make test-app needs Chromium and its driver, which are not installed: "
    "apt-get install chromium chromium-driver"
)
# The server's program: it notes every address that it looks up or connects to.
SERVER = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def watch(event, values):
    if event == "socket.connect" and isinstance(values[1], tuple):
        log.write(f"{values[1][0]}\\n")
    elif event == "socket.getaddrinfo" and values[0] is not None:
        log.write(f"{values[0]}\\n")
sys.addaudithook(watch)
from keras_mlp3d.cli.main import main
sys.exit(main())
"""
HERE = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "", "b'127.0.0.1'", "b'localhost'"}


def found(*names):
    """The first of some programs that is installed; ends with a sentence if none is."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    sys.exit(MISSING)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(what, get, seconds=150):
    """The first true value of `get()`; an error with `what` if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = get()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


@contextlib.contextmanager
def served(folder):
    """Serves the page; yields (address, process), and the folder has its output and addresses."""
    port, out, said = free_port(), folder / "out", folder / "addresses"
    (folder / "temporary").mkdir()
    options = ["--preset", SMALLEST, REAL, "--port", str(port), "--max-upload", "1MB"]
    with open(out, "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(said), "app", *options],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder / "temporary")},
        )
    try:
        until(
            "the page to be served",
            lambda: process.poll() is not None or "The page is at" in out.read_text(),
            300,
        )
        assert process.poll() is None, out.read_text()
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def browser(chromium, driver):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        *("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,1300"),
        *("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream", "no-proxy-server"),
        *("disable-background-networking", "disable-component-update", "force-color-profile=srgb"),
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


class Page:
    """The page in a browser.

    Args:
        window: Selenium's driver.
    """

    def __init__(self, window):
        self.window = window

    def all(self, selector):
        return self.window.find_elements("css selector", selector)

    def said(self):
        """The sentence of the answer, or ""."""
        return self.window.execute_script(
            "return document.querySelector('#answer p.answer')?.textContent ?? ''"
        )

    def is_error(self):
        return bool(self.all("#answer p.error"))

    def toasts(self):
        return " ".join(toast.text for toast in self.all(".toast-body"))

    def clear(self):
        """Takes the video away."""
        for button in self.all("#video button[aria-label=Clear]"):
            self.window.execute_script("arguments[0].click()", button)
        until("the empty page", lambda: self.said().startswith("Drop a video"))

    def upload(self, path):
        """Uploads a file and returns the sentence that follows."""
        self.clear()
        [field, *_] = until("the field", lambda: self.all("#video input[type=file]"))
        field.send_keys(str(path))
        return until(f"an answer to {path.name}", self.answer)

    def answer(self):
        return "" if self.said().startswith("Drop a video") else self.said()

    def bars(self):
        """{class: percent} as shown."""
        names = [name.text for name in self.all("#scores dt")]
        percents = [float(text.text.removesuffix(" %")) for text in self.all("#scores .percent")]
        return dict(zip(names, percents, strict=True))

    def width_of(self, name):
        """Pixels of a picture, 0 if it is not shown."""
        return self.window.execute_script(
            f"return document.querySelector('#{name} img')?.naturalWidth ?? 0"
        )

    def requests(self):
        """All addresses from which the browser loaded."""
        for entry in self.window.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                values = message["params"]
                yield values.get("url") or values["request"]["url"]


def expected(preset):
    """The classification of the clip by the library."""
    import keras_mlp3d as km

    model = km.MLP3D.from_preset(preset)
    [prediction] = km.inference.classify(model, str(CLIP), crops=1)
    return dict(zip(prediction.labels, prediction.scores, strict=True)), model.num_classes


def check_answer(page, preset):
    """The page shows what the library says, the frames, and the scores over time."""
    scores, classes = expected(preset)
    start = f"Of {classes} classes, “{next(iter(scores))}” has the highest score: "
    until(f"the answer of {preset}", lambda: page.said().startswith(start))
    until("the frames", lambda: page.width_of("frames"))
    until("the scores over time", lambda: page.width_of("timeline"))
    shown = page.bars()
    assert list(shown) == list(scores), (shown, scores)
    for name, score in scores.items():
        assert abs(shown[name] - 100 * score) < 0.11, (shown, scores)
    print(f"ok: {page.said()}")


def check_refusals(page, folder):
    """Files that are no videos: a sentence each, and the page is as usable as before."""
    from PIL import Image

    picture, large = folder / "picture.mp4", folder / "large.mp4"
    Image.new("RGB", (64, 64)).save(picture, "png")
    large.write_bytes(CLIP.read_bytes() + bytes(2_000_000))
    (folder / "broken.mp4").write_bytes(CLIP.read_bytes()[:300])
    (folder / "empty.mp4").write_bytes(b"")
    for name, sentence in (
        ("broken.mp4", "The file is unreadable: it cannot be opened as a video"),
        ("empty.mp4", "The file is empty: it has no bytes."),
        ("picture.mp4", "The file is a picture (PNG), not a video."),
    ):
        said = page.upload(folder / name)
        assert said.startswith(sentence), said
        assert page.is_error()
        assert not page.bars()
        print(f"ok: {name}: {said}")
    page.clear()
    [field, *_] = until("the field", lambda: page.all("#video input[type=file]"))
    field.send_keys(str(large))
    until("a word on a large file", lambda: "maximum allowed size" in page.toasts().lower())
    print(f"ok: large.mp4: {page.toasts()!r}")


def check_camera(page):
    """A recording of the camera is classified."""
    page.window.refresh()
    until("the page", page.said)
    click = "arguments[0].click()"
    [source] = until("the camera", lambda: page.all("button[aria-label='Capture from camera']"))
    page.window.execute_script(click, source)
    access = "#video [title='grant webcam access'] button"
    [allow] = until("the camera's button", lambda: page.all(access))
    page.window.execute_script(click, allow)
    [record] = until("the record button", lambda: page.all("#video [title='start recording']"))
    page.window.execute_script(click, record)
    time.sleep(6)
    [stop] = until("the stop button", lambda: page.all("#video [title='stop recording']"))
    page.window.execute_script(click, stop)
    said = until("an answer to the recording", page.answer)
    assert not page.is_error(), said
    print(f"ok: the camera: {said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshot", type=pathlib.Path, help="picture to write")
    parser.add_argument("--camera", action="store_true", help="also record from a fake camera")
    options = parser.parse_args()
    chromium = found("chromium", "chromium-browser", "google-chrome")
    driver = found("chromedriver", "chromium.chromedriver")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with served(folder) as (address, process), browser(chromium, driver) as window:
            page = Page(window)
            window.get(address)
            until("the page", page.said)
            page.upload(CLIP)
            check_answer(page, SMALLEST)
            [z] = until("the examples", lambda: page.all("#examples button")[3:])
            assert z.text == "z (radar gestures)", z.text
            window.execute_script("arguments[0].click()", z)
            check_answer(page, REAL)
            if options.screenshot:
                time.sleep(1)
                options.screenshot.parent.mkdir(parents=True, exist_ok=True)
                window.save_screenshot(str(options.screenshot))
            check_refusals(page, folder)
            if options.camera:
                check_camera(page)
            assert "Traceback" not in window.page_source
            loaded = {url for url in page.requests() if url.startswith(("http", "ws"))}
            assert address in loaded
            elsewhere = {url for url in loaded if not url.startswith(address)}
            assert not elsewhere, elsewhere
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        out, addresses = (folder / "out").read_text(), (folder / "addresses").read_text()
        assert code == 130, (code, out)
        assert "Traceback" not in out, out
        assert not set(addresses.splitlines()) - HERE, addresses
        left = [path for path in (folder / "temporary").rglob("*") if path.suffix == ".mp4"]
        assert not left, left
        print("ok: nothing went to another machine, and no upload is left")


if __name__ == "__main__":
    main()
