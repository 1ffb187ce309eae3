"""A Debian that is thrown away after the test: a layer over .build/chroot, in a mount namespace of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from tests.packaging.tools import PROJECT, missing, run
from tests.support.process import ChildProcess

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

BASE = PROJECT / ".build/chroot"
"""What scripts/provision-chroot has made."""
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
OVERLAY = """\
set -e
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
"""
"""For a shell in a mount namespace of its own: a layer over $1, in $2/root."""
_MOUNT = f"""\
{OVERLAY}
echo mounted
exec sleep infinity
"""


def require_chroot() -> None:
    """Skips the test where there can be none, and says what is missing."""
    if not (BASE / ".stamp").exists():
        missing("there is no Debian in .build/chroot", "scripts/provision-chroot, as root")
    if os.geteuid() != 0 or run("unshare", "--mount", "true").returncode:
        missing("a chroot needs a mount namespace of its own", "run the tests as root")


class Chroot:
    """Args: folder: Empty; nothing is left in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = ChildProcess(["unshare", "--mount", "sh", "-c", _MOUNT, "sh", str(BASE), str(folder)])

    def __enter__(self) -> Self:
        try:
            self._holder.wait_for_line("^mounted")
        except BaseException:
            self._holder.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._holder.stop()  # and with the last process of the namespace go its mounts

    def command(self, *command: str, user: str | None = None, group: str | None = None) -> list[str]:
        """Runs a program inside, as root or as a user with one more group."""
        who = [] if user is None else [f"--userspec={user}", f"--groups={group or user}"]
        return [
            *self._inside(),
            "env",
            "--ignore-environment",
            *ENVIRONMENT,
            "chroot",
            *who,
            self._path("root"),
            *command,
        ]

    def run(self, *command: str, user: str | None = None, group: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        return run(*self.command(*command, user=user, group=group))

    def start(self, *command: str) -> ChildProcess:
        """Start a program inside, as root."""
        return ChildProcess(self.command(*command))

    def succeed(self, *command: str) -> str:
        """What a program prints that must not fail."""
        outcome = self.run(*command)
        assert outcome.returncode == 0, f"{command}: {outcome.stdout}{outcome.stderr}"
        return outcome.stdout

    def take(self, path: Path) -> str:
        """Copy a file of ours into the chroot; its path inside."""
        outcome = run(*self._inside(), "cp", path, self._path("root/srv"))
        assert outcome.returncode == 0, outcome.stderr
        return f"/srv/{path.name}"

    def changed(self) -> set[str]:
        """Everything but directories that was made, changed or removed since the beginning."""
        outcome = run(*self._inside(), "find", self._path("upper"), "!", "-type", "d", "-printf", "/%P\\n")
        assert outcome.returncode == 0, outcome.stderr
        return set(outcome.stdout.split())

    def _inside(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]

    def _path(self, name: str) -> str:
        return str(self._folder / name)
