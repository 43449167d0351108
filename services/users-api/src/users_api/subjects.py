"""Users as the subjects of events, and how the API and the commands look them up."""

from typing import LiteralString

USER: LiteralString = "SELECT id, email, full_name, created_at FROM users WHERE id = %(id)s"

USER_WITH: LiteralString = "SELECT id FROM users WHERE email_key = %(key)s"


def subject(user_id: int) -> str:
    """Name a user as the subject of events."""
    return f"users/{user_id}"


def user_of(subject: str) -> int | None:
    """Return the user's id in a subject such as users/7; None, if it is about something else."""
    kind, _, number = subject.partition("/")
    return int(number) if kind == "users" and number.isdecimal() and number.isascii() else None
