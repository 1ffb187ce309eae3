"""The narrow interface to a bus, and the values that cross it; see docs/architecture.md.

A bus reports *candidates*. Opening a candidate (configure, claim, read the serial number: slow, may fail)
gives a *pipe*: one bulk endpoint each way, in asyncio's callback style. Bytes cross by plain calls, in the
event loop's thread, without a task or a queue between the transfer and its receiver.
"""

from dataclasses import dataclass
from typing import Protocol

from usbmux.errors import UsbError


@dataclass(frozen=True, slots=True)
class UsbDeviceInfo:
    """Who a phone is, as its descriptors and its place on the bus tell."""

    serial_number: str
    """1 to 64 printable ASCII characters; the UDID, with the dash that 24-character serials get."""
    product_id: int
    """idProduct of the device descriptor."""
    location_id: int
    """Bus and address in 32 bits, as Apple's clients expect; changes with every replug."""
    connection_speed: int
    """Link speed in bit/s: 480000000 for high speed, and so on."""
    port_path: str
    """Bus and chain of hub ports, such as ``1-2.3``; the same after a replug."""


class PipeReceiver(Protocol):
    """What a pipe calls back. Always in the event loop's thread, never from inside a call into the pipe."""

    def data_received(self, data: bytes | memoryview) -> None:
        """One bulk IN transfer completed. `data` is valid only during the call; it is never empty."""

    def slot_freed(self) -> None:
        """A bulk OUT transfer completed after the pipe had no free slot."""

    def pipe_lost(self, error: UsbError | None) -> None:
        """The pipe ended, once: by unplugging or failure (`error`), or by `BulkPipe.close` (None)."""


class BulkPipe(Protocol):
    """The opened mux interface of one phone."""

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is."""

    def start(self, receiver: PipeReceiver) -> None:
        """Begin to read. Call once, before anything is written."""

    def has_free_slot(self) -> bool:
        """Whether `write` may be called now. The number of transfers in flight is bounded."""

    def write(self, packet: bytes) -> None:
        """Send one mux packet as one bulk transfer, with its zero-length packet where one is due.

        Raises:
            LocalProtocolError: No slot is free.
        """

    async def close(self) -> None:
        """Stop all transfers and release the interface. Idempotent; `pipe_lost(None)` comes first."""


class UsbCandidate(Protocol):
    """A device on the bus that has a mux interface and is not opened yet."""

    @property
    def name(self) -> str:
        """Port path and ids for the log: ``1-2.3 (05ac:12a8)``."""

    async def open(self, *, anew: bool = False) -> BulkPipe:
        """Configure the device, claim its mux interface and read who it is.

        Args:
            anew: Set the configuration even if it is in force already, which also resets the endpoints: for a phone
                that did not come up.

        Raises:
            UsbDisconnectedError: It is gone, or about to come back as another candidate.
            UsbError: It could not be done now; trying again may help.
        """


class BusListener(Protocol):
    """Who wants to know of comings and goings on a bus. Called in the event loop's thread."""

    def device_arrived(self, candidate: UsbCandidate) -> None:
        """A device with a mux interface appeared, or was there when the bus was started."""

    def device_left(self, candidate: UsbCandidate) -> None:
        """It disappeared. An opened pipe also reports this by itself; either may come first."""


class UsbBus(Protocol):
    """A place where phones are plugged in."""

    async def start(self, listener: BusListener) -> None:
        """Report every device present and from now on every change.

        Raises:
            UsbError: The bus cannot be used at all (no library, no permission).
        """

    def rescan(self) -> None:
        """Look at once for changes that the bus may not have reported."""

    async def close(self) -> None:
        """Stop reporting and free the bus. The pipes must be closed already."""
