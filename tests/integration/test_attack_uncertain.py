"""Attacks on decisions (throw-away)."""
import os, subprocess
from uuid import UUID
import redis, psycopg
from contracts import WELCOME_EMAIL
from devstack.programs import program
from messaging.consuming.receipt_writer import report
from messaging.effects.once import Once
from messaging.effects import decisions
from messaging.errors import UncertainError, TransientError
from messaging.wire.message import Attempt
from messaging.wire.receipt import Receipt
from messaging.process.database import connect
from .conftest import RelayParts
from .effect_world import Consumer
from notifier.suppressions import Suppressing
import pytest, inspect

print(inspect.signature(Attempt))

def receipts_of(results):
    from messaging.consuming.outcomes import ended
    return ended(results)

def attempt(consumer, event, dispatch, generation=0):
    once = Once(consumer.stopping, WELCOME_EMAIL, consumer.provider, consumer.ledger)
    return list(once.results([Attempt(event, "welcome_email", dispatch, generation, publisher="users-api") if "publisher" in inspect.signature(Attempt).parameters else None]))

@pytest.fixture
def consumer(effects_database):
    c = Consumer(effects_database)
    c.ledger.uncertain = "hold"
    yield c
    c.ledger.close()

def test_resend_after_a_lost_receipt(relay: RelayParts, consumer: Consumer, publish_users, redis_client: redis.Redis) -> None:
    [event] = publish_users(1)
    relay.dispatcher.dispatch()
    consumer.provider.trouble[""] = UncertainError("no reply")
    [(_, e)] = attempt(consumer, event, 1)                       # receipt `uncertain` is lost (Redis away)
    print("first", repr(e))
    relay.tell(event.id, "started")
    relay.applier.apply([Receipt(event.id, "welcome_email", 1, "handed_back")])  # the relay finds the message gone
    relay.execute("UPDATE deliveries SET due_at = now() WHERE state IN ('pending', 'retrying')")
    relay.dispatcher.dispatch()
    row = relay.row(event.id, "welcome_email"); print("again", row["state"], row["dispatch"])
    results = attempt(consumer, event, row["dispatch"])
    print("second", results[0][1])
    relay.applier.apply(receipts_of(results))
    row = relay.row(event.id, "welcome_email"); print(row["state"], row["dispatch"], consumer.rows("SELECT state, dispatch, doubts FROM effects"))
    assert row["state"] == "uncertain"
    with connect(consumer.url, name="t") as c:
        [effect] = decisions.find(c, event.id, None)
    relay.applier.apply([Receipt(effect.event_id, effect.subscription, effect.dispatch, "resend")])
    row = relay.row(event.id, "welcome_email"); print("after resend", row["state"])
    assert row["state"] == "pending"

def test_resend_after_confirm_whose_receipt_was_lost(relay, consumer, publish_users, redis_client) -> None:
    [event] = publish_users(1)
    relay.dispatcher.dispatch()
    consumer.provider.trouble[""] = UncertainError("no reply")
    relay.applier.apply(receipts_of(attempt(consumer, event, 1)))
    with connect(consumer.url, name="t") as c:
        [effect] = decisions.find(c, event.id, None)
        with pytest.raises(redis.RedisError):
            decisions.confirm(c, redis.Redis(port=1), effect)      # Redis away: the operator saw the remedy
        consumer.provider.trouble.clear()
        [effect] = decisions.find(c, event.id, None)
    relay.applier.apply([Receipt(effect.event_id, effect.subscription, effect.dispatch, "resend")])  # and now decides to resend
    relay.dispatcher.dispatch()
    row = relay.row(event.id, "welcome_email"); print(row["state"], row["dispatch"], row["generation"])
    relay.applier.apply(receipts_of(attempt(consumer, event, row["dispatch"], row["generation"])))
    row = relay.row(event.id, "welcome_email"); print(row["state"], "sent:", consumer.provider.done)
    assert consumer.provider.done, "resend: 'cause the effect again, whether or not it has happened'"

def test_confirm_while_an_automatic_attempt_runs(relay, consumer, publish_users) -> None:
    consumer.ledger.uncertain = "resend"
    [event] = publish_users(1)
    relay.dispatcher.dispatch()
    consumer.provider.trouble[""] = UncertainError("no reply")
    relay.applier.apply(receipts_of(attempt(consumer, event, 1)))
    with connect(consumer.url, name="t") as c:
        [effect] = decisions.find(c, event.id, None)               # the operator runs `confirm` …
        consumer.rows("UPDATE effects SET claimed_until = now() - interval '1 s'")
        relay.execute("UPDATE deliveries SET due_at = now() WHERE state IN ('pending', 'retrying')")
        relay.dispatcher.dispatch()
        row = relay.row(event.id, "welcome_email")
        sent = []
        def meanwhile():
            c.execute(decisions._CONFIRM, {"event_id": effect.event_id, "subscription": "welcome_email", "reference": None})
            sent.append(c.execute("SELECT state FROM effects").fetchall())
        consumer.provider.meanwhile[event.data.email] = meanwhile
        r = attempt(consumer, event, row["dispatch"])
        print(r[0][1], sent, consumer.rows("SELECT state, doubts FROM effects"))
    assert sent[0] == [("done",)], "confirm said 'confirmed' and recorded nothing"
