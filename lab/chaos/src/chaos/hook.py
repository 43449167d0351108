"""An endpoint for webhooks: it verifies what it accepts, and is away, silent or overloaded on request."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from standardwebhooks import Webhook, WebhookVerificationError

from devstack.ports import free_port

SECRET = "whsec_aGVyYWxkJ3MgZmF1bHQgcmlnLCBubyBzZWNyZXQ="  # noqa: S105  # of the rig alone
PATIENCE = 30.0
"""Seconds for which it is silent, at most."""

Mood = Literal["accepts", "hangs", "busy", "drops"]


class Hook:
    """Accepts webhooks, on a port of its own for as long as it lives.

    `accepted`: how often a message of each webhook-id was answered 200. `users`: the address that each was about.
    `wrong`: what was wrong with others. `mood`: "hangs" is silence, "busy" is 503 with Retry-After, "drops" ends
    connections without an answer.
    """

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.users: dict[str, str] = {}
        self.wrong: list[str] = []
        self.tried = 0
        self.mood: Mood = "accepts"
        self.port = free_port()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server: _Server | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a Herald that calls it."""
        url = f"http://127.0.0.1:{self.port}/webhooks"
        return {"WEBHOOK_URL": url, "WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW_PRIVATE": "yes"}

    def start(self) -> None:
        """Listen."""
        self.mood = "accepts"
        self._stopped.clear()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those that there are at their next request. What was accepted stays."""
        self.mood = "drops"
        self._stopped.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def receive(self, headers: dict[str, str], body: bytes) -> int | None:
        """Return the status of the answer to one request; None for none."""
        with self._lock:
            self.tried += 1
        mood = self.mood
        if mood == "hangs":
            self._stopped.wait(PATIENCE)
        if mood in ("hangs", "drops"):
            return None
        return 503 if mood == "busy" else self._accept(headers, body)

    def _accept(self, headers: dict[str, str], body: bytes) -> int:
        try:
            Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError as error:
            self.wrong.append(str(error))
            return 400
        with self._lock:
            message_id = headers["webhook-id"]
            self.accepted[message_id] += 1
            self.users[message_id] = json.loads(body)["data"]["email"]
        return 200


class _Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        super().__init__(("127.0.0.1", hook.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answer one webhook."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.hook.receive(headers, body)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 503:
            self.send_header("retry-after", "2")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Print nothing."""
