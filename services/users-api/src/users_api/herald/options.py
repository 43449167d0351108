"""Options that several commands share: a command takes them as one parameter, an instance of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, get_type_hints

Command = Callable[..., None]


def with_options(**shared: type[Any]) -> Callable[[Command], Command]:
    """Give a command the fields of dataclasses as options: `@with_options(wanted=Wanted)`. Each field has a default."""

    def decorate(command: Command) -> Command:
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(command).parameters.items()
            if name not in shared
        ]
        options = {name: _options(kind) for name, kind in shared.items()}

        @wraps(command)
        def with_instances(**values: Any) -> None:
            made = {
                name: shared[name](**{option.name: values.pop(option.name) for option in options[name]})
                for name in shared
            }
            command(**made, **values)

        parameters = [*own, *(option for each in options.values() for option in each)]
        with_instances.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        with_instances.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_instances

    return decorate


def _options(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(kind)
    ]
