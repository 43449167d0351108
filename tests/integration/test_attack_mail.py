import os, signal, socket, threading, time
from datetime import UTC, datetime
import httpx, psycopg, pytest, redis
from messaging.privacy import Hidden
from messaging.process.database import open_pool
from messaging.wire.client import connect
from notifier.rate import Limited, Rate
from notifier.suppressions import Suppressing
from notifier.webhooks.endpoint import Endpoint
from .mails import MAIL

class Provider:
    def __init__(self): self.times = []
    def send(self, mail): self.times.append(time.monotonic()); return "r"

def serve(answer):
    s = socket.create_server(("127.0.0.1", 0))
    def run():
        while True:
            c, _ = s.accept()
            def one(c=c):
                while True:
                    b = b""
                    while b"\r\n\r\n" not in b:
                        d = c.recv(65536)
                        if not d: return
                        b += d
                    c.sendall(answer)
            threading.Thread(target=one, daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    return s.getsockname()[1]

@pytest.mark.parametrize("header", ["Set-Cookie: name=Jürgen".encode(), b"Retry-After: Mon, 01 Jan 99999999999999999999999 00:00:00 GMT"])
@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad"])
def test_hostile_webhook(header, status) -> None:
    port = serve(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n" + header + b"\r\n\r\n{}")
    e = Endpoint(httpx.URL(f"http://127.0.0.1:{port}/"), [b"x" * 32], timeout=3, allow_private=True)
    out = []
    for i in range(3):
        try: e.deliver(f"id{i}", b"{}", happened=datetime.now(UTC), hidden=Hidden(())); out.append("ok")
        except Exception as x: out.append(f"{type(x).__name__}")
    print(header[:20], status, out)
    assert set(out) <= {"ok", "NotTaken", "EndpointAway", "EndpointBusy"}

def test_suppression_table_locked(effects_database) -> None:
    provider = Provider()
    s = Suppressing(provider, open_pool(effects_database, size=1, name="suppressions"))
    s.send(MAIL)
    time.sleep(1.1)
    with psycopg.connect(effects_database) as c:
        c.execute("LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE")
        t = threading.Thread(target=s.send, args=(MAIL,)); t0 = time.monotonic(); t.start()
        t.join(25)
        hung = t.is_alive(); n = len(provider.times)
    t.join(5)
    print("hung for 25 s:", hung, "sent after the lock:", len(provider.times) - n, round(provider.times[-1] - t0, 1))
    assert not hung

def test_suppressions_200k(effects_database) -> None:
    import resource
    with psycopg.connect(effects_database) as c:
        c.execute("INSERT INTO suppressions (address, reason) SELECT 'user' || g || '@example.org', '550 no such user' FROM generate_series(1, 200000) g")
    p = Provider(); s = Suppressing(p, open_pool(effects_database, size=1, name="suppressions"))
    m = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    t = time.monotonic(); s.send(MAIL); print("200k first mail", round(time.monotonic() - t, 2), "s, rss +MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - m) / 1024)
    time.sleep(1.1); t = time.monotonic(); s.send(MAIL); print("second refresh", round(time.monotonic() - t, 2))
    time.sleep(1.1); t = time.monotonic(); s.send(MAIL); print("third refresh", round(time.monotonic() - t, 2))

def test_redis_stopped(redis_server) -> None:
    p = Provider(); s = Limited(p, Rate.parse("100/s"), "a", connect(redis_server.url), threading.Event())
    s.send(MAIL)
    pid = redis.Redis.from_url(redis_server.url).info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        t = time.monotonic(); s.send(MAIL); one = time.monotonic() - t
        t = time.monotonic(); s.send(MAIL); two = time.monotonic() - t
    finally: os.kill(pid, signal.SIGCONT)
    print("stopped redis: mail hung", round(one, 1), round(two, 1))

def test_redis_clock_back(redis_server, redis_client) -> None:
    p = Provider(); s = Limited(p, Rate.parse("100/s"), "a", connect(redis_server.url), threading.Event())
    s.send(MAIL)
    # the clock was one hour ahead (an NTP step back): what the script left behind then
    now = redis_client.time(); redis_client.set(s._key, str((now[0] + 3600) * 1000000), px=3600_000)
    with pytest.raises(Exception) as x: s.send(MAIL)
    print("clock back:", repr(x.value), getattr(x.value, "after", None))

@pytest.mark.parametrize("address", ["'\"a b\"@example.com'", "\\xff@example.com", "A@EXAMPLE.com", "İ@example.com", "ß@straße.de", "a@b", "\\u202e@x.org"])
def test_cli_addresses(effects_database, address) -> None:
    import subprocess
    from devstack.programs import program
    arg = b"\xff@example.com" if address.startswith("\\xff") else address.encode()
    for cmd in ("add", "remove"):
        r = subprocess.run([program("notifier").encode() if isinstance(program("notifier"), str) else os.fsencode(program("notifier")), b"suppressions", cmd.encode(), arg], env={**os.environ, "DATABASE_URL": effects_database}, capture_output=True)
        print(cmd, ascii(address), r.returncode, r.stdout[-120:], r.stderr[-160:] if b"Traceback" not in r.stderr else b"TRACEBACK " + r.stderr[-160:])
        assert b"Traceback" not in r.stderr
