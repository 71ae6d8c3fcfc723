"""Serves the live page on loopback: two addresses, GET only, no file is ever opened by request."""

from __future__ import annotations

import ipaddress
import json
import logging
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from accelsim.errors import AccelsimError, InputError
from accelsim.report.web.jobs import Underway
from accelsim.report.web.live import Playground

log = logging.getLogger("accelsim")

LONGEST_QUERY = 2000
"""Characters of a query string; what the page sends has a tenth of them."""

MOST_PARAMETERS = 20

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LiveServer(ThreadingHTTPServer):
    """A server of one playground."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, playground: Playground, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind to an address; port 0 takes any free one.

        Raises:
            InputError: The address cannot be bound.
        """
        self.playground = playground
        self.page = playground.page().encode()
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"cannot serve on {host}:{port}: {reason[:1].lower()}{reason[1:]}") from None

    @property
    def address(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection, in one line, where people ask for it."""
        log.debug("connection from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    server_version = "accelsim"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a silent client may hold a connection
    _pages: ClassVar[dict[str, str]] = {"/": "page", "/api/simulate": "simulate"}

    def do_GET(self) -> None:
        """Answer with the page, with a simulation, or with a sentence that says what is wrong."""
        parts = urlsplit(self.path)
        if not self._is_for_us():
            self._sentence(HTTPStatus.FORBIDDEN, "this server answers only to its own address")
        elif parts.path not in self._pages:
            self._sentence(HTTPStatus.NOT_FOUND, f"there is no {parts.path[:60]!r}; there are {', '.join(self._pages)}")
        elif parts.path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        else:
            self._simulate(parts.query)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer to what is no request, or not one of those above, with a sentence; no method but these exists."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status, message = HTTPStatus.METHOD_NOT_ALLOWED, f"{self.command[:20]} is not allowed; use GET"
        self.request_version = self.protocol_version  # else there is no status line for what names none
        self.close_connection = True  # a body that is not read must not be taken for the next request
        self._sentence(status, message or status.phrase, {"Allow": "GET, HEAD", "Connection": "close"})

    def _is_for_us(self) -> bool:
        """Whether the request names this machine: a web page elsewhere must not reach us by a name that it controls."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if host in ("localhost", str(self.server.server_address[0])):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        # Bound to every interface, any of the machine's numbers will do; a number cannot be made to point elsewhere.
        return address.is_loopback or str(self.server.server_address[0]) in ("0.0.0.0", "::")

    def _simulate(self, query: str) -> None:
        if len(query) > LONGEST_QUERY:
            text = f"the query has {len(query)} characters, {LONGEST_QUERY} are allowed"
            self._sentence(HTTPStatus.REQUEST_URI_TOO_LONG, text)
            return
        strict = {"keep_blank_values": True, "strict_parsing": bool(query), "errors": "strict"}
        try:
            asked = parse_qs(query, max_num_fields=MOST_PARAMETERS, **strict)  # type: ignore[arg-type]
        except ValueError:
            text = f"the query must be name=value pairs joined by &, {MOST_PARAMETERS} at most"
            self._sentence(HTTPStatus.BAD_REQUEST, text)
            return
        try:
            answer = self.server.playground.answer(asked)
        except InputError as wrong:
            self._sentence(HTTPStatus.BAD_REQUEST, str(wrong))
        except AccelsimError as wrong:
            self._sentence(HTTPStatus.UNPROCESSABLE_ENTITY, str(wrong))
        else:
            status = HTTPStatus.ACCEPTED if isinstance(answer, Underway) else HTTPStatus.OK
            plain = asdict(answer) if isinstance(answer, Underway) else answer
            body = json.dumps(plain, allow_nan=False, separators=(",", ":")).encode()
            self._send(status, "application/json", body)

    def _sentence(self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps({"error": text}).encode(), headers)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        every = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS, **(headers or {})}
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests where people ask for it."""
        log.debug(format, *args)
