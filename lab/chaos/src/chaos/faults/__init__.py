"""The rows of the ledger."""

from chaos.fault import Fault
from chaos.faults import effects, events, foreign, keys, mail, postgres, publishers, redis, relay, scale, workers

FAULTS: tuple[Fault, ...] = (
    postgres.KillApi(),
    relay.KillRelay(),
    relay.LongTransactions(),
    workers.KillNotifierBeforeSend(),
    workers.KillNotifierAfterSend("resend"),
    workers.KillNotifierAfterSend("hold"),
    workers.KillAuditor(),
    redis.Flush(),
    redis.Kill(),
    redis.Down(),
    redis.Full(),
    postgres.Restart(),
    postgres.CutCommit(),
    workers.StopNotifier(),
    mail.Refuse(),
    mail.Hang(),
    events.Poison(),
    events.Webhook(),
    scale.Scale(),
    scale.Clocks(),
    events.UnknownVersion(),
    keys.Keys("deleted"),
    keys.Keys("deleted", kill=True),
    keys.Keys("mistyped"),
    keys.Keys("mistyped", kill=True),
    effects.LedgerLocked(),
    effects.LedgerReadOnly(),
    publishers.TwoPublishers(),
    foreign.Foreign(),
)
