"""One run of the rig: its servers, its trials one after another, and how it ends."""

import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos import trial
from chaos.fault import Fault, Progress
from chaos.ledger import Ledger
from chaos.report import Reporter, Row
from chaos.servers import Servers, own_servers
from chaos.trial import Plan
from devstack.errors import DevstackError
from devstack.redis_server import FAKE_NOTE, best_program

NO_REDIS = "it needs a real redis-server"


@contextmanager
def session(reporter: Reporter) -> Iterator[Servers]:
    """Lend servers in a temporary folder. Ctrl-C and SIGTERM end everything, and remove the folder."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if best_program() is None:
        reporter.console.print(FAKE_NOTE)
    reporter.console.print("starting PostgreSQL ...")
    try:
        with own_servers() as servers:
            yield servers
    except DevstackError as error:
        sys.exit(f"error: {error}")


def absence(fault: Fault) -> str:
    """Say why a fault can't be tried here; nothing, if it can."""
    return NO_REDIS if fault.needs_redis and best_program() is None else ""


def attempt(fault: Fault, servers: Servers, reporter: Reporter, plan: Plan) -> Row:
    """Try a fault, and show progress. A trial that breaks is red; the others go on."""
    row = Row(fault, None, absence(fault), without=plan.guard)
    if not row.reason:
        began = time.monotonic()
        with reporter.progress(row.title) as progress:
            outcome = _outcome(fault, servers, plan, progress)
        row = Row(fault, outcome, seconds=time.monotonic() - began, without=plan.guard)
    reporter.row(row)
    return row


def _outcome(fault: Fault, servers: Servers, plan: Plan, progress: Progress) -> Ledger:
    try:
        return trial.run(fault, servers, plan, progress)
    except Exception as error:  # whatever it is: the other rows are worth having
        (servers.directory / f"trial-{fault.number}{fault.variant}.txt").write_text(traceback.format_exc())
        return Ledger(wrong=[f"the trial broke: {error!r}"[:300]])


def end(servers: Servers, trouble: str) -> None:
    """End with status 1, and let the logs stay, if something is wrong."""
    if trouble:
        servers.keep = True
        sys.exit(f"{trouble}. Every log: {servers.directory}")


def writable(path: Path) -> None:
    """End at once if this file can't be written, instead of after an hour."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        sys.exit(f"error: can't write {path}: {error.strerror}")


def drawn(seed: int | None) -> int:
    """Return the seed, or a new one."""
    return random.SystemRandom().randrange(10**6) if seed is None else seed
