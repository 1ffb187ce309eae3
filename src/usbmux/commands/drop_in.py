"""What ``iproxy`` and ``inetcat`` have in common: options, and which phone they mean."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final, NoReturn

from usbmux import __version__
from usbmux.client.device import Device
from usbmux.client.selection import select_device
from usbmux.commands.exits import ExitCode, complain
from usbmux.control.message import ResultCode
from usbmux.errors import DeviceNotFoundError
from usbmux.relay.route import PhoneSelect

_EPILOG: Final = (
    "The daemon is found by USBMUXD_SOCKET_ADDRESS, or at the system's usual address. Exit codes are those of usbmux."
)


class DropInParser(argparse.ArgumentParser):
    """Shows all of its help when the line is wrong, as those programs do."""

    def __init__(self, program: str, description: str) -> None:
        super().__init__(prog=program, description=description, epilog=_EPILOG)
        self.add_argument("-u", "--udid", metavar="UDID", help="the phone; default: the first that is attached")
        self.add_argument("-n", "--network", action="store_true", help="one that is connected by network")
        self.add_argument(
            "-l", "--local", action="store_true", help="one that is connected by USB; this is the default"
        )
        self.add_argument("-d", "--debug", action="count", default=0, help="say more on stderr")
        self.add_argument("-v", "--version", action="version", version=f"{program} (usbmux {__version__})")

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        complain(self.prog, message)
        self.print_help(sys.stderr)
        self.exit(ExitCode.USAGE)


def phone_select(given: argparse.Namespace) -> PhoneSelect:
    """The phone that these options mean."""
    types = ("USB", "Network") if given.local and given.network else ("Network",) if given.network else ("USB",)
    return partial(first_device, types)


def first_device(types: Sequence[str], devices: Sequence[Device], udid: str | None) -> Device:
    """The first phone that is connected in one of these ways, the first way before all; or the one that is named.

    Raises:
        DeviceNotFoundError, AmbiguousDeviceError: There is none, or several have UDIDs that begin so.
    """
    fitting = [device for each in types for device in devices if device.connection_type == each]
    if udid is not None:
        return select_device(fitting, udid)
    if not fitting:
        raise DeviceNotFoundError(ResultCode.BAD_DEVICE, f"no phone is attached by {' or '.join(types)}")
    return fitting[0]
