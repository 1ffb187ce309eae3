"""What a shell offers for ``tcprelay``: its options, and the phones behind ``-u``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from usbmux.commands.completion import SHELLS
from usbmux.commands.device_completion import complete_device
from usbmux.commands.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from click.shell_completion import CompletionItem

_PROGRAM: Final = "tcprelay"


def answer_shell(parser: argparse.ArgumentParser, instruction: str) -> int:
    """Print what a shell asks for.

    Args:
        parser: Of the command.
        instruction: The shell's name and ``_complete``; the rest it has put into the environment.
    """
    shell = SHELLS.get(instruction.removesuffix("_complete"))
    if shell is None:
        return ExitCode.USAGE
    click.echo(shell(_as_click(parser), {}, _PROGRAM, "").complete())
    return ExitCode.OK


def _as_click(parser: argparse.ArgumentParser) -> click.Command:
    options = [_option(action) for action in parser._actions if action.option_strings]
    ports = click.Argument(["mappings"], nargs=-1)
    return click.Command(_PROGRAM, params=[*options, ports], add_help_option=False)


def _option(action: argparse.Action) -> click.Option:
    is_flag = action.nargs == 0
    return click.Option(
        [*action.option_strings, action.dest],
        is_flag=is_flag,
        multiple=not is_flag,
        help=(action.help or "") % vars(action),
        shell_complete=_complete_phone if action.dest == "udid" else None,
    )


def _complete_phone(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    addresses: tuple[str, ...] = context.params.get("socket") or ()
    return complete_device(addresses[-1] if addresses else None, typed)
