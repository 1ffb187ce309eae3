"""The phone's side of USB, as a simulated bus meets it."""

from collections.abc import Callable
from typing import Protocol

from usbmux.usb.pipe import UsbDeviceInfo


class UsbFunction(Protocol):
    """The phone's side of a pipe: what can be plugged into a `SimulatedBus`. Compared by identity."""

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is. The bus replaces `location_id` and `port_path` by those of the plug."""

    @property
    def max_packet_size(self) -> int:
        """The bulk endpoints' wMaxPacketSize, in bytes."""

    def connected(self, send: Callable[[bytes], None]) -> None:
        """The host opened and started the pipe. Each call of `send` queues one bulk IN transfer."""

    def bulk_out(self, data: bytes) -> None:
        """One request of the host arrived.

        A transfer ends with a packet shorter than `max_packet_size`. So data whose length is a multiple of it
        does not end a transfer, unless it is empty.
        """

    def disconnected(self) -> None:
        """The host closed the pipe, or the plug was pulled. Ends what `connected` began."""
