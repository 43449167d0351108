"""`auditor keygen`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from auditor.chain.keys import new_key
from auditor.commands.session import end


def keygen(
    out: Annotated[Path, typer.Option(help="The file for the key that signs. It must not exist.")],
) -> None:
    """Make the keys for checkpoints: write the one that signs to a file, and print the public one."""
    private, public = new_key()
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        end("keygen", f"{out}: {error.strerror}", 1)
    with os.fdopen(descriptor, "w") as file:
        file.write(private + "\n")
    typer.echo(public)
    typer.echo(
        f"Auditors sign with AUDIT_SIGNING_KEY_FILE={out}. Keep the public key, printed above, where no administrator\n"
        "of the database can change it, and copies of the checkpoints too: auditor verify --public-key needs both.",
        err=True,
    )
