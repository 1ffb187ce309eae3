"""Which addresses other computers reach, and what has to be before those."""

from contextlib import suppress

from usbmux.control.address import Address, TcpAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.errors import ConfigurationError


def is_local(address: Address) -> bool:
    """Whether only this computer reaches the address."""
    if not isinstance(address, TcpAddress):
        return True
    import ipaddress  # here, because most listeners are Unix sockets

    with suppress(ValueError):
        return ipaddress.ip_address(address.host).is_loopback
    return address.host == "localhost"


def check_exposure(settings: ListenSettings) -> None:
    """Pair records and phones are open to whoever reaches the socket.

    Raises:
        ConfigurationError: Other computers would reach it, and anybody on them.
    """
    if settings.tls is None and not is_local(settings.address):
        raise ConfigurationError(
            f"{settings.address} can be reached from other computers, and anybody there could use the phones: "
            "listen on loopback, or with TLS and certificates for the clients (see [[listen]] in usbmuxd.toml(5))"
        )
