"""The mailbox's web server: it shows the mails to this machine alone, and nothing in a mail can act on its reader.

- It listens on 127.0.0.1, and answers only to that name: else any web page could read mails through a name of its own
  that resolves to 127.0.0.1.
- A mail's HTML is shown under a policy that lets it run nothing, fetch nothing and lead nowhere.
"""

import os
import re
import shutil
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

from devstack import mail_pages
from devstack.mails import Mails
from devstack.ports import free_port

PAGE = 100
"""Mails on one page of the list."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
}

OUR_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)

LOCAL = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.ASCII)


class MailServer:
    """Shows the mails of a directory at `url`. `port`: a free one if left out."""

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._mails = Mails(directory)
        self._server: _Server | None = None

    def start(self) -> None:
        """Start to listen; OSError when the port is taken."""
        self._server = _Server(("127.0.0.1", self.port), partial(_Handler, self._mails))
        threading.Thread(target=self._server.serve_forever, name="mail pages", daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a browser that has gone away is nothing to report
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def __init__(self, mails: Mails, *arguments: Any) -> None:
        self._mails = mails
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if LOCAL.fullmatch(self.headers.get("Host", "")):
            self._route()
        else:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "Open this page as http://127.0.0.1")

    do_HEAD = do_GET  # noqa: N815  # http.server's

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass

    def _route(self) -> None:
        path, _, query = self.path.partition("?")
        match [os.fsdecode(unquote_to_bytes(part)) for part in path.split("/")[1:]]:
            case [""]:
                self._list(parse_qs(query, errors="surrogateescape").get("before", [""])[0])
            case ["style.css"]:
                self._send(files("devstack").joinpath("mails.css").read_text("utf-8"), kind="text/css")
            case ["mails", name]:
                self._letter(name)
            case ["mails", name, "html"]:
                self._html(name)
            case ["mails", name, "source"]:
                self._source(name)
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _list(self, before: str) -> None:
        found = self._mails.newest(PAGE + 1, before)
        self._send(mail_pages.listing(found[:PAGE], first=not before, more=len(found) > PAGE))

    def _letter(self, name: str) -> None:
        mail = self._mails.open(name)
        if mail is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(mail_pages.letter(mail))

    def _html(self, name: str) -> None:
        mail = self._mails.open(name)
        if mail is None or mail.html is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(mail_pages.inert(mail.html), policy=MAIL_POLICY)

    def _source(self, name: str) -> None:
        path = self._mails.find(name)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as source:
            self._begin(os.fstat(source.fileno()).st_size, "text/plain", MAIL_POLICY)
            if self.command != "HEAD":
                shutil.copyfileobj(source, self.wfile)

    def _send(self, text: str, *, kind: str = "text/html", policy: str = OUR_POLICY) -> None:
        content = text.encode("utf-8", "replace")
        self._begin(len(content), kind, policy)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, length: int, kind: str, policy: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
