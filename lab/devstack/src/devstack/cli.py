"""The command `devstack`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from devstack.errors import DevstackError
from devstack.mail_server import MailServer
from devstack.mailbox import Mailbox
from devstack.mails import summary
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

    DATABASE_URL, REDIS_URL and MAIL_URL, where set, name the servers to use instead of our own.
    """
    try:
        run_everything(host, port, var)
    except DevstackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.status)


@app.command()
def demo(
    host: Annotated[str, typer.Option(envvar="HOST", help="The address the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="The port of the API.")] = 8000,
    seconds: Annotated[float, typer.Option(envvar="SECONDS", min=5, max=3600, help="About how long.")] = 90,
    var: Var = Path("var/demo"),
) -> None:
    """Start everything on servers of its own, break one part after the other, and count what is lost: nothing.

    The exit status is 1 if something was.
    """
    from devstack.demo.run import demo as run_demo

    try:
        run_demo(host, port, var, seconds)
    except DevstackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.status)


@app.command()
def mailbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The SMTP port, on 127.0.0.1.")] = 1025,
    web_port: Annotated[
        int, typer.Option(min=1, max=65535, help="The port of the page that lists the mails, on 127.0.0.1.")
    ] = 8025,
    directory: Annotated[Path, typer.Option("--dir", help="Where each mail is kept as a file.")] = Path("var/mail"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Don't print a line for each mail.")] = False,
) -> None:
    """Accept every mail, keep it as a file, show it on a page, and deliver none."""
    terminal = Terminal()
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in every thread, so that sigwait sees them
    pages = MailServer(directory, web_port)

    def show(path: Path) -> None:
        mail = summary(path)
        terminal.show(f"to {mail.recipient}: {mail.subject} ({path})")

    box = Mailbox(directory, port, on_mail=None if quiet else show)
    _listen(box, port, "--port")
    _listen(pages, web_port, "--web-port")
    terminal.show(f"mails to {box.url} are kept in {directory} and shown at {pages.url}")
    signal.sigwait(ends)
    box.stop()
    pages.stop()


def _listen(server: Mailbox | MailServer, port: int, option: str) -> None:
    try:
        server.start()
    except OSError as error:
        sys.exit(f"error: can't listen on port {port}: {error.strerror}. Choose another with {option}.")
