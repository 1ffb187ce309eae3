"""What is shown: phones and clients at one moment, with how much they move."""

from collections.abc import Iterable

from usbmux.admin.message import ClientStatus, ConnectionStatus, PhoneStatus
from usbmux.commands.top.flow import Flow
from usbmux.values import frozen


@frozen
class PhoneRow:
    """One phone."""

    key: str
    """No other phone of the sample has it, and it stays while the phone is plugged in."""
    status: PhoneStatus
    name: str | None
    """What its owner calls it, if it has said so."""
    to_phone: Flow
    """Bytes, by all connections."""
    from_phone: Flow
    clients: tuple[ClientStatus, ...]
    """Those that have a connection to it."""
    stalled: int
    """How many of these connections have stalled since the sample before."""


@frozen
class ClientRow:
    """One client, with its connection if it has one."""

    client: ClientStatus
    connection: ConnectionStatus | None
    phone_name: str | None
    """Of the phone that it is connected to."""
    to_phone: Flow
    from_phone: Flow
    phone_stall: float
    """Part of the time since the sample before, 0 to 1, in which the phone's window was full."""
    client_stall: float
    """The same for what the client did not take."""


@frozen
class Sample:
    """The daemon at one moment."""

    version: str = ""
    """Of the daemon."""
    phones: tuple[PhoneRow, ...] = ()
    clients: tuple[ClientRow, ...] = ()
    error: str | None = None
    """Why there is nothing to see, if so."""

    @property
    def to_phones_per_s(self) -> float | None:
        """Bytes per second, to all phones; None while it is not known."""
        return _sum(phone.to_phone for phone in self.phones)

    @property
    def from_phones_per_s(self) -> float | None:
        """The same from all phones."""
        return _sum(phone.from_phone for phone in self.phones)


def _sum(flows: Iterable[Flow]) -> float | None:
    known = [flow.per_s for flow in flows if flow.per_s is not None]
    return sum(known) if known else None
