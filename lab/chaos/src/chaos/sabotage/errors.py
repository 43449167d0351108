"""What is wrong with an order."""


class OrderUnknown(Exception):
    """There is no such order, or what it should change isn't there any more. See `chaos.sabotage`."""
