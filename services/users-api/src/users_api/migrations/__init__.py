"""The tables of users-api; events and deliveries come from `messaging.publishing.migrations`."""
