"""The ways in which an event can break its contract."""


class ContractError(Exception):
    """The event breaks its contract. Compare it with the schemas and golden messages of libs/contracts."""


class UnknownEventVersion(ContractError):
    """This consumer is older than the event's version. Upgrade it, then retry the delivery: nothing was lost."""


class InvalidEvent(ContractError):
    """The event's version is known, but its content doesn't fit the model. Fix the producer."""
