"""Comings and goings over the real libusb. Run by tests/usb/test_on_usbfs.py."""

import threading

import pytest

from tests.usb.usbfs.device import UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, Received, until
from usbmux.errors import LocalProtocolError, UsbError
from usbmux.testing.usb_descriptors import DeviceKind, InterfaceKind
from usbmux.testing.usb_phone import MUX, PICTURES, phone_configurations
from usbmux.usb.libusb import LibusbBus

_MUX = InterfaceKind(MUX, (0x04, 0x85))
_PICTURES = InterfaceKind(PICTURES, (0x02, 0x81))


@pytest.fixture(params=["hotplug", "polling"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "polling":
        monkeypatch.setenv("FAKE_USBFS_WITHOUT_UDEV", "1")
    return str(request.param)


@pytest.mark.asyncio
async def test_start_reports_the_devices_present(way: str, host: UsbfsHost, phone: UsbfsDevice) -> None:
    host.plug(phone)
    arrivals = Arrivals()
    bus = LibusbBus()

    await bus.start(arrivals)

    await until(lambda: arrivals.log == ["+1-2 (05ac:12a8)"])
    await bus.close()


@pytest.mark.asyncio
async def test_started_phone_comes_and_goes_and_comes_both_are_reported(
    way: str, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    host.plug(phone)
    await until(lambda: arrivals.log == ["+1-2 (05ac:12a8)"])
    first = arrivals.present[0]

    host.unplug(phone)
    await until(lambda: not arrivals.present)
    host.plug(phone)
    await until(lambda: len(arrivals.present) == 1)

    assert arrivals.log == ["+1-2 (05ac:12a8)", "-1-2 (05ac:12a8)", "+1-2 (05ac:12a8)"]
    assert arrivals.present[0] is not first


@pytest.mark.asyncio
async def test_polling_opened_phone_works_and_is_lost(
    monkeypatch: pytest.MonkeyPatch, host: UsbfsHost, phone: UsbfsDevice
) -> None:
    monkeypatch.setenv("FAKE_USBFS_WITHOUT_UDEV", "1")
    arrivals = Arrivals()
    bus = LibusbBus()
    await bus.start(arrivals)
    host.plug(phone)
    pipe = await (await arrivals.first()).open()
    received = Received()
    pipe.start(received)
    phone.send(b"hello")
    await until(lambda: received.data == b"hello")

    host.unplug(phone)

    await until(lambda: bool(received.losses) and not arrivals.present)
    await pipe.close()
    await bus.close()


@pytest.mark.asyncio
async def test_polling_rescan_reports_before_the_next_second(
    monkeypatch: pytest.MonkeyPatch, host: UsbfsHost, phone: UsbfsDevice
) -> None:
    monkeypatch.setenv("FAKE_USBFS_WITHOUT_UDEV", "1")
    monkeypatch.setattr("usbmux.usb.libusb._POLL_INTERVAL_S", 3600)
    arrivals = Arrivals()
    bus = LibusbBus()
    other = UsbfsDevice(phone.kind, name="1-3")
    host.plug(other)
    await bus.start(arrivals)
    await arrivals.first()
    host.plug(phone)

    bus.rescan()

    await until(lambda: len(arrivals.present) == 2)
    await bus.close()


@pytest.mark.asyncio
async def test_hotplug_that_says_nothing_changes_are_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, host: UsbfsHost, phone: UsbfsDevice
) -> None:
    monkeypatch.setattr("usbmux.usb.libusb.is_udev_heard", lambda: False)
    monkeypatch.setattr("usbmux.usb.libusb._SAFETY_INTERVAL_S", 0.05)
    arrivals = Arrivals()
    bus = LibusbBus()
    await bus.start(arrivals)

    host.plug(phone, is_told=False)
    await until(lambda: len(arrivals.present) == 1)
    host.remove(phone, is_told=False)
    await until(lambda: not arrivals.present)

    await bus.close()


@pytest.mark.asyncio
async def test_hotplug_heard_what_was_not_told_with_a_change_is_found_after_it(
    monkeypatch: pytest.MonkeyPatch, host: UsbfsHost, phone: UsbfsDevice
) -> None:
    monkeypatch.setattr("usbmux.usb.libusb.is_udev_heard", lambda: True)
    monkeypatch.setattr("usbmux.usb.libusb._SAFETY_INTERVAL_S", 0.05)
    arrivals = Arrivals()
    bus = LibusbBus()
    await bus.start(arrivals)

    host.plug(phone, is_told=False)
    host.plug(UsbfsDevice(phone.kind, name="1-3"))

    await until(lambda: len(arrivals.present) == 2)
    await bus.close()


@pytest.mark.asyncio
async def test_hotplug_heard_nothing_changes_bus_is_never_listed(
    monkeypatch: pytest.MonkeyPatch, host: UsbfsHost, phone: UsbfsDevice
) -> None:
    monkeypatch.setattr("usbmux.usb.libusb.is_udev_heard", lambda: True)
    monkeypatch.setattr("usbmux.usb.libusb._SAFETY_INTERVAL_S", 0.0)
    listed = threading.Event()
    monkeypatch.setattr("usbmux.usb.libusb._list_devices", listed.set)
    host.plug(phone)
    arrivals = Arrivals()
    bus = LibusbBus()
    await bus.start(arrivals)
    await (await (await arrivals.first()).open()).close()  # many turns of the loop

    assert not listed.is_set()
    await bus.close()


@pytest.mark.asyncio
async def test_started_rescan_without_change_reports_nothing(host: UsbfsHost, phone: UsbfsDevice) -> None:
    arrivals = Arrivals()
    bus = LibusbBus()
    host.plug(phone)
    await bus.start(arrivals)
    await arrivals.first()

    bus.rescan()
    later = UsbfsDevice(phone.kind, name="1-3")
    host.plug(later)
    await until(lambda: len(arrivals.present) == 2)
    bus.rescan()
    host.unplug(phone)
    await until(lambda: len(arrivals.present) == 1)

    assert arrivals.log == ["+1-2 (05ac:12a8)", "+1-3 (05ac:12a8)", "-1-2 (05ac:12a8)"]
    await bus.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind",
    [
        DeviceKind({1: (_MUX,)}, vendor_id=0x1234),
        DeviceKind({1: (_PICTURES,)}, product_id=0x1905),
        DeviceKind({1: (InterfaceKind(MUX, (0x04,)),)}, product_id=0x1905),
        DeviceKind({1: (InterfaceKind((255, 42, 255), (0x04, 0x85)),)}, product_id=0x1905),
    ],
    ids=["not Apple's", "no mux", "one endpoint", "another interface of that class"],
)
async def test_started_other_device_is_left_alone(
    kind: DeviceKind, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    other = UsbfsDevice(kind, name="1-3", configuration=1)
    host.plug(other)
    host.plug(phone)

    await arrivals.first()

    assert arrivals.log == ["+1-2 (05ac:12a8)"]
    assert other.calls == []
    assert other.open_count == 0


@pytest.mark.asyncio
async def test_started_two_phones_do_not_disturb_each_other(host: UsbfsHost, arrivals: Arrivals) -> None:
    phones = [
        UsbfsDevice(DeviceKind(phone_configurations(), serial_number=letter * 40), name=f"1-{port}")
        for port, letter in enumerate("ab", start=1)
    ]
    for phone in phones:
        host.plug(phone)
    await until(lambda: len(arrivals.present) == 2)
    pipes = [await candidate.open() for candidate in arrivals.present]
    received = [Received(), Received()]
    for pipe, receiver in zip(pipes, received, strict=True):
        pipe.start(receiver)

    host.unplug(phones[0])
    phones[1].send(b"still here")

    await until(lambda: received[1].data == b"still here" and bool(received[0].losses))
    assert received[1].losses == []
    assert [pipe.info.serial_number for pipe in pipes] == ["a" * 40, "b" * 40]
    for pipe in pipes:
        await pipe.close()


@pytest.mark.asyncio
async def test_started_start_again_is_refused(host: UsbfsHost) -> None:
    bus = LibusbBus()
    await bus.start(Arrivals())

    with pytest.raises(LocalProtocolError):
        await bus.start(Arrivals())

    await bus.close()


@pytest.mark.asyncio
async def test_bus_that_cannot_be_listed_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_USBFS_SOCKET", "/nowhere")

    with pytest.raises(UsbError, match="list the USB bus"):
        await LibusbBus().start(Arrivals())
