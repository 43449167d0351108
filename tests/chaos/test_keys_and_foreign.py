"""What rows 21 and 24 of the ledger work with: every key in Redis, and what no program of ours writes there."""

import json
from pathlib import Path

import pytest

from chaos import foreign, keys
from chaos.servers import Servers
from contracts import SUBSCRIPTIONS, EventData, Subscription
from devstack.postgres import Postgres
from messaging.wire import layout

KINDS = {
    *(
        "dramatiq:notifier",
        "dramatiq:notifier.msgs",
        "dramatiq:__acks__.<notifier>.notifier",
        "dramatiq:__heartbeats__",
    ),
    "herald:receipts:users-api",
    *("dramatiq:auditor", "dramatiq:auditor.msgs", "dramatiq:__acks__.<auditor>.auditor", "herald:worker:<auditor>"),
    *("herald:worker:<notifier>", "herald:workers", "herald:relay:<host>", "herald:epoch:users-api"),
    *("herald:relays", "herald:relay:users-api/<host>.<pid>"),
}


def test_each_kind_of_key_is_found_whoever_made_it(postgres: Postgres, tmp_path: Path) -> None:
    with Servers(tmp_path, postgres).system("keys") as system:
        system.start()
        before = keys.kinds(system)
        system.redis.set("herald:added:later", "x")
        system.replace("auditor")
        system.until(lambda: len(keys.worker_ids(system)) == 2)

        found = keys.kinds(system)

    assert before.keys() >= KINDS
    assert found.keys() == before.keys() | {"herald:added:later"}
    assert found["herald:worker:<auditor>"] != before["herald:worker:<auditor>"], "a dead worker's keys are aside"
    assert found["dramatiq:notifier"] == layout.queue_key("notifier")


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS, ids=lambda each: each.name)
def test_no_foreign_message_is_like_another_or_like_ours(subscription: Subscription[EventData]) -> None:
    messages = list(foreign.messages(subscription))
    ours = {"queue_name": subscription.queue, "actor_name": subscription.name, "message_id": foreign.ID, "kwargs": {}}

    alike = [each for each in map(_read, messages) if isinstance(each, dict) and each.items() >= ours.items()]

    assert len(set(messages)) == len(messages)
    assert len(alike) > 50, "many are ours but for their options or their batch"


def _read(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
