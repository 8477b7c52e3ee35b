"""A real browser without a window, led over its own pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
_PATIENCE_S = 30.0
_LOOK_S = 0.05


def program() -> str | None:
    """The first of them that is installed."""
    return next((found for found in map(shutil.which, PROGRAMS) if found), None)


class BrowserError(Exception):
    """It has not done what it was asked for."""


class Browser:
    """`with Browser() as page: page.open(url)`. `complaints` is what the page did wrong:
    exceptions, errors in the console, things that its security policy forbade."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._exits = contextlib.ExitStack()
        self._rest = b""
        self._number = 0
        self._session: str | None = None

    def __enter__(self) -> Browser:
        with self._exits as exits:
            folder = exits.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            self._start(folder)
            exits.callback(self._end)
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self._ask(f"{domain}.enable")
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def _start(self, folder: str) -> None:
        command = program()
        if command is None:
            raise BrowserError(f"none of {', '.join(PROGRAMS)} is installed")
        theirs_in, self._orders = os.pipe()
        self._answers, theirs_out = os.pipe()
        options = "--headless --remote-debugging-pipe --no-first-run --disable-gpu"
        if os.getuid() == 0:
            options += " --no-sandbox"  # it has none for root; nothing of strangers' is opened
        line = f'exec "$0" {options} --user-data-dir="$1" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, command, folder],
            pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it is several processes
        self._process.wait()
        os.close(self._orders)
        os.close(self._answers)

    # --- what a person would do ----------------------------------------------------------------

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Go to that page, in a window of that size."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        answer = self._ask("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")
        self.wait_for("document.readyState === 'complete'")

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first such element."""
        x, y = self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, text: str = "") -> None:
        """Press a key and let go of it."""
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text)

    def picture(self, file: Path) -> None:
        """What is to be seen, as PNG."""
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))

    # --- what a person would see ---------------------------------------------------------------

    def run(self, expression: str) -> Any:
        """The value of some JavaScript in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def wait_for(self, expression: str) -> None:
        """Return when it is true in the page."""
        self.until(lambda: self.run(expression), expression)

    def until(self, is_so: Callable[[], object], what: str) -> None:
        ends_s = time.monotonic() + _PATIENCE_S
        while not is_so():
            if time.monotonic() > ends_s:
                raise BrowserError(f"not within {_PATIENCE_S:g} s: {what}")
            time.sleep(_LOOK_S)

    # --- the protocol --------------------------------------------------------------------------

    def _ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        order = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']}")
                return message["result"]
            self._hear(message.get("method"), message.get("params", {}))

    def _hear(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(str(params["args"]))

    def _message(self) -> dict[str, Any]:
        ends_s = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(ends_s - time.monotonic(), 0))
            data = os.read(self._answers, 1 << 16) if ready else b""
            if not data:
                raise BrowserError(f"the browser says nothing; it ended: {self._process.poll()}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))
