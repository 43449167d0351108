import json, os, threading, time, random
import psycopg, pytest
from .audit_world import Audit
from auditor.chain import hashing
from auditor.chain.rows import read_rows
from messaging.wire.receipt import decode
from messaging.process.database import open_pool
from notifier.suppressions import Suppressing
from .mails import MAIL

class Provider:
    def __init__(self): self.times = []
    def send(self, mail): self.times.append(time.monotonic()); return "r"

def test_erasure_in_disguise(audit: Audit) -> None:
    audit.write_sealed([1, 2, 3])
    audit.query("WITH w AS (INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at, erased) VALUES (gen_random_uuid(), 'user_registered', 'bob@example.com', 9, 'c', now(), '{1,2,3,100,101}') RETURNING id), q AS (INSERT INTO audit_unsealed (ids) SELECT ARRAY[id] FROM w) SELECT id FROM w")
    audit.seal()
    with audit.connection() as c:
        rows = read_rows(c, [2]); salts = c.execute("SELECT salts FROM audit_seals WHERE seal = 1").fetchone()[0]
        com = rows[2].committed(hashing.parts(salts, 16)[1])
        c.execute("UPDATE audit_log SET email = NULL, user_id = NULL, commitment = %s WHERE id = 2", [com])  # no trigger off: it is allowed
    v = audit.verify(); print(v); r = audit.run("log"); print(r.stdout[-400:])
    assert v.finding is not None

def test_receipts_fuzz() -> None:
    random.seed(1)
    bad = [None, True, 1, -1, 2**31, 2**70, 1.5, float("inf"), "", "x", "\x00", "a" * 10_000_000, [], {}, [[]], "\ud800", "é" * 600]
    uid = "01a22a69-a135-70c5-8a53-1b052bbc908c"
    base = {"event_id": uid, "subscription": "welcome_email", "dispatch": 1, "outcome": "resend"}
    n = 0
    for key in ["event_id", "subscription", "dispatch", "outcome", "error", "after", "reference", "extra", "event_ids", "dispatches"]:
        for v in bad:
            for d in ({**base, key: v}, {"subscription": "w", "outcome": "resend", "event_ids": [uid], "dispatches": [1], key: v}):
                for r in decode(json.dumps([d]).encode()):
                    n += 1
                    if r is not None: assert r.reference is None or len(r.reference) <= 500
    for raw in (b"\xff", b"", b"null", b"[" * 100000, b"[1,{}]", b'[{"event_ids":{}}]', b"9" * 1000000, b'[{"event_id": ' + b"9" * 5000 + b'}]'):
        list(decode(raw))
    print("fuzzed", n)

def test_switches(monkeypatch, tmp_path) -> None:
    from messaging.publishing.switches import switched_on
    from messaging.errors import ConfigurationError
    from contracts import SUBSCRIPTIONS
    f = tmp_path / "f"
    for env, content in [({"WEBHOOK_URL": " "}, None), ({"WEBHOOK_URL_FILE": str(f)}, ""), ({"WEBHOOK_URL_FILE": str(f)}, " \n"), ({"WEBHOOK_URL_FILE": str(f)}, "https://x"), ({"WEBHOOK_URL_FILE": str(tmp_path)}, None), ({"WEBHOOK_URL_FILE": " "}, None), ({"FOLLOW_UP_AFTER": "0s"}, None), ({"FOLLOW_UP_AFTER": "0"}, None), ({"FOLLOW_UP_AFTER": "3650d"}, None), ({"FOLLOW_UP_AFTER": "1e3s"}, None), ({"FOLLOW_UP_AFTER": "٣d"}, None)]:
        with monkeypatch.context() as m:
            for k in ("WEBHOOK_URL", "WEBHOOK_URL_FILE", "FOLLOW_UP_AFTER", "REPORT_TO"): m.delenv(k, raising=False)
            for k, v in env.items(): m.setenv(k, v)
            if content is not None: f.write_text(content)
            try: print(env, repr(content), [(s.name, str(s.delay)) for s in switched_on(SUBSCRIPTIONS) if s.switch])
            except ConfigurationError as e: print(env, "->", e)

def test_suppression_table_locked(effects_database) -> None:
    provider = Provider()
    s = Suppressing(provider, open_pool(effects_database, size=1, name="suppressions"))
    s.send(MAIL); time.sleep(1.1)
    with psycopg.connect(effects_database) as c:
        c.execute("LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE")
        t = threading.Thread(target=s.send, args=(MAIL,), daemon=True); t0 = time.monotonic(); t.start()
        t.join(25); hung = t.is_alive(); n = len(provider.times)
    t.join(5)
    print("hung for 25 s:", hung, "sent after the lock:", len(provider.times) - n, round(provider.times[-1] - t0, 1))
    assert not hung
