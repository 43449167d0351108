"""effect_confirmed, version 1: what is published when an operator confirms an effect, and what the ledger reads."""

import json

from contracts import EffectConfirmed, decode
from messaging.publishing.confirming import confirming

from .goldens import golden


def test_a_confirmation_writes_exactly_the_golden() -> None:
    expected = golden("effect_confirmed")
    data = decode(expected, EffectConfirmed).data

    parameters = confirming([(data.event_id, data.subscription)], source="users-api", by=data.confirmed_by)

    [envelope], [subject], [event_id] = (parameters[name] for name in ("envelopes", "subjects", "ids"))
    written = json.loads(envelope)
    assert (written["id"], written["subject"]) == (str(event_id), subject)
    assert json.dumps(written | {name: expected[name] for name in ("id", "time")}) == json.dumps(expected)


def test_a_consumer_reads_the_golden_and_would_write_it_again() -> None:
    written = decode(golden("effect_confirmed"), EffectConfirmed).model_dump_json()
    assert json.loads(written) == golden("effect_confirmed")
