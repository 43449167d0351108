"""Alembic's environment for every service: the connection and the version table come from `messaging.migrate`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
