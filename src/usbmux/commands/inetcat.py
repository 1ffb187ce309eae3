"""``inetcat``: takes the place of the program of this name."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from usbmux.client.blocking import Client
from usbmux.commands.connect import join_with_stdio
from usbmux.commands.drop_in import DropInParser, phone_select
from usbmux.commands.exits import complain, run_guarded, run_program

_PROGRAM: Final = "inetcat"
_DESCRIPTION: Final = (
    "Join standard input and output with a port of an iPhone. The end of the input is passed on, and the answer still "
    "comes: it ends when the phone does."
)
_HIGHEST_PORT: Final = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Without the program name; None takes them from the command line.
    """
    given = _parser().parse_intermixed_args(arguments)
    return run_guarded(_PROGRAM, lambda: _connect(given))


def _connect(given: argparse.Namespace) -> int:
    client = Client(program=_PROGRAM)
    device = phone_select(given)(client.devices(), given.udid)
    if given.debug:
        complain(_PROGRAM, f"connecting to port {given.port} of the phone {device.udid}")
    return join_with_stdio(_PROGRAM, lambda: client.connect(device, given.port), None)


def _parser() -> argparse.ArgumentParser:
    parser = DropInParser(_PROGRAM, _DESCRIPTION)
    parser.add_argument("port", type=_port, metavar="DEVICE_PORT")
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    if not 1 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, which is 1 to {_HIGHEST_PORT}")
    return port


if __name__ == "__main__":
    sys.exit(run_program(_PROGRAM, main))
