"""What ``usbmux forward`` takes: an end on this computer, a colon, and a port of the phone."""

from typing import Final, Self

from usbmux.control.address import UnixAddress, parse_address, parse_host
from usbmux.errors import AddressError
from usbmux.values import frozen

_HIGHEST_PORT: Final = 65535
_HANDED: Final = "fd:"
_FORM: Final = (
    "LOCAL:REMOTE: write 2222:22 to reach port 22 of the phone through port 2222 of this computer; LOCAL may also be "
    "HOST:PORT, a path, a range of ports, fd:NAME or -"
)


@frozen
class TcpPorts:
    """One port or several, one behind the other."""

    host: str | None
    """None: where the forwarder listens unless told otherwise."""
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


@frozen
class HandedName:
    """A listening socket of the service manager, by its FileDescriptorName= or the number of its descriptor."""

    name: str


@frozen
class Stdio:
    """Standard input and output."""


LocalPart = TcpPorts | UnixAddress | HandedName | Stdio


@frozen
class ForwardPair:
    """Both sides of an argument. Only TCP ports can be several."""

    local: LocalPart
    remote: TcpPorts
    """Its host is None."""

    @property
    def is_for_several_phones(self) -> bool:
        """Whether each of the local ports leads to the same port of another phone."""
        return isinstance(self.local, TcpPorts) and self.local.count > 1 and self.remote.count == 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an argument.

        Raises:
            AddressError: It is none; the text shows the right form.
        """
        left, colon, right = text.rpartition(":")
        if not colon:
            raise AddressError(f"{text!r} is not {_FORM}")
        remote = _ports(text, None, right, lowest=1, whose="the phone's port")
        local = _local_part(text, left)
        local_count = local.count if isinstance(local, TcpPorts) else 1
        if remote.count > 1 and local_count != remote.count:
            raise AddressError(f"{text!r}: {local_count} local ports cannot lead to {remote.count} ports of a phone")
        return cls(local, remote)


def _local_part(text: str, left: str) -> LocalPart:
    if left == "-":
        return Stdio()
    if left.startswith(_HANDED):
        return HandedName(left.removeprefix(_HANDED))
    if "/" in left:
        address = parse_address(left)
        if not isinstance(address, UnixAddress):
            raise AddressError(f"{text!r} is not {_FORM}")
        return address
    host, colon, ports = left.rpartition(":")
    if colon and not host:
        raise AddressError(f"{text!r} is not {_FORM}")
    return _ports(text, _plain_host(text, host) if colon else None, ports, lowest=0, whose="the local port")


def _plain_host(text: str, host: str) -> str:
    if ":" in host and not host.startswith("["):
        raise AddressError(f"{text!r}: an address of IP version 6 goes in brackets ([::1]:2222:22)")
    return parse_host(host)


def _ports(text: str, host: str | None, ports: str, *, lowest: int, whose: str) -> TcpPorts:
    first, dash, last = ports.partition("-")
    if not _is_number(first) or (dash and not _is_number(last)):
        raise AddressError(f"{text!r} is not {_FORM}")
    found = TcpPorts(host, int(first), int(last if dash else first))
    for port in (found.first, found.last):
        if not lowest <= port <= _HIGHEST_PORT:
            raise AddressError(
                f"{text!r}: {whose} is {port}, it must be {lowest} to {_HIGHEST_PORT}; the form is {_FORM}"
            )
    if found.last < found.first or (dash and found.first == 0):
        raise AddressError(f"{text!r}: {ports} is no range of ports, such as 2200-2210")
    return found


def _is_number(text: str) -> bool:
    # int() alone would take "+22", "2_2", " 22" and digits of other scripts. Six digits are enough to name the range.
    return text.isascii() and text.isdigit() and len(text) <= 6
