"""A stand-in as a process: `python -m chaos.providers postmark --port 9000 --moods accept=6,throttle=2,stall_kept=1`.

It prints the MAIL_URL to use. `GET /` says in JSON what it did to which mail. The seed decides the moods.
"""

import random
import signal
from typing import Annotated, cast

import typer

from chaos.providers import PROVIDERS, Mood, StandIn
from chaos.providers.standin import MOODS


def main(
    provider: Annotated[str, typer.Argument(help=", ".join(PROVIDERS))],
    port: Annotated[int, typer.Option(help="A free one, if left out.")] = 0,
    moods: Annotated[str, typer.Option(help=f"Weights of: {', '.join(MOODS)}")] = "accept=1",
    retry_after: Annotated[int, typer.Option(help="Seconds that its 429 asks for.")] = 1,
    seed: Annotated[int, typer.Option(help="Decides the moods.")] = 1,
) -> None:
    """Be a mail provider on this machine until a signal comes."""
    weights = {name: float(weight) for name, _, weight in (each.partition("=") for each in moods.split(","))}
    if provider not in PROVIDERS or not weights.keys() <= set(MOODS):
        raise typer.BadParameter(f"there are the providers {', '.join(PROVIDERS)} and the moods {', '.join(MOODS)}")
    dice = random.Random(seed)  # noqa: S311  # no secret
    with StandIn(PROVIDERS[provider](), port=port) as stand_in:
        stand_in.mood = lambda _: cast(Mood, dice.choices(list(weights), list(weights.values()))[0])
        stand_in.retry_after = retry_after
        typer.echo(stand_in.url)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    typer.run(main)
