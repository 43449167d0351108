"""Herald's processes: the name, command and environment of each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.programs import PROGRAMS

SERVICES = ("users", "notifier", "auditor")
"""Each has a database of this name."""

READY = {
    "users-api": "Uvicorn running on",
    "relay": "relay.started",
    "notifier": "Worker process is ready",
    "auditor": "Worker process is ready",
    "webhook": "Worker process is ready",
    "reports": "Worker process is ready",
    "auditor-relay": "relay.started",
}
"""For each process, `Command.ready`."""

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True)
class Command:
    """A process to start: its name, its arguments and its whole environment.

    `ready`: what it prints, at LOG_LEVEL INFO, when it is ready for work.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: str = ""


@dataclass(frozen=True)
class Herald:
    """A Herald whose processes use these servers.

    Args:
        databases: for each of SERVICES, its database's URL.
        port: where the API listens, on `host`.
        mailbox_url: the page that shows development mails, for the API's start page to link to; None without one.
        programs: the directory of the programs; by default that of this Python.
        report_store: the directory in which reports wait to be mailed; it matters only if REPORT_TO is set.
        log_format: `console` for people, `json` for machines.
        extra: more environment variables for every process.
    """

    databases: Mapping[str, str]
    redis_url: str
    mail_url: str
    port: int
    host: str = "127.0.0.1"
    mailbox_url: str | None = None
    programs: Path = PROGRAMS
    report_store: str = ""
    log_format: str = "console"
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def local_url(self) -> str:
        """Where this machine finds the API."""
        return f"http://{'127.0.0.1' if self.host in EVERYWHERE else self.host}:{self.port}"

    def has(self, setting: str) -> bool:
        """Return whether a setting, or a file for it, is in the environment of the processes."""
        environment = {**os.environ, **self.extra}
        return bool(environment.get(setting) or environment.get(f"{setting}_FILE"))

    @property
    def calls_webhook(self) -> bool:
        """Whether WEBHOOK_URL is set: only then the webhook's worker runs."""
        return self.has("WEBHOOK_URL")

    def migrations(self) -> list[Command]:
        """Return the commands that prepare the databases; in any order, at the same time if you like."""
        return [
            self._command("users-api", "users", "users-api", "migrate"),
            self._command("notifier", "notifier", "notifier", "migrate"),
            self._command("auditor", "auditor", "auditor", "migrate"),
        ]

    def processes(self, *, workers: int = 1, threads: int = 8) -> list[Command]:
        """Return the processes that make a running Herald."""
        mailbox = {"MAILBOX_URL": self.mailbox_url} if self.mailbox_url else {}
        size = ("--processes", str(workers), "--threads", str(threads))
        webhook = self._command("webhook", "notifier", "dramatiq", "notifier.webhooks.worker", *size)
        return [
            self._command("users-api", "users", "users-api", "serve", **mailbox),
            self._command("relay", "users", "users-api", "relay"),
            self._command("notifier", "notifier", "dramatiq", "notifier.worker", *size),
            self._command("auditor", "auditor", "dramatiq", "auditor.worker", *size),
            *([webhook] if self.calls_webhook else []),
            *self._reporting(),
        ]

    def _reporting(self) -> list[Command]:
        """Return the processes that only reports need.

        In a database that the auditor shares with users-api the relay of users-api moves the deliveries of both. A
        second one under another name would take its messages for lost.
        """
        if not self.has("REPORT_TO"):
            return []
        size = ("--processes", "1", "--threads", "1")
        processes = [self._command("reports", "auditor", "dramatiq", "auditor.reports.worker", *size)]
        if self.databases["auditor"] != self.databases["users"]:
            processes.append(self._command("auditor-relay", "auditor", "auditor", "relay"))
        return processes

    def _command(self, name: str, service: str, program: str, *arguments: str, **more: str) -> Command:
        environment = {
            **os.environ,
            "DATABASE_URL": self.databases[service],
            "REDIS_URL": self.redis_url,
            "MAIL_URL": self.mail_url,
            "HOST": self.host,
            "PORT": str(self.port),
            "LOG_FORMAT": self.log_format,
            "PYTHONUNBUFFERED": "1",
            **more,
            **self.extra,
        }
        environment.setdefault("LOG_LEVEL", "INFO")
        environment.setdefault("REPORT_STORE", self.report_store)
        return Command(name, (str(self.programs / program), *arguments), environment, READY[name])
