"""`devstack demo`: everything as `make run` starts it, on servers of its own, and the story."""

import os
from pathlib import Path

from contracts import SUBSCRIPTIONS
from devstack.demo.quiet import Quiet
from devstack.demo.story import teller
from devstack.programs import PROGRAMS
from devstack.run import run

SERVERS = ("DATABASE_URL", "REDIS_URL", "MAIL_URL", "SMTP_URL")


def demo(host: str, port: int, var: Path, seconds: float) -> None:
    """Run the demo.

    Raises:
        DevstackError: it can't be run, or something was lost.
    """
    forget_servers()
    terminal = Quiet(var / "demo.log")
    terminal.progress(f"what the processes print is in {var / 'demo.log'}")
    run(host, port, var, PROGRAMS, terminal=terminal, story=teller(seconds, var / "mail"), goal="demo")


def forget_servers() -> None:
    """Remove from the environment what names servers, which might be dear, and what turns other effects on."""
    switches = [each.switch for each in SUBSCRIPTIONS if each.switch]
    for name in (*SERVERS, *switches):
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
