"""The command: which of its forms is wanted, and whether it can be had."""

import sys

from usbmux.client.admin import AdminClient
from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.top.monitor import Monitor
from usbmux.commands.top.names import PhoneNames, ask_phones
from usbmux.commands.top.plain import PERIOD_S, print_once, print_stream
from usbmux.values import frozen

_PROGRAM = "usbmux"


@frozen
class TopOptions:
    """What was asked for."""

    client: AdminClient
    """Of the daemon."""
    address: str | None
    """Where the daemon tells what its phones are called; None for the default."""
    is_once: bool
    """One sample, and the end."""
    as_json: bool


def top(options: TopOptions) -> int:
    """Show what the daemon's phones and clients do, until it is told to end, and return the exit code.

    Raises:
        DaemonUnavailableError: There is none at the start.
    """
    with Monitor(options.client, PhoneNames(ask_phones(options.address))) as monitor:
        if options.is_once:
            return print_once(monitor, as_json=options.as_json)
        if options.as_json:
            return print_stream(monitor)
        return _run_screen(monitor)


def has_terminal() -> bool:
    """Whether the screen has where to be: Textual reads from stdin and draws on stderr."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def _run_screen(monitor: Monitor) -> int:
    try:
        from usbmux.commands.top.screen import TopApp, run_on_terminal
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("textual", "rich"):
            raise
        complain(_PROGRAM, "top needs the package textual: pip install 'usbmux[tui]'; --once and --json do without")
        return ExitCode.FAILURE
    return run_on_terminal(TopApp(monitor, monitor.sample(), PERIOD_S))
