"""The processes of users-api. Each imports what it alone needs: they run for months, and their memory counts."""

import signal

from messaging.process import logs
from messaging.process.database import require_suitable
from messaging.process.settings import exit_if_wrong, load_or_exit


def serve() -> None:
    """Serve the HTTP API on HOST:PORT. Needs DATABASE_URL alone."""
    from messaging.publishing.switches import enabled
    from users_api.app import create_app
    from users_api.console.mounting import mount_console
    from users_api.guard import Guard, affordable
    from users_api.server import make_server
    from users_api.settings import ApiSettings

    settings = load_or_exit(ApiSettings)
    logs.configure(settings.log_level, settings.log_format)
    with exit_if_wrong():
        enabled()
    require_suitable(settings.database_url)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn shuts down in order, then raises the signal again
    spare = settings.probe_connections
    guard = Guard(settings.request_timeout, affordable(settings.max_connections, spare), spare)
    app = create_app(settings.database_url, settings.mailbox_url, settings.redis_url)
    if settings.console == "on":
        mount_console(app, settings.console_token)
    server = make_server(app, guard, settings.host, settings.port)
    server.run()
    if not server.started:
        raise SystemExit(3)


def relay() -> None:
    """Move deliveries between PostgreSQL and Redis. Several may run."""
    from contracts import SCHEDULES
    from messaging.relay import main
    from users_api import PUBLISHER
    from users_api.retention import FORGET_KEYS

    main(PUBLISHER, SCHEDULES, forget={"idempotency_keys": FORGET_KEYS})
