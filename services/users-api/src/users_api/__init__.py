"""users-api: registers users over HTTP and publishes user_registered."""
