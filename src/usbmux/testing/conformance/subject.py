"""The server under test, and what the cases may use of it."""

from enum import Enum
from typing import Final, Self

from usbmux.client.blocking import Client
from usbmux.client.blocking_connection import open_socket
from usbmux.client.device import Device
from usbmux.client.endpoint import timed_out
from usbmux.control.address import Address
from usbmux.deadlines import deadline_after
from usbmux.errors import UsbmuxError
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.request import swapped
from usbmux.values import frozen

DEFAULT_TIMEOUT_S: Final = 5.0
"""As long as libusbmuxd waits for an answer."""


class Need(Enum):
    """What a case cannot do without."""

    PHONE = "a phone (--udid)"
    ECHO = "a phone with an echo service (--port)"
    UNEVEN_ECHO = "an echo service at a port whose two bytes differ"
    WRITES = "leave to save pair records (no --read-only)"


@frozen
class Subject:
    """A server, with one of its phones if it has any."""

    address: Address
    phone: Device | None = None
    echo_port: int | None = None
    """A port of that phone where everything comes back."""
    may_write: bool = True
    """Whether pair records may be saved, under ids made up for it, and deleted again."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    """How long each answer may take."""

    @classmethod
    def find(
        cls,
        address: Address,
        *,
        udid: str | None = None,
        echo_port: int | None = None,
        may_write: bool = True,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Self:
        """The server at an address, with the phone of that UDID, or the only one, or none.

        Raises:
            DaemonUnavailableError: Nobody serves there.
            UsbmuxError: There is no phone of the UDID that was given.
        """
        with cls(address, timeout_s=timeout_s).connect():
            pass
        phone = None
        try:
            phone = Client(address, timeout_s=timeout_s).device(udid)
        except UsbmuxError:
            if udid is not None:
                raise
        return cls(address, phone, echo_port, may_write, timeout_s)

    def connect(self) -> Conversation:
        """A new connection.

        Raises:
            DaemonUnavailableError: Nobody serves there.
            RequestTimeoutError: The server does not accept.
        """
        try:
            stream = open_socket(self.address, deadline_after(self.timeout_s))
        except TimeoutError as error:
            raise timed_out(self.address, self.timeout_s) from error
        return Conversation(stream, self.timeout_s)

    def lacks(self, need: Need) -> bool:
        """Whether it has not what a case needs."""
        port = self.echo_port
        match need:
            case Need.PHONE:
                return self.phone is None
            case Need.ECHO:
                return self.phone is None or port is None
            case Need.UNEVEN_ECHO:
                return self.phone is None or port is None or swapped(port) == port
            case Need.WRITES:
                return not self.may_write
