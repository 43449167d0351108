"""Registers the users of concurrent requests, in groups."""

from collections.abc import Sequence
from http import HTTPStatus

import structlog
from psycopg.errors import UniqueViolation

from users_api.database import despite_locks, using
from users_api.group_commit import GroupCommit
from users_api.idempotency import KeysInHand
from users_api.pool import Connection, Pool
from users_api.registration import Answer, Registration, register

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")


class Registrar:
    """The registrations of one process: a group shares a statement, and a key is used by one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keys = KeysInHand()
        self._groups = GroupCommit(self._execute, self._execute_patiently)

    async def register(self, registration: Registration) -> Answer:
        """Register a user.

        Raises:
            Problem: 409 if a request with the same key is being executed.
            DatabaseUnavailable: no answer in time; whether the user was registered is unknown.
        """
        with self._keys.hold(registration.key):
            return await self._groups.submit(registration)

    async def close(self) -> None:
        """Wait until the groups under way are committed, even if no client waits for them any more."""
        await self._groups.close()

    async def _execute(self, group: Sequence[Registration]) -> list[Answer]:
        async def work(connection: Connection) -> list[Answer]:
            try:
                return await register(connection, group)
            except UniqueViolation:  # another process has just used one of their keys: now its answer can be read
                return await register(connection, group)

        answers = await using(self._pool, work)
        _log(group, answers)
        return answers

    async def _execute_patiently(self, group: Sequence[Registration]) -> list[Answer]:
        return await despite_locks(lambda: self._execute(group))


def is_new(answer: Answer) -> bool:
    """Was a user registered just now?"""
    return answer.status == HTTPStatus.CREATED and not answer.repeated


def _log(group: Sequence[Registration], answers: Sequence[Answer]) -> None:
    """Log which users were registered, in one line for the group."""
    new = [(a.body["id"], r.correlation_id) for r, a in zip(group, answers, strict=True) if is_new(a)]
    if new:
        user_ids, correlation_ids = zip(*new, strict=True)
        log.info("users.registered", count=len(new), user_ids=user_ids, correlation_ids=correlation_ids)
