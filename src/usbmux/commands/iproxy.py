"""``iproxy``: takes the place of the program of this name."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from usbmux.commands.drop_in import DropInParser, phone_select
from usbmux.commands.exits import run_guarded, run_program
from usbmux.commands.forwarding import ForwardingOptions, run_forwarding
from usbmux.control.address import parse_host
from usbmux.errors import AddressError
from usbmux.relay.listening_end import ListeningEnd
from usbmux.relay.mapping import PortMapping
from usbmux.relay.route import LOOPBACK, ListeningPort
from usbmux.relay.routing import Routing

_PROGRAM: Final = "iproxy"
_DESCRIPTION: Final = "Forward local TCP ports to ports of an iPhone. The form LOCAL_PORT DEVICE_PORT is taken too."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Without the program name; None takes them from the command line.
    """
    options = parse(arguments)
    return run_guarded(_PROGRAM, lambda: run_forwarding(options))


def parse(arguments: Sequence[str] | None = None) -> ForwardingOptions:
    """Read a command line; for help and a wrong line exit as argparse does."""
    parser = _parser()
    given = parser.parse_intermixed_args(arguments)
    try:
        host = LOOPBACK[0] if given.source is None else parse_host(given.source)
        mappings = _mappings(given.pairs)
    except AddressError as error:
        parser.error(str(error))
    select = phone_select(given)
    return ForwardingOptions(
        program=_PROGRAM,
        routing=Routing(tuple(replace(mapping.route(host, given.udid), select=select) for mapping in mappings)),
        address=None,
        wait_s=0,  # whoever takes iproxy for granted may look for the phone by trying
        report=_Lines(),
        is_verbose=given.debug > 0,
    )


def _parser() -> argparse.ArgumentParser:
    parser = DropInParser(_PROGRAM, _DESCRIPTION)
    parser.add_argument("-s", "--source", metavar="ADDR", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("pairs", nargs="+", metavar="LOCAL_PORT:DEVICE_PORT")
    return parser


def _mappings(pairs: Sequence[str]) -> list[PortMapping]:
    if len(pairs) == 2 and not any(":" in pair for pair in pairs):
        pairs = [":".join(pairs)]
    return [PortMapping.parse_local_remote(pair) for pair in pairs]


class _Lines:
    """Implements `Report` with the lines that scripts wait for."""

    def ready(self, ends: Iterable[ListeningPort]) -> None:
        for end in ends:
            print(f"Creating listening port {end.port} for device port {end.device_port}")
        print("waiting for connection", flush=True)

    def phone(self, end: ListeningPort, udid: str) -> None:
        pass

    def statistics(self, ends: Iterable[ListeningEnd]) -> None:
        pass


if __name__ == "__main__":
    sys.exit(run_program(_PROGRAM, main))
