"""Reads what a command line is from the parser that parses it."""

import argparse
import inspect

import click

from scripts.manual.command import Command, Option, OptionGroup

_HELP_TITLES = ("options", "positional arguments")
"""What argparse calls the groups that nobody has named."""


def command_of_argparse(parser: argparse.ArgumentParser) -> Command:
    """The command of a parser without sub-commands."""
    formatter = parser._get_formatter()
    formatter.add_usage(None, parser._actions, parser._mutually_exclusive_groups, prefix="")
    usage = " ".join(formatter.format_help().split()) if parser.usage is None else parser.usage
    return Command(
        name=parser.prog,
        usage=usage.removeprefix("%(prog)s").removeprefix(parser.prog).strip(),
        text=parser.description or "",
        groups=tuple(_group_of_argparse(parser, group) for group in parser._action_groups if group._group_actions),
        epilog=parser.epilog or "",
    )


def command_of_click(command: click.Command, name: str, parent: click.Context | None = None) -> Command:
    """The command of a click command or group; its sub-commands in the order of their names."""
    with click.Context(command, parent=parent, info_name=name, **command.context_settings) as context:
        options = [_option_of_click(parameter, context) for parameter in command.get_params(context)]
        commands = command.commands if isinstance(command, click.Group) else {}
        return Command(
            name=name,
            usage=" ".join(command.collect_usage_pieces(context)),
            text=inspect.cleandoc(command.help or ""),
            groups=(OptionGroup("", "", tuple(option for option in options if option is not None)),),
            epilog=inspect.cleandoc(command.epilog or ""),
            commands=tuple(command_of_click(commands[key], key, context) for key in sorted(commands)),
        )


def _group_of_argparse(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> OptionGroup:
    return OptionGroup(
        title="" if group.title in _HELP_TITLES else group.title or "",
        text=group.description or "",
        options=tuple(option_of_argparse(parser, action) for action in group._group_actions),
    )


def option_of_argparse(parser: argparse.ArgumentParser, action: argparse.Action) -> Option:
    """The option of one action of the parser."""
    formatter = parser._get_formatter()
    value = ""
    if action.nargs != 0:
        default = action.dest.upper() if action.option_strings else action.dest
        value = formatter._format_args(action, default)
    if not action.option_strings:
        value = value.split(" ")[0]  # the usage says already whether it may be repeated
    return Option(
        flags=tuple(action.option_strings),
        value=value,
        text=formatter._expand_help(action) if action.help else "",
        choices=tuple(map(str, action.choices or ())),
    )


def _option_of_click(parameter: click.Parameter, context: click.Context) -> Option | None:
    """None for an argument: click has no text for it but that of the command."""
    record = parameter.get_help_record(context)
    if record is None or not isinstance(parameter, click.Option):
        return None
    names, text = record
    value = names.rpartition(" ")[2] if not names.rpartition(" ")[2].startswith("-") else ""
    choices = tuple(map(str, parameter.type.choices)) if isinstance(parameter.type, click.Choice) else ()
    return Option(flags=(*parameter.opts, *parameter.secondary_opts), value=value, text=text, choices=choices)
