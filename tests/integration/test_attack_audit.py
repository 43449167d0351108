"""Attacks on the chain (throw-away)."""
import pytest
from .audit_world import Audit
from auditor.chain.erasing import erase

def test_forged_row_with_the_id_of_a_genuine_one(audit: Audit) -> None:
    audit.write_sealed([1, 2, 3], [4, 5])
    audit.query("ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey RETURNING 1") if False else None
    with audit.connection() as c:
        c.execute("SET session_replication_role = replica")
        c.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey")
        c.execute("INSERT INTO audit_log (id, event_id, action, email, user_id, correlation_id, occurred_at) OVERRIDING SYSTEM VALUE SELECT id, gen_random_uuid(), action, 'evil@example.com', 666, 'forged', now() FROM audit_log WHERE id = 2")
        c.execute("UPDATE audit_log SET action = action WHERE id = 2 AND user_id <> 666")  # the genuine one moves behind it
        c.execute("ALTER TABLE audit_log ADD COLUMN x int") if False else None
    print(audit.query("SELECT id, email FROM audit_log"))
    found = audit.verify()
    print(found)
    assert found.finding is not None

def test_dup_with_plain_index(audit: Audit) -> None:
    audit.write_sealed([1, 2, 3], [4, 5])
    with audit.connection() as c:
        c.execute("SET session_replication_role = replica")
        c.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey")
        c.execute("CREATE INDEX audit_log_pkey ON audit_log (id)")
        c.execute("INSERT INTO audit_log (id, event_id, action, email, user_id, correlation_id, occurred_at) OVERRIDING SYSTEM VALUE SELECT id, gen_random_uuid(), action, 'evil@example.com', 666, 'forged', now() FROM audit_log WHERE id = 2")
        c.execute("UPDATE audit_log SET action = action WHERE id = 2 AND user_id <> 666")
    assert audit.verify().finding is not None

def test_a_row_that_is_queued_again_and_erased(audit: Audit) -> None:
    audit.write_sealed([1, 2, 3])
    audit.query("INSERT INTO audit_unsealed (ids) VALUES ('{2}') RETURNING 1")  # auditor_writer may; so may docs' remedy, if given twice
    audit.seal()
    before = audit.verify()
    print(before)
    assert before.finding is None
    [(uid,)] = audit.query("SELECT user_id FROM audit_log WHERE id = 2")
    with audit.connection() as c:
        print(erase(c, uid))
    assert audit.verify().finding is None

def test_commitment_column_of_a_live_row(audit: Audit) -> None:
    audit.write_sealed([1, 2, 3])
    [(uid,)] = audit.query("SELECT user_id FROM audit_log WHERE id = 2")
    audit.tamper("UPDATE audit_log SET commitment = '\\x00' WHERE id = 2")
    found = audit.verify()
    print(found, audit.run("erase", "--user", str(uid), "--yes"))
    assert found.finding is not None

def test_empty_entries_hide_waiting_rows(audit: Audit) -> None:
    with audit.connection() as c:
        for _ in range(100):
            c.execute("INSERT INTO audit_unsealed (ids) VALUES ('{}')")
    audit.write(1)
    audit.seal()
    print(audit.query("SELECT count(*) FROM audit_unsealed"), audit.query("SELECT count(*) FROM audit_seals"))
    assert audit.query("SELECT count(*) FROM audit_seals") == [(1,)]

@pytest.mark.parametrize("ids", ["{NULL}", "{NULL,1}", "{{1,2},{3,4}}"])
def test_poison_in_the_queue(audit: Audit, ids: str) -> None:
    audit.write(1, 2, 3, 4)
    audit.query(f"INSERT INTO audit_unsealed (ids) VALUES ('{ids}') RETURNING 1")
    r = audit.run("verify"); print(r.returncode, r.stdout[-300:], r.stderr[-300:])
    try:
        audit.seal()
    except Exception as e:
        print("sealing", repr(e)[:200])
        raise

@pytest.mark.parametrize("line", ['{"seal": 1e999, "hash": "00", "rows": 1, "signature": ""}', "[" * 100000, '{"seal": "٣", "hash": "00", "rows": 1, "signature": ""}', '{"seal": 1, "hash": "00", "rows": NaN, "signature": ""}', '\xff', '{"seal":1,"hash":"00","rows":1,"x":"\\ud800","signature":""}'])
def test_checkpoint_lines(audit: Audit, tmp_path, line: str) -> None:
    audit.write_sealed([1])
    out = audit.run("keygen", "--out", str(tmp_path / "k")).stdout
    key = next(w for w in out.replace("'", " ").replace("=", "= ").split() if len(w) == 44)
    (tmp_path / "c").write_text(line + "\n", encoding="latin-1" if line == '\xff' else "utf-8")
    r = audit.run("verify", "--checkpoints", str(tmp_path / "c"), "--public-key", key)
    print(r.returncode, r.stdout[-300:], r.stderr[-400:])
    assert r.returncode != 1 and "Traceback" not in r.stderr

def test_two_erases_at_once(audit: Audit) -> None:
    from concurrent.futures import ThreadPoolExecutor
    audit.write_sealed(list(range(1, 50)))
    uids = [u for (u,) in audit.query("SELECT DISTINCT user_id FROM audit_log")][:12]
    def go(u):
        with audit.connection() as c:
            return erase(c, u)
    with ThreadPoolExecutor(8) as t:
        rs = list(t.map(go, uids + uids))
    print(sum(r is not None for r in rs))
    assert audit.verify().finding is None and sum(r is not None for r in rs) == 12

def test_verify_while_writing_sealing_erasing(audit: Audit) -> None:
    import threading, time
    stop = threading.Event(); errs = []
    def w(base):
        n = base
        while not stop.is_set():
            audit.write(*range(n, n + 20)); n += 20
    def s():
        while not stop.is_set():
            audit.seal(); time.sleep(.05)
    def e():
        while not stop.is_set():
            [(u,)] = audit.query("SELECT coalesce(min(user_id), 0) FROM audit_log")
            try:
                with audit.connection() as c: erase(c, u)
            except Exception as x: errs.append(repr(x))
    ts = [threading.Thread(target=f, args=a) for f, a in ((w, (1000,)), (w, (100000,)), (s, ()), (e, ()), (e, ()))]
    [t.start() for t in ts]
    bad = []
    end = time.monotonic() + 12; n = 0
    while time.monotonic() < end:
        v = audit.verify(); n += 1
        if v.finding: bad.append(v.finding)
        p = audit.run("export", "--format", "csv")
        if p.returncode: bad.append(p.stderr)
    stop.set(); [t.join() for t in ts]
    print(n, bad[:3], errs[:3], audit.verify())
    assert not bad and not errs
