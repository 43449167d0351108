"""The command `devstack`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from devstack.errors import DevstackError
from devstack.mailbox import Mailbox, preview
from devstack.run import run as run_everything
from devstack.terminal import Terminal

app = typer.Typer(no_args_is_help=True, help=__doc__, add_completion=False)

Var = Annotated[Path, typer.Option("--dir", help="Where data, mails and logs are kept.")]


@app.command()
def run(
    host: Annotated[str, typer.Option(envvar="HOST", help="The address the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="The port of the API.")] = 8000,
    var: Var = Path("var"),
) -> None:
    """Start PostgreSQL, Redis, a mailbox, the API, the relay and the consumers; Ctrl-C stops all.

    DATABASE_URL, REDIS_URL and SMTP_URL, where set, name servers to use instead of starting our own.
    """
    try:
        run_everything(host, port, var)
    except DevstackError as error:
        sys.exit(f"error: {error}")


@app.command()
def mailbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on, of this machine alone.")] = 1025,
    directory: Annotated[Path, typer.Option("--dir", help="Where each mail is kept as a file.")] = Path("var/mail"),
) -> None:
    """Take every mail, show how it begins, keep it as a file, and deliver none."""
    terminal = Terminal()
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in every thread, so that sigwait sees them
    box = Mailbox(directory, port, on_mail=lambda path: terminal.show(preview(path)))
    try:
        box.start()
    except OSError as error:
        sys.exit(f"error: can't listen on port {port}: {error.strerror}. Choose another with --port.")
    terminal.show(f"mails to {box.url} land in {directory}")
    signal.sigwait(ends)
    box.stop()
