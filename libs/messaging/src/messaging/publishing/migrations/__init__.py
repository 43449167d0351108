"""The tables of a service that publishes: events and their deliveries. Applied beside the service's own."""
