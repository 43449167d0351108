"""What a service that publishes uses: the outbox, and what operators ask of deliveries."""
