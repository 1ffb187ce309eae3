"""How programs of others are told where the daemon is: no spelling of an address is understood by all."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import Final

from usbmux.control.address import ENVIRONMENT_VARIABLE, Address, TcpAddress, UnixAddress
from usbmux.errors import AddressError
from usbmux.values import frozen

PYMOBILEDEVICE3_VARIABLE: Final = "PYMOBILEDEVICE3_USBMUX"


class Spelling(Enum):
    """Ways to write an address that programs tell apart, each as a pattern of the whole text."""

    PATH = "/.*"
    UNIX = "UNIX:(?!//).+"
    UNIX_SLASHES = "UNIX://.+"
    LOWER_UNIX = "unix:(?!//).+"
    LOWER_UNIX_SLASHES = "unix://.+"
    ENDPOINT = r"[^\[\]:/]+:[0-9]{1,5}"
    V6_ENDPOINT = r"\[[^\[\]]+\]:[0-9]{1,5}"
    TCP_SLASHES = "tcp://.+"


@frozen
class ForeignProgram:
    """A program, or a family of them, that is a client of usbmux daemons."""

    key: str
    """By which it is asked for on a command line."""
    name: str
    commands: tuple[str, ...]
    """What is in the PATH where it is installed."""
    variables: tuple[str, ...]
    """Where it looks for the address; the first that is set counts."""
    readable: frozenset[Spelling]
    """Rule C42 of docs/protocol/control.md."""
    falls_back: bool = False
    """Whether it asks the system's daemon, without a word, when it understands nothing."""

    def reads(self, text: str) -> bool:
        """Whether it understands an address that is written like this."""
        return any(re.fullmatch(spelling.value, text, re.DOTALL) for spelling in self.readable)

    def variable(self, address: Address) -> tuple[str, str]:
        """Name and value of the variable that sends it to the address.

        Raises:
            AddressError: It understands no spelling of it.
        """
        for text in _spellings(address):
            if self.reads(text):
                return self.variables[0], text
        raise AddressError(f"{self.name} understands no spelling of {address}")


_ENDPOINTS: Final = frozenset({Spelling.ENDPOINT, Spelling.V6_ENDPOINT})
_UPPER: Final = frozenset({Spelling.UNIX, Spelling.UNIX_SLASHES})
_LOWER: Final = frozenset({Spelling.LOWER_UNIX, Spelling.LOWER_UNIX_SLASHES})
FOREIGN_PROGRAMS: Final = (
    ForeignProgram(
        "limd",
        "libimobiledevice",
        ("idevice_id", "ideviceinfo", "iproxy"),
        (ENVIRONMENT_VARIABLE,),
        _UPPER | _ENDPOINTS,
        falls_back=True,
    ),
    ForeignProgram(
        "pmd3",
        "pymobiledevice3",
        ("pymobiledevice3",),
        (PYMOBILEDEVICE3_VARIABLE, ENVIRONMENT_VARIABLE),
        frozenset({Spelling.PATH, Spelling.ENDPOINT}),
    ),
    ForeignProgram(
        "go-ios",
        "go-ios",
        ("ios",),
        (ENVIRONMENT_VARIABLE,),
        _ENDPOINTS | {Spelling.PATH, Spelling.UNIX_SLASHES, Spelling.LOWER_UNIX_SLASHES, Spelling.TCP_SLASHES},
    ),
    ForeignProgram(
        "frida",
        "frida",
        ("frida", "frida-ps"),
        (ENVIRONMENT_VARIABLE,),
        _UPPER | _ENDPOINTS,
    ),
    ForeignProgram(
        "appium",
        "appium",
        ("appium",),
        (ENVIRONMENT_VARIABLE,),
        _UPPER | _LOWER | {Spelling.PATH, Spelling.ENDPOINT},
    ),
)


def client_environment(address: Address) -> dict[str, str]:
    """The variables that send programs to the daemon at `address`, each in the spelling that its readers understand.

    ``USBMUXD_SOCKET_ADDRESS`` is for libimobiledevice, go-ios, appium-ios-device, frida and `usbmux` itself;
    ``PYMOBILEDEVICE3_USBMUX`` for pymobiledevice3, which looks at it first and knows Unix sockets by their path alone;
    but when it pairs, it saves the record at the other one.
    A program that understands no spelling of the address (`ForeignProgram.variable`) is not served by them.
    """
    spellings = _spellings(address)
    return {ENVIRONMENT_VARIABLE: spellings[0], PYMOBILEDEVICE3_VARIABLE: spellings[-1]}


def _spellings(address: Address) -> tuple[str, ...]:
    """The one that most programs know first, that of pymobiledevice3 last."""
    match address:
        case UnixAddress(path):
            path = os.path.abspath(path)
            return f"UNIX://{path}", path
        case TcpAddress():
            return (str(address),)
