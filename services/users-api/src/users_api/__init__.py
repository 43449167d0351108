"""users-api: registers users over HTTP and publishes user_registered."""

PUBLISHER = "users-api"
"""The name of this service among those that publish by the same Redis."""
