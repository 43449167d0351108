import pytest, time
from datetime import UTC, datetime, timedelta
from .effect_world import Consumer
from contracts import Schedule, ReportDue
from messaging.relay.scheduler import Scheduler
from .conftest import RelayParts

def test_unknown_errors(effects_database) -> None:
    c = Consumer(effects_database, limit=60)
    c.provider.trouble[""] = UnicodeEncodeError("ascii", "ü", 0, 1, "x")
    seen = []
    for _ in range(4):
        seen.append(repr(c.attempt(1)[0])[:60]); seen.append(c.states()); c.let_claims_run_out()
    print(seen); c.ledger.close()

def test_future_slot(relay: RelayParts) -> None:
    s = Schedule(name="x", cron="* * * * *", time_zone="UTC", event=ReportDue, catch_up="all")
    sch = Scheduler(relay.pool, [s], "users-api"); print("begin", sch.make())
    relay.execute("INSERT INTO schedule_slots (schedule, slot) VALUES ('x', now() + interval '1 day')")
    relay.execute("UPDATE schedule_slots SET made_at = now() - interval '2 hours' WHERE slot = '-infinity'")
    print("with future row", sch.make())
    with relay.pool.connection() as c: print(c.execute("SELECT schedule, slot, event_id FROM schedule_slots").fetchall())
