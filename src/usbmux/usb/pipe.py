"""The narrow interface to a bus, and the values that cross it; see docs/architecture.md.

A bus reports *candidates*. Opening a candidate (configure, claim, read the serial number: slow, may fail)
gives a *pipe*: one bulk endpoint each way, in asyncio's callback style. Bytes cross by plain calls, in the
event loop's thread, without a task or a queue between the transfer and its receiver.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from usbmux.errors import UsbError
from usbmux.usb.drain import Drain
from usbmux.values import frozen

MAX_WRITE_BYTES: Final = 49152
"""A pipe takes no further packet while as many bytes are in flight. So at most two of the longest packets are ahead of
an urgent one, and the endpoint still has its next transfer when one ends. For more see `WriteLimit`."""


@frozen
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


BUFFER_SIZE: Final = 65536
"""Of what `BulkPipe.free_buffer` gives: no packet is longer."""


class PipeReceiver(Protocol):
    """What a pipe calls back: in the event loop's thread, one call at a time, never from inside a call into the pipe.

    The calls may use the pipe. What they raise goes to the loop's exception handler, and the pipe goes on: the data
    of such a call is not delivered again.
    """

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        """The next bytes from the phone, in order, cut anywhere: a transfer of the phone may come in several calls.

        The pieces are valid only during the call; there is at least one, and none is empty.
        """

    def ran_low(self) -> None:
        """The phone has had to wait until somebody looked after what it sent, or soon would. Comes behind that.

        Never where it cannot be known.
        """

    def slot_freed(self) -> None:
        """A bulk OUT transfer completed after the pipe had no free slot; now it has one.

        Comes once after each `BulkPipe.write` that took the last slot, unless the pipe ends before. What ended together
        with that transfer is told of before; if a call of that takes the slot again, this comes for that one only.
        """

    def pipe_lost(self, error: UsbError | None) -> None:
        """The pipe ended: by unplugging (`UsbDisconnectedError`), other failure, or `BulkPipe.close` (None).

        The last call, made exactly once for each pipe that was started. The pipe must still be closed.
        """


class BulkPipe(Protocol):
    """The opened mux interface of one phone."""

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is."""

    @property
    def drain(self) -> Drain:
        """How fast what was written goes out; to be looked at. Never known where it does not go out by itself."""

    def start(self, receiver: PipeReceiver) -> None:
        """Begin to read. Call once, before anything is written.

        If the phone is gone by now, `pipe_lost` follows.

        Raises:
            LocalProtocolError: The pipe was started before, or is closed.
        """

    def has_free_slot(self) -> bool:
        """Whether `write` may be called now. The transfers in flight are bounded in number and in bytes.

        There is none before the start, after the end, and once the pipe is being closed.
        """

    def write(self, packet: bytes) -> None:
        """Send one mux packet as one bulk transfer, with its zero-length packet where one is due.

        Raises:
            LocalProtocolError: No slot is free.
        """

    def free_buffer(self) -> memoryview | None:
        """Memory for a packet, so that it need not be copied; None if no slot is free.

        It may be written to until the next call of the pipe, and until the caller returns to the event loop.
        """

    def write_buffer(self, length: int) -> None:
        """As `write`, a packet that stands in the first bytes of what `free_buffer` has just given.

        Raises:
            LocalProtocolError: No slot is free.
        """

    async def close(self) -> None:
        """Stop all transfers and release the interface; afterwards the candidate can be opened again.

        What was written goes out first, unless that takes longer than 0.5 s. Before this returns, `pipe_lost(None)`
        comes to a pipe that was started and is not lost. Idempotent: every call returns when all is done, which it
        will be even if the caller is cancelled.
        """


class UsbCandidate(Protocol):
    """A device on the bus that has a mux interface and is not opened yet."""

    @property
    def name(self) -> str:
        """Port path and ids for the log: ``1-2.3 (05ac:12a8)``."""

    async def open(self, *, anew: bool = False) -> BulkPipe:
        """Configure the device, claim its mux interface and read who it is.

        Cancelled, it leaves the device closed.

        Args:
            anew: Set the configuration even if it is in force already, which also resets the endpoints: for a phone
                that did not come up.

        Raises:
            UsbAccessError: It is open, or being opened, already; or the system or another process does not let us.
            UsbDisconnectedError: It is gone, or about to come back as another candidate.
            UsbError: It could not be done now; trying again may help.
        """


class BusListener(Protocol):
    """Who wants to know of comings and goings on a bus.

    Called in the event loop's thread, never from inside a call into the bus. What it raises goes to the loop's
    exception handler, and the bus goes on.
    """

    def device_arrived(self, candidate: UsbCandidate) -> None:
        """A device with a mux interface appeared, or was there when the bus was started."""

    def device_left(self, candidate: UsbCandidate) -> None:
        """It disappeared, for good: after a replug there is another candidate.

        An opened pipe also reports this by itself; either may come first.
        """


class UsbBus(Protocol):
    """A place where phones are plugged in."""

    async def start(self, listener: BusListener) -> None:
        """Report every device present, possibly after this has returned, and from now on every change.

        Raises:
            LocalProtocolError: It is started already.
            UsbError: The bus cannot be used at all (no library, no permission).
        """

    def rescan(self) -> None:
        """Look at once for changes that the bus may not have reported. Harmless at any time."""

    async def close(self) -> None:
        """Stop reporting at once and free the bus. The pipes must be closed already.

        Idempotent; the bus may be started again, and then reports anew what is present.
        """
