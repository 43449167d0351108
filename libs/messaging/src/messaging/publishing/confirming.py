"""Confirm uncertain effects: an operator says that they have happened.

Invariant: one statement moves the delivery from `uncertain` to `succeeded` and publishes `effect_confirmed`. The event
is delivered like any other, to the consumer that keeps the effect ledger, so the decision outlives an unreachable
ledger. Nothing causes the effect again meanwhile: no statement moves a delivery that succeeded, unless its subscription
is `repeatable`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from contracts import EffectConfirmed, Event, subscriptions_to
from messaging.publishing import outbox, switches
from messaging.publishing.counts import COUNT, counting
from messaging.publishing.operations import RECORDED

CONFIRM: LiteralString = f"""
-- Confirm these deliveries, if they are uncertain. Each brings the event that is published if it is confirmed.
-- `requested_at`: only those that were uncertain by then, for a bulk operation, which has been recorded already. A time
-- until a person decides is no lag. Housekeeping leaves the events alone, because these deliveries aren't over.
WITH current AS MATERIALIZED (
    SELECT event_id, subscription, state, finished_at, chosen.id, chosen.subject, chosen.envelope
    FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(ids)s::uuid[], %(subjects)s::text[],
        %(envelopes)s::json[]) AS chosen (event_id, subscription, id, subject, envelope)
        JOIN deliveries USING (event_id, subscription)
    ORDER BY event_id, subscription
    FOR UPDATE OF deliveries
), confirmed AS (
    UPDATE deliveries
    SET state = 'succeeded', finished_at = now(), confirmed_by = %(confirmed_by)s, last_error = NULL
    FROM current
    WHERE deliveries.event_id = current.event_id AND deliveries.subscription = current.subscription
        AND current.state = 'uncertain' AND current.finished_at <= coalesce(%(requested_at)s, 'infinity'::timestamptz)
    RETURNING deliveries.event_id, deliveries.subscription, current.id, current.subject, current.envelope
), new_event AS (
    SELECT id, %(type)s AS type, subject, envelope, NULL::timestamptz AS available_at FROM confirmed
), {outbox.PUBLISH}, moved AS (
    SELECT event_id, subscription, 'succeeded' AS state, NULL::float8 AS lag FROM confirmed
), counted AS (
{COUNT}
), recorded AS ({RECORDED})
SELECT (SELECT count(*) FROM confirmed) AS moved, state, {outbox.WAKE} FROM current LIMIT 1
"""  # noqa: S608  # of literals

UNKNOWN = "an operator"
"""Who confirmed an effect, if the request didn't say."""


def confirming(
    deliveries: Sequence[tuple[UUID, str]], *, source: str, by: str | None, requested_at: datetime | None = None
) -> dict[str, Any]:
    """Return the parameters of CONFIRM.

    Args:
        deliveries: the event's id and the subscription of each.
        source: the publishing service.
        by: who wants it.
        requested_at: when the bulk operation was requested, which has its own record; None for a single delivery.

    Raises:
        ConfigurationError: a setting of an effect is wrong.
    """
    events = [_event(event_id, subscription, source, by or UNKNOWN) for event_id, subscription in deliveries]
    return {
        "event_ids": [event_id for event_id, _ in deliveries],
        "subscriptions": [subscription for _, subscription in deliveries],
        "ids": [event.id for event in events],
        "subjects": [event.subject for event in events],
        "envelopes": [event.model_dump_json() for event in events],
        "type": EffectConfirmed.event_type,
        "action": "confirm",
        "by": by,
        "confirmed_by": by or UNKNOWN,
        "requested_at": requested_at,
        **counting(),
        **outbox.subscribed(switches.switched_on(subscriptions_to(EffectConfirmed.event_type))),
    }


def _event(event_id: UUID, subscription: str, source: str, confirmed_by: str) -> Event[EffectConfirmed]:
    """Its log lines share the id of the event whose effect was confirmed."""
    data = EffectConfirmed(event_id=event_id, subscription=subscription, confirmed_by=confirmed_by)
    subject = f"deliveries/{event_id}/{subscription}"
    return Event.about(data, source=source, subject=subject, correlation_id=str(event_id))


def not_confirmed(state: str) -> str:
    """Explain why a delivery in `state` wasn't confirmed."""
    return f"The delivery is {state}. Only one that is uncertain can be confirmed."


def outcome(delivery: Mapping[str, Any]) -> str | None:
    """Return what is known of how a delivery went: who confirmed it, its last error, or the provider's reference."""
    by = delivery["confirmed_by"]
    return f"confirmed by {by}" if by else delivery["last_error"] or delivery["reference"]
