"""Serves the page on this machine alone, and passes on what the service says and is asked.

A web site that is open in the same browser must not get at it: names that are not this machine's,
and requests that come from another page, are refused.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rwkv_music.errors import ConfigError, PortError

from ..config import Config
from ..osc.encoding import EncodingError, encode_any
from ..osc.framing import FramingError, Message, parse
from ..osc.requests import REQUESTS
from ..osc.table import PARAMETER_VERBS
from . import monitor_absence
from .backlog import Backlog

if TYPE_CHECKING:
    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
_PAGE = Path(__file__).with_name("page.html")
_STATUS_S = 0.2
_RENEWAL_S = 20.0
_SILENT_S = 3.0
_MOST_WAITING = 5000  # messages that a page has not taken; then it is let go, and comes again
_LARGEST_REQUEST = 4096
_NOT_FOR_PAGES = {"/rwkv/subscribe", "/rwkv/unsubscribe"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class _Service(asyncio.DatagramProtocol):
    """The service's side: an OSC client that is subscribed."""

    def __init__(self, config: Config, hear: Callable[[Message], None]) -> None:
        host = "127.0.0.1" if config.osc.host == "0.0.0.0" else config.osc.host
        self.address = (host, config.osc.port)
        self._hear = hear
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own is none by its class, only by what it does.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        try:
            messages = parse(data)
        except FramingError:
            return
        for message in messages:
            self._hear(message)

    def send(self, address: str, *args: int | float | str) -> None:
        if self._transport is not None:
            self._transport.sendto(encode_any(address, *args), self.address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def port(self) -> int:
        name = self._transport.get_extra_info("sockname") if self._transport else ("", 0)
        return int(name[1])


class Monitor:
    """One service, any number of pages."""

    def __init__(self, config: Config) -> None:
        if absence := monitor_absence():
            raise ConfigError(f"monitor.enabled: {absence}")
        self._config = config
        self._backlog = Backlog()
        self._pages: set[asyncio.Queue[str]] = set()
        self._service = _Service(config, self._hear)
        self._heard_s = 0.0
        self._is_there = False

    async def serve(self, over: asyncio.Event, ready: Callable[[str], None]) -> None:
        """Until that is set; `ready` is told where the page is. Raises PortError when its port
        cannot be had."""
        from aiohttp import web

        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self._service, (HOST, 0))
        app = web.Application(client_max_size=_LARGEST_REQUEST, middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/events", self._events)
        app.router.add_post("/request", self._request)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        asks: asyncio.Task[None] | None = None
        try:
            await runner.setup()
            await self._open(web.TCPSite(runner, HOST, self._config.monitor.port))
            ready(f"http://{HOST}:{self._config.monitor.port}/")
            asks = asyncio.create_task(self._ask())
            await over.wait()
        finally:
            if asks is not None:
                asks.cancel()
            for page in self._pages:
                page.put_nowait("")
            await runner.cleanup()
            self._service.close()

    async def _open(self, site: web.TCPSite) -> None:
        port = self._config.monitor.port
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise PortError(
                f"monitor.port: {port} cannot be had: {reason}; choose another with"
                " --set monitor.port=7780"
            ) from error

    # --- the service ---------------------------------------------------------------------------

    async def _ask(self) -> None:
        """Keep the subscription, and ask where the music is."""
        loop = asyncio.get_running_loop()
        renewal_s = 0.0
        while True:
            now_s = loop.time()
            if now_s >= renewal_s or not self._is_there:
                self._service.send("/rwkv/subscribe", self._service.port)
                renewal_s = now_s + _RENEWAL_S
            self._service.send("/rwkv/status")
            if self._is_there and now_s - self._heard_s > _SILENT_S:
                self._is_there = False
                self._tell(json.dumps({"gone": True}))
            await asyncio.sleep(_STATUS_S)

    def _hear(self, message: Message) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        if not self._is_there:
            self._is_there = True
            self._service.send("/rwkv/history", 8)
        self._backlog.add(message)
        self._tell(_text(message))

    def _tell(self, text: str) -> None:
        for page in list(self._pages):
            if page.qsize() >= _MOST_WAITING:
                self._pages.discard(page)
                page.put_nowait("")
            else:
                page.put_nowait(text)

    # --- the pages -----------------------------------------------------------------------------

    @property
    def _guard(self) -> Any:  # aiohttp's type for it is imported when aiohttp is
        """Refuses whoever is not this machine's own page."""
        from aiohttp import web

        port = self._config.monitor.port
        hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        origins = {f"http://{host}" for host in hosts}

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("Host", "") not in hosts:
                raise web.HTTPForbidden(text="this page is for this machine alone")
            origin = request.headers.get("Origin")
            if origin is not None and origin not in origins:
                raise web.HTTPForbidden(text="not from another page")
            return await handler(request)

        return guard

    async def _page(self, request: web.Request) -> web.Response:
        from aiohttp import web

        text = _PAGE.read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        response = web.StreamResponse(
            headers={**_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
        )
        await response.prepare(request)
        page: asyncio.Queue[str] = asyncio.Queue()
        for message in self._backlog:
            page.put_nowait(_text(message))
        if not self._is_there:
            page.put_nowait(json.dumps({"gone": True}))
        self._pages.add(page)
        try:
            while text := await page.get():
                await response.write(f"data: {text}\n\n".encode())
        except ConnectionError:
            pass
        finally:
            self._pages.discard(page)
        return response

    async def _request(self, request: web.Request) -> web.Response:
        """`{"address": "/rwkv/trigger", "args": [4]}`; what the service answers, all pages hear."""
        from aiohttp import web

        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="expected application/json")
        try:
            asked = json.loads(await request.text())
            address, args = asked["address"], asked.get("args", [])
            if not is_for_pages(address) or not all(isinstance(a, int | float | str) for a in args):
                raise ValueError(address)
            self._service.send(address, *args)
        except (ValueError, TypeError, KeyError, AttributeError, EncodingError) as error:
            raise web.HTTPBadRequest(text=f"no request of docs/osc.md: {error}") from error
        return web.Response(status=204)


def is_for_pages(address: object) -> bool:
    """Whether a page may ask for it: all that there is, but where the events go."""
    if not isinstance(address, str) or address in _NOT_FOR_PAGES:
        return False
    verb = address.removeprefix("/rwkv/").partition("/")[0]
    return address in REQUESTS or (address.startswith("/rwkv/") and verb in PARAMETER_VERBS)


def _text(message: Message) -> str:
    return json.dumps({"address": message.address, "args": message.args})
