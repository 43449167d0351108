"""The account that PostgreSQL runs as. It refuses root, so root runs it as another user.

That user keeps one capability, to reach files whatever their mode, so a checkout below /root works
without a change of permissions.
"""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError

CAPABILITY = "+dac_override"
KEEP = "--securebits=+no_setuid_fixup"  # or access(2), which PostgreSQL asks, would disregard the capability


@dataclass(frozen=True)
class Account:
    """A user that commands are run as; `prefix` goes before the command."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def own(self, path: Path) -> None:
        """Give a file or directory to the user."""
        if self.prefix:
            os.chown(path, self.uid, self.gid)


def account_for(data: Path) -> Account:
    """Choose the owner of `data` and of its server: this user or, for root, the present owner or `nobody`.

    DevstackError when we are root and can't become another user.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DevstackError(
            "PostgreSQL refuses to run as root, and there is no `setpriv` (util-linux) to run it as another "
            "user. Run Herald as an ordinary user, or set DATABASE_URL to a server of your own."
        )
    uid = data.stat().st_uid if data.exists() else 0
    user = pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")
    rights = (f"--inh-caps={CAPABILITY}", f"--ambient-caps={CAPABILITY}")
    become = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", KEEP)
    return Account(user.pw_uid, user.pw_gid, (setpriv, *become, *rights))
