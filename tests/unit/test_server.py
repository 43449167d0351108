"""The web server: when it stops."""

import signal

from users_api.guard import Guard
from users_api.server import make_server


def test_a_signal_before_the_server_serves_is_not_lost() -> None:
    server = make_server(app=None, guard=Guard())  # type: ignore[arg-type]  # never called

    server.handle_exit(signal.SIGTERM, None)

    assert server.should_exit
