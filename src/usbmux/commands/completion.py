"""``usbmux completion``: the scripts that let a shell complete the words of ``usbmux`` and ``tcprelay``."""

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from usbmux.commands.exits import ExitCode

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_WHEN_SOURCED: Final = "if [[ $zsh_eval_context[-1] != loadautofunc ]]; then\n%s\nfi\n"


def completion_script(program: str, shell: str) -> str:
    """The script for a program and one of `SHELLS`."""
    complete = SHELLS[shell](click.Command(program), {}, program, f"_{program.upper()}_COMPLETE")
    # Not its own `source`, which for bash looks at the bash of this computer.
    return complete.source_template % complete.source_vars()


def show_completion(shell: str) -> int:
    """Print the scripts of both programs for one of `SHELLS`."""
    ours, relays = completion_script("usbmux", shell), completion_script("tcprelay", shell)
    if shell == "zsh":  # a file of its fpath completes one program, that of its first line
        relays = _WHEN_SOURCED % relays
    click.echo(ours + relays, nl=False)
    return ExitCode.OK
