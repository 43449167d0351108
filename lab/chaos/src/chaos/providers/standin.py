"""A stand-in for a provider: an HTTP server that keeps what it accepts, by key, and misbehaves as its moods say.

`fate` says what it did to each mail, in order. What it kept without saying so (KEPT_UNSAID) may rightly come again.
"""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self, get_args

from chaos.providers.exchange import Provider, Reply, Request, Taken

Mood = Literal[
    "accept", "garble", "reject", "throttle", "fail", "fail_kept", "stall", "stall_kept", "hang_up", "hang_up_kept"
]
"""What it does to one request. `garble`: it accepts the mail, in an answer that can't be read; `reject`: it refuses the
recipient; `fail`: 500; `stall`: no answer; `…_kept`: it keeps the mail before."""

MOODS: tuple[Mood, ...] = get_args(Mood)
FINAL: frozenset[Mood] = frozenset({"accept", "garble", "reject"})
"""After these the mail may not come again."""
KEPT_UNSAID: frozenset[Mood] = frozenset({"fail_kept", "stall_kept", "hang_up_kept"})
UNANSWERED: frozenset[Mood] = KEPT_UNSAID | {"fail", "stall", "hang_up"}


class StandIn:
    """A provider on a port of its own. `mood`: for each mail, from its number; `reply`: one answer to all, instead.

    `retry_after`: seconds that its 429 asks for. `wrong`: what requests had in them that the documentation doesn't.
    """

    def __init__(self, provider: Provider, *, port: int = 0) -> None:
        self.provider = provider
        self.mood: Callable[[int], Mood] = lambda _: "accept"
        self.reply: Reply | None = None
        self.retry_after = 1
        self.taken: list[Taken] = []
        self.fate: dict[str, list[Mood]] = defaultdict(list)
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._number = 0
        self._stopped = threading.Event()
        self._server = _Server(self, port)

    @property
    def url(self) -> str:
        """Its MAIL_URL."""
        return self.provider.url(self._server.server_port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; what was kept stays."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def accepted(self) -> Counter[str]:
        """Count the acceptances of each key."""
        with self._lock:
            return Counter(mail.key for mail in self.taken)

    def misdeeds(self) -> dict[str, list[Mood]]:
        """Return the mails that came again although it had said what became of them: that is their sender's fault."""
        with self._lock:
            return {key: moods for key, moods in self.fate.items() if FINAL & set(moods[:-1])}

    def report(self) -> str:
        """Return in JSON what it did."""
        accepted = self.accepted()
        with self._lock:
            moods = Counter(mood for moods in self.fate.values() for mood in moods)
            numbers = {"mails": len(self.fate), "accepted": len(accepted), "copies": accepted.total()}
            return json.dumps({**numbers, "moods": moods, "wrong": self.wrong[:10], "fate": self.fate})

    def answer(self, request: Request) -> Reply | None:
        """Do what the mood says; None: hang up."""
        try:
            mail = self.provider.read(request)
        except Exception as error:  # whatever a request has in it, a provider refuses it
            with self._lock:
                self.wrong.append(f"{type(error).__name__}: {error}")
            return self.provider.refused(str(error))
        if self.reply:
            return self.reply
        with self._lock:
            self._number += 1
            number, mood = self._number, self.mood(self._number)
            self.fate[mail.key].append(mood)
            if mood in KEPT_UNSAID | {"accept", "garble"}:
                self.taken.append(mail)
        return self._act(mood, number)

    def _act(self, mood: Mood, number: int) -> Reply | None:
        match mood:
            case "accept":
                return self.provider.accepted(number)
            case "garble":
                return Reply(200, b'{"id": ')
            case "reject":
                return self.provider.rejected()
            case "throttle":
                return self.provider.throttled(self.retry_after)
            case "fail" | "fail_kept":
                return Reply.json(500, {"message": "Internal Server Error"})
            case "stall" | "stall_kept":
                self._stopped.wait()
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stand_in: StandIn, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.stand_in = stand_in


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        reply = self.server.stand_in.answer(Request("POST", self.path, headers, body))
        if reply is None:
            self.close_connection = True
        else:
            self._send(reply)

    def do_GET(self) -> None:
        report = self.server.stand_in.report()
        self._send(Reply(200, report.encode(), {"Content-Type": "application/json"}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Print nothing."""

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
