"""`bin/herald`: the command `herald`, connected to the servers that `make run` started, so that no URL is pasted.

It holds URLs, perhaps with passwords, so only its owner may read it, and it loses them when everything stops.
"""

import os
import shlex
from pathlib import Path

from contracts import SUBSCRIPTIONS
from devstack.herald import Herald

_NOTHING_RUNS = """#!/bin/sh
# Herald's command line on the servers of `make run`, which writes this file.
echo "Herald doesn't run here. Start it: make run" >&2
exit 1
"""

_CONNECTED = """#!/bin/sh
# Herald's command line on the servers of `make run`, which writes this file.
if ! kill -0 {pid} 2>/dev/null; then
    echo "Herald doesn't run here any more. Start it: make run" >&2
    exit 1
fi
{exports}
exec {program} "$@"
"""


class HeraldCommand:
    """The file `bin/herald` beside the directory `var`."""

    def __init__(self, var: Path) -> None:
        self.path = var.absolute().parent / "bin" / "herald"

    @property
    def shown(self) -> str:
        """What to type in the current directory."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    def connect(self, herald: Herald) -> None:
        """Write the command, for as long as this process runs."""
        environment = _environment(herald) | {"HERALD_COMMAND": self.shown}
        exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
        program = shlex.quote(str(herald.programs / "herald"))
        self._write(_CONNECTED.format(pid=os.getpid(), exports=exports, program=program))

    def disconnect(self) -> None:
        """Let the command say that nothing runs, if it was written before."""
        if self.path.exists():
            self._write(_NOTHING_RUNS)

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".new")
        unfinished.touch(mode=0o700)
        unfinished.write_text(text)
        unfinished.rename(self.path)


def _environment(herald: Herald) -> dict[str, str]:
    """Return the settings of the command: the servers, and those that turn effects on."""
    switches = [each.switch for each in SUBSCRIPTIONS if each.switch and herald.has(each.switch)]
    given = {name: os.environ[name] for switch in switches for name in (switch, f"{switch}_FILE") if name in os.environ}
    return {
        "DATABASE_URL": herald.databases["users"],
        "REDIS_URL": herald.redis_url,
        "MAIL_URL": herald.mail_url,
        **given,
    }
