"""Reads of a scripted endpoint, for tests of `BulkReader`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.usb.binding import TransferStatus
from usbmux.usb.bulk_reader import BulkReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.usb.scripted_endpoint import ScriptedEndpoint
    from usbmux.errors import UsbError
    from usbmux.usb.spare_memory import SpareMemory

SIZE = 8


class Events:
    """`PipeEvents` that are kept."""

    def __init__(self) -> None:
        self.received: list[list[bytes]] = []
        self.stalls = self.low = 0
        self.errors: list[UsbError] = []
        self.when_received: Callable[[], None] = lambda: None

    def data_received(self, pieces: list[memoryview]) -> None:
        self.received.append([bytes(piece) for piece in pieces])
        self.when_received()

    def ran_low(self) -> None:
        self.low += 1

    def read_stalled(self) -> None:
        self.stalls += 1

    def transfer_failed(self, error: UsbError) -> None:
        self.errors.append(error)


def end(endpoint: ScriptedEndpoint, *data: bytes, status: int = TransferStatus.COMPLETED) -> None:
    for each in data:
        endpoint.submitted[0].end(status, each)


async def growing_reader(endpoint: ScriptedEndpoint, events: Events, spare: SpareMemory) -> BulkReader:
    reader = BulkReader(endpoint, events, spare, count=4, most=16, size=SIZE)
    reader.deliver = events.data_received
    reader.resume()
    return reader


def end_all(reader: BulkReader, endpoint: ScriptedEndpoint) -> None:
    end(endpoint, *[b"x"] * len(endpoint.submitted))
    reader.collect()


def end_one(reader: BulkReader, endpoint: ScriptedEndpoint) -> None:
    end(endpoint, b"x")
    reader.collect()


def stop(reader: BulkReader, endpoint: ScriptedEndpoint) -> None:
    reader.stop()
    end(endpoint, *[b""] * len(endpoint.submitted), status=TransferStatus.CANCELLED)
    reader.collect()
