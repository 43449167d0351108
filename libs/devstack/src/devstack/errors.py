"""What can go wrong on a laptop. Each message says what to do about it."""


class DevstackError(Exception):
    """A server or process could not be started; the message names the remedy."""


class PortTaken(DevstackError):
    """Another program already listens on the port; choose another or stop that program."""


class AlreadyRunning(DevstackError):
    """The directory is in use by another process; stop it, or use another directory."""
