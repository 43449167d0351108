"""What can go wrong on a laptop. Each message says what to do about it."""


class DevstackError(Exception):
    """A server or process could not be started; the message names the remedy."""

    status = 1


class PortTaken(DevstackError):
    """Another program already listens on the port; choose another or stop that program."""


class Misconfigured(DevstackError):
    """A setting doesn't let a program run; set the environment variable that the message names."""

    status = 2


class AlreadyRunning(DevstackError):
    """The directory is in use by another process; stop it, or use another directory."""
