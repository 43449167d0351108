"""What can be wrong with an event."""


class ContractError(Exception):
    """The event doesn't keep its contract. Compare it with the golden JSON in tests/contract."""


class UnknownEventVersion(ContractError):
    """This consumer is older than the event. Upgrade it, then retry the delivery: nothing was lost."""


class InvalidEvent(ContractError):
    """The event is of a version that this consumer can read, but its content doesn't fit. Mend the producer."""
