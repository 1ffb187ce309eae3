"""The command ``tcprelay``: the seed's syntax over the relay of today."""

import argparse
import math
import os
from collections.abc import Sequence

from usbmux.commands.exits import run_guarded
from usbmux.commands.forward_report import ForwardReport, ReportStyle
from usbmux.commands.forwarding import ForwardingOptions, run_forwarding
from usbmux.control.address import parse_host
from usbmux.errors import AddressError
from usbmux.relay.forwarder import DEFAULT_BUFFER_SIZE, DEFAULT_WAIT_S
from usbmux.relay.mapping import PortMapping
from usbmux.relay.route import LOOPBACK
from usbmux.relay.routing import Routing

_PROGRAM = "tcprelay"
_COMPLETE = "_TCPRELAY_COMPLETE"
"""By which the script of `usbmux completion` asks what may follow in a line."""
_DESCRIPTION = "Forward TCP ports of this computer to ports of an iPhone."
_EPILOG = """\
The phone's port comes first: "tcprelay 22:2222 5900:2223" leads port 2222 of
this computer to port 22 of the phone, and 2223 to 5900. (iproxy and "usbmux
forward" take the pairs the other way round.)

When it is ready, stdout gets one line for each listening port:
  listening address=127.0.0.1 port=2222 device_port=22 udid=any
All else goes to stderr; SIGUSR1 asks for statistics. Exit codes: 0 ended by
SIGTERM, 1 failure (a port is taken, for one), 2 usage, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Without the program's name; None for those of the process.
    """
    if instruction := os.environ.get(_COMPLETE):
        from usbmux.commands.tcprelay_completion import answer_shell  # needs click, which forwarding does not

        return answer_shell(_parser(), instruction)
    options = parse(arguments)
    return run_guarded(_PROGRAM, lambda: run_forwarding(options))


def parse(arguments: Sequence[str] | None = None) -> ForwardingOptions:
    """Read a command line.

    Raises:
        SystemExit: Help was asked for (0) or the line is wrong (2).
    """
    given = _parser().parse_args(arguments)
    return ForwardingOptions(
        program=_PROGRAM,
        routing=Routing(
            tuple(mapping.route(host, given.udid) for mapping in given.mappings for host in given.listen or LOOPBACK)
        ),
        address=given.socket,
        wait_s=given.wait,
        report=ForwardReport(_PROGRAM, ReportStyle.LINES),
        buffer_size=given.bufsize * 1024,
        is_verbose=given.verbose,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage="%(prog)s [options] REMOTE[:LOCAL] [REMOTE[:LOCAL]]...",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "mappings",
        nargs="+",
        type=_mapping,
        metavar="REMOTE[:LOCAL]",
        help="port of the phone, and the local port that leads to it (default: the same number; 0: any free port)",
    )
    add(
        "-t",
        "--threaded",
        action="store_true",
        help="accepted for old scripts; any number of connections is always served at once",
    )
    add(
        "-b",
        "--bufsize",
        type=_kilobytes,
        default=DEFAULT_BUFFER_SIZE // 1024,
        metavar="KILOBYTES",
        help="size of the copy buffers (default: %(default)s)",
    )
    add(
        "-s",
        "--socket",
        metavar="ADDRESS",
        help="address of the usbmux daemon: a path or HOST:PORT (default: USBMUXD_SOCKET_ADDRESS, or the system's)",
    )
    add(
        "-u",
        "--udid",
        type=_udid,
        default=os.environ.get("USBMUX_UDID") or None,
        help="the phone: its UDID, a unique beginning of it, or its port (default: USBMUX_UDID, or the only phone)",
    )
    add(
        "-l",
        "--listen",
        action="append",
        type=_host,
        metavar="ADDRESS",
        help=f"local address to listen on, may be repeated (default: {LOOPBACK[0]}, so only this computer gets in)",
    )
    add(
        "--wait",
        type=_seconds,
        default=DEFAULT_WAIT_S,
        metavar="SECONDS",
        help="how long a connection waits for an absent phone or daemon (default: %(default)g)",
    )
    add("-v", "--verbose", action="store_true", help="report every connection on stderr")
    return parser  # fmt: skip


def _mapping(text: str) -> PortMapping:
    try:
        return PortMapping.parse_remote_local(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _udid(text: str) -> str:
    if not text:  # a variable that is not set, and nobody's beginning
        raise argparse.ArgumentTypeError("the UDID of the phone is empty")
    return text


def _host(text: str) -> str:
    try:
        return parse_host(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _kilobytes(text: str) -> int:
    kilobytes = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= kilobytes <= 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of kilobytes from 1 to 65536")
    return kilobytes


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
