"""TCP ports: find a free one, and check whether one is free."""

import errno
import socket
from pathlib import Path


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def kept_port(note: Path) -> int:
    """Return the port that `note` names, so that addresses stay the same from run to run; a free one if it can't be."""
    try:
        port = int(note.read_text())
        if not port_is_taken(port):
            return port
    except (OSError, ValueError):
        pass
    port = free_port()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(port))
    return port


def port_is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether binding host:port would fail because another program listens there.

    OSError when the port cannot be bound for any other reason (not permitted, no such address).
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.socket(family) as probe:
        # As servers do: a connection of a former server in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False
