"""The command ``usbmuxd``: the daemon in the foreground."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from usbmux import __version__
from usbmux.commands.exits import ExitCode, complain, run_guarded
from usbmux.commands.tracing import add_trace_options, check_trace_options, traced_buses
from usbmux.control.address import address_from_environment, parse_address
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.mux.settings import MuxSettings
from usbmux.usb.pipe import UsbBus

if TYPE_CHECKING:
    from usbmux.testing import SimulatedPhone
    from usbmux.usb.libusb_pipe import TransferSizes

_PROGRAM: Final = "usbmuxd"
_MODE_VARIABLE: Final = "USBMUXD_DEFAULT_DEVICE_MODE"
_SETTLE_S: Final = 1.0
"""How long "ready" waits for the phones that are plugged in; clients are served meanwhile."""
_DEFAULTS: Final = MuxSettings()
_DESCRIPTION: Final = "Carry connections from local programs to iPhones over USB."
_EPILOG: Final = """\
addresses: /path, unix:/path, unix:///path, host:port, [v6]:port, tcp://host:port; several listeners by several -S.
signals: INT, TERM and QUIT end the daemon, USR2 looks for phones that the bus did not report.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until a signal ends it, and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    check_trace_options(parser, options)
    _set_up_logging(options.verbose)
    return run_guarded(_PROGRAM, lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "-f", "--foreground", action="store_true", help="stay in the foreground (it always does so far)"
    )
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more; twice for every request")
    parser.add_argument(
        "-S",
        "--socket",
        metavar="ADDRESS",
        action="append",
        help="where to listen, repeatable (default: USBMUXD_SOCKET_ADDRESS, else the system's usbmuxd address)",
    )
    parser.add_argument("-C", "--config-dir", metavar="PATH", type=Path, help="directory of the pair records")
    parser.add_argument(
        "--linger",
        metavar="SECONDS",
        type=_seconds,
        default=_DEFAULTS.linger_s,
        help="keep a connection whose client has ended this long after the last byte (default: %(default)g)",
    )
    parser.add_argument(
        "--simulate",
        metavar="N|FILE",
        nargs="?",
        const="1",
        help="attach N simulated phones (default 1), or those that a TOML file describes, instead of real ones",
    )
    parser.add_argument(
        "--mode",
        metavar="1-5",
        type=_mode,
        default=os.environ.get(_MODE_VARIABLE),
        help=f"switch phones to this USB mode (default: {_MODE_VARIABLE}, else only phones that hide their mux)",
    )
    parser.add_argument(
        "--reads",
        metavar="COUNTxSIZE",
        type=_reads,
        help="bulk reads in flight for each phone (default: 8x16384; larger reads hang on phones that do not end "
        "transfers of multiples of 16384 bytes)",
    )
    parser.add_argument("--usb", action="store_true", help="with --simulate: attach real phones too")
    add_trace_options(parser)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return seconds


def _mode(text: str) -> int:
    if text not in ("1", "2", "3", "4", "5"):
        raise argparse.ArgumentTypeError(f"{text!r} is no USB mode, which are 1 to 5")
    return int(text)


def _reads(text: str) -> "TransferSizes":
    from usbmux.usb.libusb_pipe import TransferSizes

    try:
        count, size = map(int, text.split("x"))
        return TransferSizes(reads=count, read_size=size)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected COUNTxSIZE such as 8x16384: {error}") from error


def _set_up_logging(verbosity: int) -> None:
    level = (logging.WARNING, logging.INFO)[verbosity] if verbosity < 2 else logging.DEBUG
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _run(options: argparse.Namespace) -> int:
    addresses = [parse_address(text) for text in options.socket or ()]
    settings = DaemonSettings(
        addresses=tuple(addresses) or (address_from_environment(os.environ),),
        mux=MuxSettings(linger_s=options.linger),
        **({"pair_record_directory": options.config_dir} if options.config_dir else {}),
    )
    phones = _simulated_phones(options.simulate)
    buses: list[UsbBus] = [_simulated_bus(phones)] if phones else []
    if options.usb or options.simulate is None:
        from usbmux.usb.libusb import LibusbBus

        buses.append(LibusbBus(mode=options.mode, sizes=options.reads))
    _raise_descriptor_limit()
    # The selector loop also on Windows: sockets are read by readiness.
    with ExitStack() as stack, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_serve(Daemon(settings, traced_buses(buses, options, stack))))
    return _judge(phones)


def _simulated_phones(choice: str | None) -> "list[SimulatedPhone]":
    if choice is None:
        return []
    # Imported here, as the libusb below: a daemon needs one of the two.
    from usbmux.testing import default_phones, load_phones

    return default_phones(int(choice)) if choice.isdecimal() else load_phones(choice)


def _simulated_bus(phones: "list[SimulatedPhone]") -> UsbBus:
    from usbmux.usb.simulated import SimulatedBus

    bus = SimulatedBus()
    for phone in phones:
        bus.plug(phone)
    return bus


def _judge(phones: "list[SimulatedPhone]") -> int:
    """What the simulated phones hold against the daemon is a defect of the daemon, and so is its exit code."""
    violations = [f"{phone.udid}: {violation}" for phone in phones for violation in phone.violations]
    for violation in violations:
        complain(_PROGRAM, f"broke a rule: {violation}")
    return ExitCode.FAILURE if violations else ExitCode.OK


async def _serve(daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGQUIT"):
        if hasattr(signal, name) and sys.platform != "win32":
            loop.add_signal_handler(getattr(signal, name), ended.set)
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGUSR2, daemon.rescan)
    async with daemon:
        await daemon.wait_settled(_SETTLE_S)
        where = ", ".join(str(address) for address in daemon.addresses)
        print(f"{_PROGRAM} ready: {where}", file=sys.stderr, flush=True)
        await ended.wait()


def _raise_descriptor_limit() -> None:
    """Every client and every stream is a descriptor; the usual soft limit of 1024 is no intention."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        complain(_PROGRAM, f"cannot raise the limit of open files: {error}")


if __name__ == "__main__":
    sys.exit(main())
