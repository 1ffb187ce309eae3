"""Every option of ``usbmuxd``. The configuration file has them as keys, and the manual is made from here too."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from usbmux import __version__
from usbmux.admin.message import SUFFIX
from usbmux.commands.configuration_file import DEFAULT_PATH
from usbmux.commands.listen_tables import (
    file_path,
    group_id,
    listen_address,
    listen_settings,
    octal_mode,
    rule,
    table_from_text,
)
from usbmux.commands.logs import FORMATS
from usbmux.commands.tracing import add_trace_options
from usbmux.control.address import parse_address
from usbmux.daemon.admission import ClientLimits
from usbmux.mux.settings import MuxSettings

T = TypeVar("T")
PROGRAM: Final = "usbmuxd"
MODE_VARIABLE: Final = "USBMUXD_DEFAULT_DEVICE_MODE"
NONE: Final = "NONE"
"""In the place of a path: no such file."""
DEFAULT_GROUP: Final = "usbmux"
_MUX: Final = MuxSettings()
_LIMITS: Final = ClientLimits()
_DESCRIPTION: Final = "Carry connections from local programs to iPhones over USB."
_EPILOG: Final = """\
addresses: /path, unix:/path, unix:///path, host:port, [v6]:port,
tcp://host:port; several listeners by several -S.
signals: INT, TERM and QUIT end the daemon; USR1 ends it if no phone is attached
(with -z); USR2 looks for phones that the bus did not report; HUP opens the log
file anew and reads the configuration again.
exit status: 0 well ended; 1 failed, or a simulated phone saw a broken rule;
2 wrong option or configuration.
"""
_NOT_IN_FILE: Final = frozenset(
    {"help", "version", "config", "check_config", "exit", "force_exit", "foreground", "udev", "systemd", "simulate"}
    | {"listen", "rule"}  # which are tables there
)


class DaemonParser(argparse.ArgumentParser):
    """Raises ValueError instead of ending the program while `raises` is set."""

    raises = False

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        if self.raises:
            raise ValueError(message)
        super().error(message)


def daemon_parser() -> DaemonParser:
    """The parser of the command line."""
    parser = DaemonParser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"%(prog)s {__version__}")
    _add_process_options(parser)
    _add_socket_options(parser)
    _add_phone_options(parser)
    _add_log_options(parser)
    _add_configuration_options(parser)
    add_trace_options(parser, _path)
    return parser


def file_keys(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The keys of the configuration file, and the options that they stand for."""
    actions = (action for action in parser._actions if action.option_strings and action.dest not in _NOT_IN_FILE)
    return {action.option_strings[-1].lstrip("-"): action for action in actions}


def _add_process_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("process").add_argument
    add("-f", "--foreground", action="store_true", help="stay in the foreground")
    add("-s", "--systemd", action="store_true", help="run under systemd: in the foreground, and -z")
    add("-u", "--udev", action="store_true", help="run from a udev rule: -n and -z")
    add("-U", "--user", metavar="USER", type=_checked(_user), help="become USER after the start, for good")
    add(
        "-P",
        "--pidfile",
        metavar="PATH",
        type=_path,
        help=f"locked while the daemon lives, {NONE} for none (default: /run/usbmuxd.pid, none with -f or -s)",
    )
    add("-x", "--exit", action="store_true", help="end the running daemon if it has -z and no phone is attached")
    add("-X", "--force-exit", action="store_true", help="end the running daemon")
    add("-z", "--enable-exit", action="store_true", help="let -x end this daemon")


def _add_socket_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("sockets").add_argument
    add(
        "-S",
        "--socket",
        metavar="ADDRESS",
        action="append",
        type=_checked(_listen_address),
        help="where to listen, repeatable (default: USBMUXD_SOCKET_ADDRESS, else the system's usbmuxd address)",
    )
    add(
        "--socket-mode",
        metavar="MODE",
        type=_checked(octal_mode),
        default=0o660,
        help="who may connect to Unix sockets: 0660 is their owner and group (default), 0666 everybody",
    )
    add(
        "--socket-group",
        metavar="GROUP",
        type=_checked(group_id),
        help=f"group of Unix sockets (default: {DEFAULT_GROUP} if there is such a group, else the daemon's)",
    )
    add(
        "--listen",
        metavar="KEY=VALUE,...",
        action="append",
        type=_checked(lambda text: listen_settings(table_from_text(text))),
        help="a listener with a view of its own; keys as under [[listen]] in the configuration file",
    )
    add(
        "--rule",
        metavar="KEY=VALUE,...",
        action="append",
        type=_checked(lambda text: rule(table_from_text(text))),
        help="who may do what; the first that is for a client decides; keys as under [[rule]]",
    )
    add(
        "--max-clients",
        metavar="N",
        type=_checked(_positive),
        default=_LIMITS.total,
        help="most clients at once; one over TLS counts as three (default: %(default)d)",
    )
    add(
        "--max-clients-for-each-user",
        metavar="N",
        type=_checked(_positive),
        default=_LIMITS.for_each_uid,
        help="most clients of one user at once (default: %(default)d)",
    )
    add(
        "--admin-socket",
        metavar="PATH",
        type=_path,
        help=f"for `usbmux status` and `usbmux capture`, mode 600, {NONE} for none (default: the first Unix socket's "
        f"path and {SUFFIX})",
    )
    add(
        "--metrics",
        metavar="ADDRESS",
        type=_checked(_local_address),
        help="figures for Prometheus at /metrics, over HTTP: a Unix socket (mode 600) or host:port of loopback "
        "(default: none)",
    )


def _add_phone_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("phones").add_argument
    add("-C", "--config-dir", metavar="PATH", type=_real_path, help="directory of the pair records")
    add("-n", "--disable-hotplug", action="store_true", help="look for phones only at the start and on USR2")
    add("-p", "--no-preflight", action="store_true", help="do not pair with phones when they come")
    add(
        "--linger",
        metavar="SECONDS",
        type=_checked(_seconds),
        default=_MUX.linger_s,
        help="keep a connection whose client has ended this long after the last byte (default: %(default)g)",
    )
    add(
        "--mode",
        metavar="1-5",
        type=_checked(_usb_mode),
        default=os.environ.get(MODE_VARIABLE) or None,
        help=f"switch phones to this USB mode (default: {MODE_VARIABLE}, else only phones that hide their mux)",
    )
    add(
        "--reads",
        metavar="COUNTxSIZE",
        type=_checked(_reads),
        help="bulk reads in flight for each phone, up to eight times as many where needed (default: 8x16384; larger "
        "reads hang on phones that do not end transfers of multiples of 16384 bytes)",
    )
    add(
        "--simulate",
        metavar="N|FILE",
        nargs="?",
        const="1",
        type=_path,
        help="attach N simulated phones (default 1), or those that a TOML file describes, instead of real ones",
    )
    add("--usb", action="store_true", help="with --simulate: attach real phones too")


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("log").add_argument
    add("-v", "--verbose", action="count", default=0, help="log what happens; twice for every detail")
    add("-l", "--logfile", metavar="PATH", type=_real_path, help="append the log to this file instead of stderr")
    add("--log-format", choices=FORMATS, help="(default: text; journald with -s)")


def _add_configuration_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("configuration", "Long options are keys of the configuration file.").add_argument
    add(
        "--config",
        metavar="FILE",
        type=_path,
        help=f"read FILE and FILE.d/*.toml, {NONE} for none (default: {DEFAULT_PATH} if it is there)",
    )
    add("--check-config", action="store_true", help="only say whether the configuration is right")


def _checked(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Argparse shows the text of this error only."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def _path(text: str) -> str:
    return _checked(file_path)(text)


def _real_path(text: str) -> Path:
    return Path(_path(text))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text!r} is no time")
    return seconds


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{text!r} is no number from 1 on")
    return int(text)


def _usb_mode(text: str) -> int:
    if text not in ("1", "2", "3", "4", "5"):
        where = f"; it is in {MODE_VARIABLE}" if text == os.environ.get(MODE_VARIABLE) else ""
        raise ValueError(f"{text!r} is no USB mode, which are 1 to 5{where}")
    return int(text)


def _user(text: str) -> str:
    if sys.platform != "win32":
        from usbmux.commands.privileges import find_user

        find_user(text)
    return text


def _listen_address(text: str) -> str:
    listen_address(text)
    return text


def _local_address(text: str) -> object:
    from usbmux.daemon.metrics_server import check_local

    address = parse_address(text)
    check_local(address)
    return address


def _reads(text: str) -> object:
    from usbmux.usb.libusb_pipe import TransferSizes

    try:
        count, size = map(int, text.split("x"))
        return TransferSizes(reads=count, read_size=size)
    except ValueError as error:
        raise ValueError(f"{text!r}: expected COUNTxSIZE such as 8x16384: {error}") from error
