"""What a service of a virtual iPhone knows of the phone it runs on."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.services.application import Application
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.log_entry import LogEntry


class DeviceValues(Protocol):
    """The values that lockdown answers GetValue with, as services read them."""

    def value(self, key: str, domain: str | None = None) -> object | None:
        """The value of `key` in `domain` (`None`: those outside any domain); `None` if there is none."""


class ServiceContext(Protocol):
    """The phone, as its services see it. One for all connections, so what is in it is shared."""

    @property
    def identity(self) -> DeviceValues:
        """Who the phone is."""

    @property
    def notifications(self) -> Hub[str]:
        """Names of notifications, posted by services, lockdown, hosts and tests, to whoever observes them."""

    @property
    def log(self) -> Hub[LogEntry]:
        """The phone's log, which services and tests write and hosts read."""

    @property
    def applications(self) -> tuple[Application, ...]:
        """What is installed."""


Service = Callable[[ByteStream, ServiceContext], Awaitable[None]]
"""Serves one connection, inside TLS if there is any; one task may read from the stream while another writes to it.

When it returns, the connection is to be ended. It also ends by `ConnectionResetError` or
`asyncio.IncompleteReadError` (the host is gone) and by `RemoteProtocolError` (the host sent nonsense); anything else
is a bug.
"""
