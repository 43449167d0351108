"""Herald without one of its guards. A ledger that stays green without a guard would prove nothing about it."""

from concurrent.futures import Future
from typing import Any

from chaos.sabotage.errors import OrderUnknown


def take_away(guard: str) -> None:
    """Let this process work without a guard, as far as it has a part in it.

    Raises:
        OrderUnknown: there is no such guard, or the code that it was has changed.
    """
    if guard not in GUARDS:
        raise OrderUnknown(f"without:{guard}; there are: {', '.join(GUARDS)}")
    GUARDS[guard]()


def _effects() -> None:
    """Every attempt sends, whatever was done before."""
    from messaging.effects import Ledger

    _set(Ledger, "claim", _all_granted)
    _set(Ledger, "record", lambda self, endings: dict.fromkeys((ending.claim.token for ending in endings), 0))


def _claims() -> None:
    """An attempt goes on with the effects that it claimed once, although another attempt has them by now."""
    from messaging.effects import Ledger

    _set(Ledger, "renew", _all_granted)


def _all_granted(_: object, claims: Any) -> set[Any]:
    return {claim.token for claim in claims}


def _recorder() -> None:
    """Each thread records its effects by itself, when it has caused all that it claimed."""
    from messaging.effects.recorder import Recorder

    _set(Recorder, "add", lambda self, ending: Future())
    _set(Recorder, "wait", lambda self, added, stopping: self._record_here(list(added)))


def _retries() -> None:
    """Recording is tried once: while the ledger can't be written, what was done is forgotten."""
    from messaging.effects.recorder import Recorder

    _set(Recorder, "_recorded", lambda self, endings: {each.claim.token: 0 for each in self._record_here(endings)})


_RESEND = "%(resend)s AND effects.doubts + (effects.state = 'claimed')::int < %(max_doubts)s"


def _hold() -> None:
    """An effect in doubt is caused again, whatever the operator has chosen."""
    from messaging.effects import ledger

    _cut(ledger, "CLAIM", _RESEND, "true")


def _resend() -> None:
    """An effect in doubt is never caused again, whatever the operator has chosen."""
    from messaging.effects import ledger

    _cut(ledger, "CLAIM", _RESEND, "false")
    _cut(ledger, "LOOK", _RESEND.replace("effects.", ""), "false")  # otherwise an attempt waits for its turn for ever


def _unique_key() -> None:
    """Every attempt writes, whatever was written before. (The rig drops the log's unique key.)"""
    from auditor import handlers

    _cut(handlers, "_RECORD", "ON CONFLICT (event_id) DO NOTHING")


def _leases() -> None:
    """A lease lasts for ever."""
    from messaging.relay import apply, dispatch, lost, reconcile

    for module in (apply, dispatch, reconcile):
        _set(module, "LEASE", 1e8)
    _set(lost, "LOOK_SECONDS", 1e8)


def _reconciliation() -> None:
    """The relay doesn't look for what got lost; it only sends its sign of life."""
    from messaging.relay.reconcile import Reconciler
    from messaging.relay.sweep import Sweeper

    _set(Reconciler, "reconcile", lambda self: self._beat_and_see_empty())
    _set(Sweeper, "sweep", lambda self: None)


def _outbox() -> None:
    """The event is published after the commit, in a transaction of its own: what most people write first."""
    from messaging import publish
    from messaging.publishing import outbox
    from users_api import registration, subjects
    from users_api.database import query
    from users_api.registrar import Registrar, is_new

    _cut(registration, "_REGISTER", f", {outbox.PUBLISH}", "")
    execute = Registrar._execute

    def event(each: Any, answer: Any) -> Any:
        user_id, made = answer.body["id"], registration._event(each)
        facts = {"subject": subjects.subject(user_id), "data": made.data.model_copy(update={"user_id": user_id})}
        return made.model_copy(update=facts)

    async def then_publish(self: Registrar, group: Any) -> Any:
        answers = await execute(self, group)
        new = [event(*each) for each in zip(group, answers, strict=True) if is_new(each[1])]
        if new:
            await query(self._pool, *publish(new))
        return answers

    _set(Registrar, "_execute", then_publish)


def _fencing() -> None:
    """News about an older dispatch counts like any other."""
    from messaging.relay import dispatch_ends

    for name in ("SUCCEEDED", "FAILED"):
        _cut(dispatch_ends, name, "deliveries.dispatch = receipt.dispatch AND state IN ('queued', 'running')", "true")
    _cut(dispatch_ends, "RETRIED", "JOIN deliveries USING (event_id, subscription, dispatch)",
         "JOIN deliveries USING (event_id, subscription)")  # fmt: skip
    _cut(dispatch_ends, "RETRIED", "WHERE lease_until IS NOT NULL", "")


def _publishers() -> None:
    """All publishers share one stream of receipts."""
    from messaging.wire import layout

    _set(layout, "receipts_key", lambda publisher: f"{layout.RECEIPTS}:users-api")


def _strictness() -> None:
    """Whatever Dramatiq can decode is taken for a message of ours."""
    from messaging.consuming import consumer
    from messaging.wire.message import QuietMessage

    _set(consumer, "read", lambda queue, message_id, data: QuietMessage.decode(data))


def _set(owner: Any, name: str, value: Any) -> None:
    if not hasattr(owner, name):
        raise OrderUnknown(f"{owner.__name__} has no {name} any more")
    setattr(owner, name, value)


def _cut(owner: Any, name: str, condition: str, instead: str = "") -> None:
    statement: str = getattr(owner, name)
    if condition not in statement:
        raise OrderUnknown(f"{owner.__name__}.{name} has no {condition!r} any more")
    setattr(owner, name, statement.replace(condition, instead))


GUARDS = {
    "effects": _effects,
    "claims": _claims,
    "recorder": _recorder,
    "retries": _retries,
    "hold": _hold,
    "resend": _resend,
    "unique-key": _unique_key,
    "leases": _leases,
    "reconciliation": _reconciliation,
    "outbox": _outbox,
    "fencing": _fencing,
    "publishers": _publishers,
    "strictness": _strictness,
}
