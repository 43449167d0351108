import os, subprocess, tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pytest
from contracts import Schedule, ReportDue
from messaging.publishing.slots import due, slots, require_readable
from auditor.reports.store import keep
import uuid

def S(cron, zone="Europe/Berlin", catch="last"): return Schedule(name="x", cron=cron, time_zone=zone, event=ReportDue, catch_up=catch)

def test_disk_full(tmp_path):
    d = tmp_path / "s"; d.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(d)]).returncode: pytest.skip("no mount")
    try:
        for _ in range(5):
            with pytest.raises(OSError) as x: keep(d, uuid.uuid4(), "a.csv", "text/csv", b"x" * 200000)
        print("disk full", x.value, os.listdir(d))
        assert not os.listdir(d)
    finally: subprocess.run(["umount", str(d)])

def test_cron_odd():
    now = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
    for c in ["0 0 30 2 *", "0 0 29 2 *", "* * * * *", "*/7 */5 * * *", "0 0 L * *", "0 0 * * 5#5", "59 23 31 12 *", "0 0 29 2 1", "0,30 2 * * *", "1-59/2 * * * *", "0 */24 * * *"]:
        import time
        t = time.monotonic()
        try:
            require_readable([S(c)])
            r = due(S(c), datetime(2020, 1, 1, tzinfo=UTC), now)
            r2 = len(due(S(c, catch="all"), datetime(2020, 1, 1, tzinfo=UTC), now))
        except Exception as e: r = r2 = repr(e)[:150]
        print(c, str(r)[:120], r2, round(time.monotonic() - t, 2))

def test_monotone_and_nothing_lost_for_every_start():
    """due() from any `since` gives what slots() from far back gives."""
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Beirut", "Antarctica/Troll", "Pacific/Apia"):
        for cron in ("30 2 * * *", "*/20 * * * *", "0 */2 * * *", "15 1-3 * * *", "0 0 * * *", "0 3 * * 0", "5,35 0-4 * * *"):
            for start in (datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 2, 13, tzinfo=UTC), datetime(2026,3,20,tzinfo=UTC)):
                end = start + timedelta(days=4)
                whole = []
                for s in slots(S(cron, zone), start):
                    if s > end: break
                    whole.append(s)
                if whole != sorted(set(whole)): print("NOT MONOTONE", zone, cron, start)
                step = []; since = start; t = start
                while since < end:
                    nxt = next(slots(S(cron, zone), since))
                    if nxt > end: break
                    step.append(nxt); since = nxt
                if step != whole: print("DIFF", zone, cron, start, sorted(set(step) ^ set(whole))[:4])
                for probe in [start + timedelta(minutes=17 * k) for k in range(0, 330, 3)]:
                    n = next(slots(S(cron, zone), probe)); w = next((x for x in whole if x > probe), None)
                    if w and n != w: print("PROBE", zone, cron, probe, n, w); break
