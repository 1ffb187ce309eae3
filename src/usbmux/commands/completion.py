"""``usbmux completion``: the script that lets a shell complete the words of ``usbmux``."""

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from usbmux.commands.exits import ExitCode
from usbmux.commands.options import PROGRAM

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_VARIABLE: Final = "_USBMUX_COMPLETE"
"""By which the script asks the program; the name is click's rule."""


def completion_script(command: click.Command, shell: str) -> str:
    """The script for one of `SHELLS`."""
    complete = SHELLS[shell](command, {}, PROGRAM, _VARIABLE)
    # Not its own `source`, which for bash looks at the bash of this computer.
    return complete.source_template % complete.source_vars()


def show_completion(command: click.Command, shell: str) -> int:
    """Print the script for one of `SHELLS`."""
    click.echo(completion_script(command, shell), nl=False)
    return ExitCode.OK
