"""A function of the simulated bus, such as the simulated phone, behind the real libusb. Run by test_on_usbfs.py."""

from collections.abc import Callable

import pytest

from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, Received, until
from usbmux.usb.pipe import UsbDeviceInfo


class Echo:
    """A `UsbFunction` that sends back what it gets and keeps the transfers."""

    info = UsbDeviceInfo("00008030-001A2B3C4D5E6F01", 0x12A8, location_id=0, connection_speed=480_000_000, port_path="")
    max_packet_size = 512

    def __init__(self) -> None:
        self.transfers: list[bytes] = []
        self.connections = 0
        self._send: Callable[[bytes], None] | None = None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self.connections += 1
        self._send = send

    def bulk_out(self, data: bytes) -> None:
        assert self._send is not None
        self.transfers.append(data)
        if data:
            self._send(data)

    def disconnected(self) -> None:
        self.connections -= 1
        self._send = None


@pytest.mark.asyncio
async def test_function_opened_written_and_closed(host: UsbfsHost, arrivals: Arrivals) -> None:
    function = Echo()
    device = device_of_function(function)
    host.plug(device)
    pipe = await (await arrivals.first()).open()
    received = Received()
    pipe.start(received)

    pipe.write(bytes(512))
    pipe.write(b"short")

    await until(lambda: received.data == bytes(512) + b"short")
    assert function.transfers == [bytes(512), b"", b"short"]
    assert pipe.info.serial_number == function.info.serial_number
    await pipe.close()
    host.unplug(device)
    assert function.connections == 0


@pytest.mark.asyncio
async def test_function_unplugged_is_disconnected_once(host: UsbfsHost, arrivals: Arrivals) -> None:
    function = Echo()
    device = device_of_function(function)
    host.plug(device)
    pipe = await (await arrivals.first()).open()
    received = Received()
    pipe.start(received)

    host.unplug(device)

    await until(lambda: bool(received.losses))
    await pipe.close()
    assert function.connections == 0
