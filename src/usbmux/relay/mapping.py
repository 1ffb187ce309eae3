"""Pairs of ports as people type them, in the two orders that are in use."""

from typing import Self

from usbmux.control.address import TcpAddress
from usbmux.errors import AddressError
from usbmux.relay.route import LOOPBACK, Route
from usbmux.values import frozen

_HIGHEST_PORT = 65535
_REMOTE_LOCAL_FORM = "REMOTE[:LOCAL]: write 22:2222 to reach port 22 of the phone through port 2222 of this computer"
_LOCAL_REMOTE_FORM = "LOCAL:REMOTE: write 2222:22 to reach port 22 of the phone through port 2222 of this computer"


@frozen
class PortMapping:
    """A port of the phone and the local port that leads to it."""

    device_port: int
    """1 to 65535."""
    local_port: int
    """0 to 65535; 0 lets the system choose."""

    def route(self, host: str = LOOPBACK[0], udid: str | None = None) -> Route:
        """The way from that address of this computer to that phone, or to the only one."""
        return Route(TcpAddress(host, self.local_port), self.device_port, udid)

    @classmethod
    def parse_remote_local(cls, text: str) -> Self:
        """Read ``22:2222``, or ``22`` for the same number on both sides: the order of tcprelay.

        Raises:
            AddressError: It is something else; the text shows the right form.
        """
        remote, colon, local = text.partition(":")
        return cls._from_texts(text, remote, local if colon else remote, _REMOTE_LOCAL_FORM)

    @classmethod
    def parse_local_remote(cls, text: str) -> Self:
        """Read ``2222:22``: the order of iproxy. Both parts are required.

        Raises:
            AddressError: It is something else; the text shows the right form.
        """
        local, _, remote = text.partition(":")
        return cls._from_texts(text, remote, local, _LOCAL_REMOTE_FORM)

    @classmethod
    def _from_texts(cls, text: str, remote: str, local: str, form: str) -> Self:
        if not (_is_number(remote) and _is_number(local)):
            raise AddressError(f"{text!r} is not {form}")
        device_port, local_port = int(remote), int(local)
        if not 1 <= device_port <= _HIGHEST_PORT:
            raise AddressError(
                f"{text!r}: the phone's port is {device_port}, it must be 1 to 65535; the form is {form}"
            )
        if local_port > _HIGHEST_PORT:
            raise AddressError(f"{text!r}: the local port is {local_port}, it must be 0 to 65535; the form is {form}")
        return cls(device_port=device_port, local_port=local_port)


def _is_number(text: str) -> bool:
    # int() alone would take "+22", "2_2", " 22" and digits of other scripts. Six digits are enough to name the range.
    return text.isascii() and text.isdigit() and len(text) <= 6
