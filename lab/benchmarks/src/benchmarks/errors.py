"""What can go wrong while measuring. Each message says where to look."""


class BenchmarkError(Exception):
    """A measurement could not be taken; the message says what is missing or which log tells more."""


class Unsettled(BenchmarkError):
    """What should have happened didn't in time. See the system's logs."""
