"""Who may ask the page's server: only the browser that was given its token, and only from its own page."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_BYTES = 1 << 20
"""No request of the page is larger."""
HEADER = "x-flr-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "sandbox allow-scripts allow-popups allow-downloads; frame-ancestors 'none'"
"""A report brings a policy of its own; here it gets an origin of its own, too, and no way to the plans."""
REFUSED_WEBSOCKET = 4403


@dataclass(frozen=True, slots=True)
class Door:
    """What a request must know and where it must come from.

    Parameters
    ----------
    token : str
        The secret of this run of the server.
    host : str
        The address it listens on.
    port : int
        The port.
    """

    token: str
    host: str
    port: int

    @property
    def cookie(self) -> str:
        """What the cookie is called; browsers share cookies between ports, so the port is in it."""
        return f"flr_review_{self.port}"

    def knows(self, said: str) -> bool:
        """Whether this is the token; takes as long for any wrong one."""
        return hmac.compare_digest(said.encode("utf-8", "replace"), self.token.encode())

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server, not a name that somebody else made point to it."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.path or "@" in host:
            return False
        if name in LOOPBACK:
            return True
        if self.host in LOOPBACK:
            return False
        # A name would let a foreign page point it here (DNS rebinding); a number cannot be pointed elsewhere.
        return _is_number(name) or name in {self.host.lower(), socket.gethostname().lower()}


def _length_refusal(said: str) -> tuple[int, str]:
    try:
        length = int(said)
    except ValueError:
        return 400, "the length of the request is no number"
    if length > MOST_BYTES:
        return 413, f"a request holds at most {MOST_BYTES} bytes"
    return 0, ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Refuses whatever does not come from the page, before anything else sees it.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    door : Door
        What a request must know.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        status, why = self._refusal(scope, headers)
        if status:
            await _refuse(scope, receive, send, status, why)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._limited(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str]:
        host = headers.get("host", "")
        if not self._door.is_ours(host):
            return 421, "this server is not called that"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}
        if (origin is None and changes) or (origin is not None and origin != f"http://{host}"):
            return 403, "this request comes from another page"
        entering = scope["type"] == "http" and scope["path"] == "/" and not changes
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not entering:
            return 403, "this request comes from another page"
        if not self._known(scope, headers, entering=entering):
            return 401, "the token is missing or wrong; open the address that flr review printed"
        return _length_refusal(headers.get("content-length", "0"))

    def _known(self, scope: Scope, headers: dict[str, str], *, entering: bool) -> bool:
        if self._door.knows(headers.get(HEADER, "")):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._door.cookie)
        except CookieError:
            cookie = None
        if cookie is not None and self._door.knows(cookie.value):
            return True
        said = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return entering and self._door.knows(said[0])

    async def _limited(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MOST_BYTES:
                raise TooLargeError
            return message

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_seals(scope, headers)]}
            await send(message)

        try:
            await self._app(scope, counted, sealed)
        except TooLargeError:
            await _refuse(scope, receive, send, 413, f"a request holds at most {MOST_BYTES} bytes")


class TooLargeError(Exception):
    """A request went on beyond what is taken."""


def _seals(scope: Scope, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    report = scope["path"].startswith("/report/")
    policy = REPORT_POLICY if report else POLICY.format(host=headers.get("host", ""))
    said = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cache-control": "no-store",
    }
    return [(k.encode(), v.encode("latin-1")) for k, v in said.items()]


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting is answered with 403 by the server.
        await receive()
        await send({"type": "websocket.close", "code": REFUSED_WEBSOCKET, "reason": why})
        return
    body = why.encode()
    sealed: list[Any] = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *_seals({**scope, "path": "/"}, {}),
    ]
    await send({"type": "http.response.start", "status": status, "headers": sealed})
    await send({"type": "http.response.body", "body": body})
