"""What the configuration file may say, for its manual page and for the file that packages install."""

import argparse
import textwrap
from dataclasses import replace

from scripts.manual.command import Option
from scripts.manual.parsers import option_of_argparse
from usbmux.commands.daemon_parser import file_keys

_WIDTH = 100
_HEAD = """\
# The configuration of usbmuxd. Every key is an option of its command line; see usbmuxd.toml(5) for [[listen]] and
# [[rule]] too. Changes are better kept in files of their own: /etc/usbmux/usbmuxd.toml.d/*.toml
# Afterwards: usbmuxd --check-config && systemctl reload usbmuxd
"""


def configuration_keys(parser: argparse.ArgumentParser) -> dict[str, Option]:
    """What stands behind each key; the option's value is that of the key."""
    return {
        key: replace(option_of_argparse(parser, action), value=_kind(parser, action))
        for key, action in file_keys(parser).items()
    }


def commented_configuration(parser: argparse.ArgumentParser) -> str:
    """A file that changes nothing: every key is there, behind a number sign, with its default or an example."""
    lines = [_HEAD]
    for key, action in file_keys(parser).items():
        option = option_of_argparse(parser, action)
        lines += textwrap.wrap(option.text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"#{key} = {_example(option, action)}\n")
    return "\n".join(lines)


def _kind(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    if isinstance(action, argparse._CountAction):
        return "NUMBER"
    if action.nargs == 0:
        return "true or false"
    value = option_of_argparse(parser, action).value
    return f"{value} or [{value}, ...]" if isinstance(action, argparse._AppendAction) else value


def _example(option: Option, action: argparse.Action) -> str:
    match action.default:
        case bool(value):
            return "true" if not value else "false"
        case int(value) if option.value == "MODE":
            return f'"{value:04o}"'
        case int(value) | float(value):
            return str(value)
        case _:
            return f'"{option.choices[0] if option.choices else option.value}"'
