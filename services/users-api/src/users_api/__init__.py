"""Registers users over HTTP, and publishes `user_registered`."""

PUBLISHER = "users-api"
"""Its name as a publisher: in the source of its events, and in what its relay keeps in Redis."""

MIGRATIONS = ("messaging.publishing.migrations", "users_api.migrations")
"""The packages that hold the migrations of its database."""
