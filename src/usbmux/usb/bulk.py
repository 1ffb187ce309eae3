"""The endpoints of a pipe as `BulkReader` and `BulkWriter` see them.

Whoever runs libusb's events calls `collect` of both afterwards, in the loop's thread. Neither decides what an error
means: it reports through its `PipeEvents`.
"""

import asyncio
from collections.abc import Sequence, Sized
from typing import Final, Protocol

from usbmux.errors import UsbDisconnectedError, UsbError, UsbStallError
from usbmux.usb.binding import TransferStatus

COMPLETED: Final = int(TransferStatus.COMPLETED)  # a plain number: a member of an enum takes longer to compare


class Ending(Protocol):
    """What libusb writes down when a transfer ends."""

    @property
    def status(self) -> int:
        """How it ended: a `TransferStatus`."""

    @property
    def actual_length(self) -> int:
        """How many bytes it carried."""


class Transfer(Protocol):
    """A `BulkTransfer`; hashable."""

    @property
    def memory(self) -> memoryview:
        """What it reads into or writes."""

    @property
    def length(self) -> int:
        """How many bytes it is to carry."""

    @property
    def fields(self) -> Ending:
        """How it ended last."""

    def set_length(self, length: int) -> None:
        """How many bytes of its memory it is to carry next: the first."""

    def set_zero_packet(self, wanted: bool) -> None:
        """Whether a zero-length packet follows data that ends with a full one."""

    def submit(self) -> int:
        """Begin it. Returns: 0, or libusb's number of an error, after which it will not be among those that ended."""

    def cancel(self) -> None:
        """Have it end soon. No effect if it is not in flight."""


class Endpoint(Protocol):
    """A `BulkEndpoint`, or one of a test that ends transfers in ways that no kernel can be made to."""

    @property
    def address(self) -> int:
        """Its number and direction, as in the descriptor."""

    @property
    def ended(self) -> Sized:
        """False if nothing has ended that was not taken: to ask this is shorter than to take nothing."""

    def new_transfer(self, memory: memoryview) -> Transfer:
        """A transfer from or to some memory, which is its own."""

    def take_ended(self) -> Sequence[Transfer]:
        """The transfers that have ended and were not taken yet, in order."""

    def close(self) -> None:
        """Free the transfers."""


class PipeEvents(Protocol):
    """Whom the endpoints tell. Called in the loop's thread, never from inside a call into an endpoint."""

    def ran_low(self) -> None:
        """Half of the reads or more had ended when somebody looked: the phone has had to wait, or soon would."""

    def read_stalled(self) -> None:
        """A read ended in a stall, for the first time since one ended well."""

    def transfer_failed(self, error: UsbError) -> None:
        """A transfer ended in an error, or could not be submitted."""


class InFlight:
    """How many transfers libusb has now."""

    def __init__(self) -> None:
        self.count = 0
        self._is_empty: asyncio.Future[None] | None = None

    def ended(self, count: int) -> None:
        """So many have ended, and were not submitted again."""
        self.count -= count
        if self._is_empty is not None and not self.count:
            self._is_empty.set_result(None)
            self._is_empty = None

    async def wait_empty(self) -> None:
        """Wait until there is none."""
        if self.count:
            if self._is_empty is None:
                self._is_empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._is_empty)


def transfer_error(status: int, doing: str) -> UsbError:
    """The error that `status`, which is not `COMPLETED`, means for `doing`."""
    match status:
        case TransferStatus.ERROR | TransferStatus.NO_DEVICE | TransferStatus.CANCELLED:
            return UsbDisconnectedError(f"cannot {doing}: it is gone (transfer status {status})")
        case TransferStatus.STALL:
            return UsbStallError(f"cannot {doing}: the endpoint stalled")
        case _:
            return UsbError(f"cannot {doing}: transfer status {status}")
