"""The gate before every request: host, origin, sizes, security headers, errors as JSON.

Requests that change something or open a stream must come from our own page. A page under a
foreign host name cannot ask anything: names that lead here are this machine's own or bare
addresses, so that a name elsewhere pointed at us gains nothing.
"""

import ipaddress
import logging
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minewatch.console.errors import Refused, error_response, say_once

BODY_BYTES_MAX = 64 * 1024
HEADER_COUNT_MAX = 64
TARGET_LENGTH_MAX = 2048

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

_log = logging.getLogger("minewatch.console")


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._names = {"localhost", socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a sound request through; answer the others here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _bounded(receive), secured)
        except Refused as refused:
            say_once(refused, address_of(scope))
            if not started:
                await error_response(refused)(scope, receive, secured)
        except Exception:  # noqa: BLE001 - one request must not take the page from everybody
            _log.exception("a request to %s failed", scope["path"][:200])

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if len(scope["headers"]) > HEADER_COUNT_MAX:
            raise Refused(431, "too_many_headers")
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_LENGTH_MAX:
            raise Refused(414, "target_too_long")
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refused(421, "foreign_host", detail=host[:100])
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, "foreign_origin", detail=origin[:100])
        if headers.get("sec-fetch-site", "same-origin") == "cross-site" and _acts(scope):
            raise Refused(403, "foreign_origin", detail="cross-site")
        if scope["method"] == "POST" and origin is None:
            raise Refused(403, "foreign_origin", detail="no origin")

    def _is_ours(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "") if _splittable(host) else ""
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def address_of(scope: Scope) -> str:
    """Return the peer's address, "" where the server knows none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _acts(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" or scope["path"].endswith("/stream"))


def _splittable(host: str) -> bool:
    try:
        urlsplit(f"//{host}")
    except ValueError:
        return False
    return bool(host)


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES_MAX:
            raise Refused(413, "body_too_large")
        return message

    return bounded
