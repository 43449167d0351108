"""The tables of a service that publishes: events and their deliveries. Apply them beside the service's own."""
