"""The servers that Herald needs: those that the environment names, and our own for the others."""

import os
from pathlib import Path
from typing import ClassVar

import redis
from pydantic_settings import SettingsConfigDict

from devstack.herald import SERVICES, Herald
from devstack.ports import kept_port
from devstack.postgres import Postgres
from devstack.processes import Process
from devstack.programs import program
from devstack.redis_server import RedisServer
from devstack.supervisor import Supervisor
from devstack.terminal import Terminal
from messaging.process.settings import DatabaseUrl, Environment, RedisUrl, load_or_exit
from messaging.wire.client import connect
from notifier.settings import MailUrl


class GivenServers(Environment):
    """The servers that the environment names; empty where it names none."""

    model_config = SettingsConfigDict(validate_default=False)
    older_names: ClassVar = {"mail_url": "smtp_url"}

    database_url: DatabaseUrl = ""
    redis_url: RedisUrl = ""
    mail_url: MailUrl = ""


class Stack:
    """Starts servers under a supervisor, with their data below `var`, and knows their addresses."""

    def __init__(self, var: Path, supervisor: Supervisor, terminal: Terminal) -> None:
        self.mailbox_url: str | None = None
        """The page that shows the mails, when the mailbox is our own."""
        self._var = var
        self._supervisor = supervisor
        self._terminal = terminal

    def start(self, host: str, port: int, programs: Path) -> Herald:
        """Start each server that the environment doesn't name, and return the Herald that uses all of them."""
        given = load_or_exit(GivenServers)
        mail_url = given.mail_url or self._mailbox()
        return Herald(
            databases=self._databases(given.database_url),
            redis_url=self._given_redis(given.redis_url) or self._redis(),
            mail_url=mail_url,
            mailbox_url=self.mailbox_url,
            host=host,
            port=port,
            programs=programs,
            report_store=str((self._var / "reports").resolve()),
        )

    def _databases(self, given: str) -> dict[str, str]:
        if given:  # one for all: their tables don't collide
            return dict.fromkeys(SERVICES, given)
        postgres = Postgres(self._var / "postgres", self._port("postgres"))
        if not postgres.data_dir.exists():
            self._terminal.progress("creating the databases (first start only) ...")
        self._supervisor.start([postgres])
        for name in SERVICES:
            postgres.create_database(name)
        self._terminal.progress(f"PostgreSQL answers on port {postgres.port}")
        return {name: postgres.url(name) for name in SERVICES}

    def _given_redis(self, url: str) -> str:
        """Report at once if the environment's Redis doesn't answer; Herald starts all the same."""
        try:
            if url:
                connect(url, timeout=2).ping()
        except redis.RedisError as error:
            self._terminal.progress(f"Redis is unreachable ({error}); effects wait in PostgreSQL until it answers")
        return url

    def _port(self, name: str) -> int:
        return kept_port(self._var / "ports" / name)

    def _redis(self) -> str:
        server = RedisServer(self._var / "redis", self._port("redis"))
        self._supervisor.start([server])
        self._terminal.progress(f"Redis answers on port {server.port}")
        if server.note:
            self._terminal.progress(server.note)
        return server.url

    def _mailbox(self) -> str:
        port, web_port = self._port("mailbox"), self._port("mails")
        options = ["--port", str(port), "--web-port", str(web_port), "--dir", str(self._var / "mail")]
        if os.environ.get("LOG_LEVEL") != "DEBUG":
            options.append("--quiet")
        argv = [program("devstack"), "mailbox", *options]
        speaker = self._terminal.speaker("mailbox")
        self._supervisor.start([Process("mailbox", argv, output=speaker, ready="are kept in")])
        self.mailbox_url = f"http://127.0.0.1:{web_port}"
        return f"smtp://127.0.0.1:{port}"
