"""A rolling upgrade: the database may be newer than the code that still serves."""

import pytest
from alembic.script import ScriptDirectory

from auditor.cli import MIGRATIONS as AUDITOR
from messaging.process.migrate import _config
from messaging.process.revisions import Revisions, revisions
from notifier.cli import MIGRATIONS as NOTIFIER
from users_api import MIGRATIONS


def test_what_an_old_database_lacks_is_named() -> None:
    code = Revisions(every=frozenset({"a1", "a2", "b1"}), heads=frozenset({"a2", "b1"}))

    assert code.missing(set()) == {"a2", "b1"}
    assert code.missing({"a1", "b1"}) == {"a2"}
    assert code.missing({"a2", "b1"}) == set()


def test_a_newer_database_lacks_nothing() -> None:
    code = Revisions(every=frozenset({"a1"}), heads=frozenset({"a1"}))

    assert code.missing({"a2"}) == set()


def test_users_api_has_the_outbox_and_its_own() -> None:
    assert revisions(MIGRATIONS).heads == {"messaging_0010", "users_0003"}


@pytest.mark.parametrize("packages", [MIGRATIONS, NOTIFIER, AUDITOR])
def test_alembic_reads_the_same_histories(packages: tuple[str, ...]) -> None:
    script = ScriptDirectory.from_config(_config(packages))

    assert revisions(packages) == Revisions(
        frozenset(each.revision for each in script.walk_revisions()), frozenset(script.get_heads())
    )
