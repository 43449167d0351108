"""The options that say which deliveries are meant, the same for every command that takes a filter."""

import sys
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from messaging.publishing.states import STATES, UNFINISHED, DeliveryState
from users_api.filter_fields import MAX_ID, ErrorText, GroupText, Names
from users_api.since import HELP, read_moment, read_time
from users_api.subjects import USER_WITH, subject, user_of

if TYPE_CHECKING:
    from messaging.publishing.filtering import Filter
    from users_api.execute import Database

MANY = "May be repeated."


def read_state(text: str) -> DeliveryState:
    """Read the name of a state.

    Raises:
        typer.BadParameter: it isn't one.
    """
    for state in STATES:
        if state == text:
            return state
    raise typer.BadParameter(f"{text!r} isn't a state. States: {', '.join(STATES)}.")


def read_text(text: str) -> str:
    """Read a text that PostgreSQL can compare.

    Raises:
        typer.BadParameter: it isn't UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("it isn't UTF-8") from None
    return text


def read_part(text: str) -> str:
    """Read a part of a text. An empty one, such as of a variable that isn't set, would mean every delivery.

    Raises:
        typer.BadParameter: it is empty, or isn't UTF-8.
    """
    if not text:
        raise typer.BadParameter("it is empty, which every error contains")
    return read_text(text)


@dataclass(frozen=True)
class Wanted:
    """Which deliveries are meant: those for which everything holds that is given."""

    email: Annotated[str | None, typer.Option(help="Of the user with this address.")] = None
    user: Annotated[int | None, typer.Option(min=1, max=MAX_ID, help="Of the user with this id.")] = None
    event: Annotated[UUID | None, typer.Option(help="Of this event.")] = None
    subscription: Annotated[
        list[Any] | None,  # of texts; typer knows no parser of a list's items otherwise
        typer.Option(parser=read_text, metavar="TEXT", help=f"Of this subscription. {MANY}"),
    ] = None
    state: Annotated[
        list[Any] | None,  # typer knows no list of literals
        typer.Option(parser=read_state, metavar="STATE", help=f"In this state: {', '.join(STATES)}. {MANY}"),
    ] = None
    error: Annotated[
        str | None,
        typer.Option(parser=read_part, metavar="TEXT", help="A part of the last error, in any case."),
    ] = None
    group: Annotated[
        str | None,
        typer.Option(parser=read_text, metavar="TEXT", help="A group of errors, as `deliveries groups` prints it."),
    ] = None
    since: Annotated[datetime | None, typer.Option(parser=read_time, metavar="TIME", help=HELP)] = None
    until: Annotated[
        datetime | None, typer.Option(parser=read_moment, metavar="TIME", help="Of events recorded before then.")
    ] = None
    finished_since: Annotated[
        datetime | None,
        typer.Option(
            parser=read_time, metavar="TIME", help="That failed, succeeded, or ended otherwise, from then on: 10m."
        ),
    ] = None
    finished_until: Annotated[
        datetime | None, typer.Option(parser=read_moment, metavar="TIME", help="That ended before then.")
    ] = None

    def resolve(self, database: "Database") -> "Filter":
        """Return the filter as messaging has it.

        If it means a user who doesn't exist, this ends the process.

        Raises:
            typer.BadParameter: it means two users, or the API wouldn't take it.
        """
        from messaging.publishing.filtering import Filter

        user = self.user if self.email is None else user_with(database, self.email)
        if self.user not in (None, user):
            raise typer.BadParameter(f"{self.email} is the address of user {user}, not {self.user}.")
        meant = Filter(
            subject=None if user is None else subject(user),
            event=self.event,
            subscriptions=tuple(self.subscription) if self.subscription else None,
            states=tuple(self.state) if self.state else None,
            error=self.error,
            group=self.group,
            since=self.since,
            until=self.until,
            finished_since=self.finished_since,
            finished_until=self.finished_until,
        )
        _require_short(meant)
        return meant


def _require_short(meant: "Filter") -> None:
    """Refuse what the API wouldn't take. An operation with such a filter couldn't be requested again from its page."""
    from pydantic import TypeAdapter, ValidationError

    fields: dict[str, tuple[object, Any]] = {
        "subscription": (meant.subscriptions and list(meant.subscriptions), Names),
        "error": (meant.error, ErrorText),
        "group": (meant.group, GroupText),
    }
    for name, (value, kind) in fields.items():
        try:
            TypeAdapter(kind | None).validate_python(value)
        except ValidationError as fault:
            raise typer.BadParameter(fault.errors()[0]["msg"], param_hint=f"'--{name}'") from None


def user_with(database: "Database", email: str) -> int:
    """Return the id of the user with an address.

    Without one this ends the process.

    Raises:
        typer.BadParameter: it isn't an address.
    """
    from pydantic import TypeAdapter, ValidationError

    from users_api.fields import EmailAddress, email_key

    try:
        address: str = TypeAdapter(EmailAddress).validate_python(email)
    except ValidationError as fault:
        raise typer.BadParameter(f"{email!r} is {fault.errors()[0]['msg']}") from None
    rows = database.execute(USER_WITH, {"key": email_key(address)})
    if not rows:
        sys.exit(f"There is no user with the address {address}.")
    found: int = rows[0]["id"]
    return found


def described(meant: "Filter") -> str:
    """Write a filter as the options that mean it."""
    return " ".join(options_of(meant)) or "all deliveries"


def options_of(meant: "Filter") -> list[str]:
    """Return the options that mean a filter. A shell reads them as they are, whatever an error says."""
    user = user_of(meant.subject or "")
    words = [f"--user {user}"] if user is not None else []
    words += [f"--event {meant.event}"] if meant.event else []
    words += [f"--subscription {quote(name)}" for name in meant.subscriptions or () if not _are_all(meant)]
    words += [f"--state {state}" for state in meant.states or ()]
    words += [f"--error {quote(meant.error)}"] if meant.error else []
    words += [f"--group {quote(meant.group)}"] if meant.group is not None else []
    for name in ("since", "until", "finished_since", "finished_until"):
        time: datetime | None = getattr(meant, name)
        words += [f"--{name.replace('_', '-')} {time.isoformat(timespec='seconds')}"] if time else []
    return words


def nothing_matches(
    wanted: Wanted, words: str = "No deliveries match.", states: tuple[DeliveryState, ...] = STATES
) -> str:
    """Return `words`, which of `states` a time of the end leaves out, and which subscription doesn't exist."""
    from messaging.publishing.operations import EXISTING

    ends = [option for option in ("finished_since", "finished_until") if getattr(wanted, option)]
    left_out = [state for state in wanted.state or states if state in UNFINISHED]
    if ends and left_out:
        options = " and ".join(f"--{option.replace('_', '-')}" for option in ends)
        words += f" What is {' or '.join(left_out)} has not ended: to find it, leave out {options}."
    unknown = [name for name in wanted.subscription or () if name not in EXISTING]
    return f"{words} There is no subscription {unknown[0]}. Subscriptions: {', '.join(EXISTING)}." if unknown else words


def advise(wanted: Wanted) -> None:
    """Print which option means when a delivery failed, if that of the event may have been taken for it."""
    by_end = wanted.finished_since or wanted.finished_until
    if (wanted.since or wanted.until) and not by_end:
        typer.echo("--since and --until mean when the event was made; when it failed: --finished-since.")


def _are_all(meant: "Filter") -> bool:
    from messaging.publishing.operations import EXISTING

    return set(meant.subscriptions or ()) >= set(EXISTING)
