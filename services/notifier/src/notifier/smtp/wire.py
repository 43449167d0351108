"""SMTP on a socket where every wait ends at one deadline, however slowly the server dribbles.

smtplib speaks; this class replaces the places where it writes and reads, since a socket's own timeout starts anew with
each byte.
"""

import io
import select
import smtplib
import socket
from typing import TYPE_CHECKING

from notifier.smtp.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Wire(smtplib.SMTP):
    """What is said to a server, and heard. `deadline`: by when all must be over; it may be set anew at any time."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        super().__init__(local_hostname="localhost")  # else it asks DNS

    def timed_socket(self, seconds: float | None = None) -> socket.socket:
        """Give the socket, set to wait for so many seconds, or no longer than the deadline."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        self.sock.settimeout(self.deadline.left() if seconds is None else seconds)
        return self.sock

    def has_hung_up(self) -> bool:
        """Tell whether the server has closed the connection, or says something that nobody has asked for."""
        poll = select.poll()
        poll.register(self.timed_socket(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, s: "ReadableBuffer | str") -> None:
        """Write all of it before the deadline."""
        rest = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        while rest:
            rest = rest[self.timed_socket().send(rest) :]

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply before the deadline."""
        if self.file is None:
            self.file = io.BufferedReader(_Replies(self))
        return super().getreply()

    def peek(self) -> bytes:
        """Wait for the server to say something; it stays to be read. Nothing, if the server has hung up."""
        if self.file is None:
            self.file = io.BufferedReader(_Replies(self))
        return self.file.peek()


class _Replies(io.RawIOBase):
    """What the server sends; each read waits for what is left of the deadline."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Wait for the server until the deadline, and do what falls due meanwhile."""
        while True:
            sock = self._wire.timed_socket(self._wire.deadline.patience())
            try:
                return sock.recv_into(buffer)
            except TimeoutError:
                continue  # an errand is due, or the deadline is over: patience() knows
