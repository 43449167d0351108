"""The twenty rows of the ledger."""

from chaos.fault import Fault
from chaos.faults import events, mail, postgres, processes, redis, scale

FAULTS: tuple[Fault, ...] = (
    postgres.KillApi(),
    processes.KillRelay(),
    processes.LongTransactions(),
    processes.KillNotifierBeforeSend(),
    processes.KillNotifierAfterSend("resend"),
    processes.KillNotifierAfterSend("hold"),
    processes.KillAuditor(),
    redis.Flush(),
    redis.Kill(),
    redis.Down(),
    redis.Full(),
    postgres.Restart(),
    postgres.CutCommit(),
    processes.StopNotifier(),
    mail.Refuse(),
    mail.Hang(),
    events.Poison(),
    events.Webhook(),
    scale.Scale(),
    scale.Clocks(),
    events.UnknownVersion(),
)
