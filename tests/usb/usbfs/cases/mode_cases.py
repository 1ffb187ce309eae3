"""Phones in another mode than is wanted, over the real libusb. Run by tests/usb/test_on_usbfs.py."""

import asyncio
import errno
import threading

import pytest

from tests.usb.usbfs.device import UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, until
from usbmux.errors import UsbDisconnectedError
from usbmux.testing.usb_descriptors import DeviceKind, InterfaceKind
from usbmux.testing.usb_phone import MUX, PICTURES
from usbmux.usb._usb1 import Context
from usbmux.usb.libusb import LibusbBus
from usbmux.usb.session import UsbSession


def phone_in_mode_5(serial_number: str = "a" * 40) -> UsbfsDevice:
    kind = DeviceKind({1: (InterfaceKind(PICTURES, (0x02, 0x81)),)}, serial_number=serial_number)
    phone = UsbfsDevice(kind, configuration=1)
    phone.vendor_answers = {0x45: b"\x05\x05\x05\x00", 0x52: b"\x00"}
    return phone


@pytest.mark.asyncio
async def test_phone_without_mux_is_switched_and_comes_back(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    hidden = phone_in_mode_5()
    host.plug(hidden)
    await until(lambda: (0x52, 1) in hidden.vendor_requests)
    assert arrivals.log == []

    host.unplug(hidden)
    host.plug(phone)

    await until(lambda: arrivals.log == ["+1-2 (05ac:12a8)"])


@pytest.mark.asyncio
async def test_phone_without_mux_that_comes_back_so_is_not_switched_again(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    hidden, again = phone_in_mode_5(), phone_in_mode_5()
    host.plug(hidden)
    await until(lambda: (0x52, 1) in hidden.vendor_requests)
    host.unplug(hidden)

    host.plug(again)
    host.plug(UsbfsDevice(phone.kind, name="1-3"))
    pipe = await (await arrivals.first()).open()

    assert pipe.info.port_path == "1-3"
    assert again.vendor_requests == []
    await pipe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "requests"),
    [({0x45: b"\x03", 0x52: b"\x00"}, [(0x45, 0), (0x52, 4)]), ({}, [(0x45, 0)])],
    ids=["answers with one byte", "knows no modes"],
)
async def test_phone_in_other_mode_than_wanted_is_asked_to_switch(
    answers: dict[int, bytes], requests: list[tuple[int, int]], host: UsbfsHost, phone: UsbfsDevice
) -> None:
    phone.vendor_answers = answers
    arrivals = Arrivals()
    bus = LibusbBus(mode=4)
    await bus.start(arrivals)
    host.plug(phone)
    candidate = await arrivals.first()

    if answers:
        with pytest.raises(UsbDisconnectedError, match="mode 4"):
            await candidate.open()
    pipe = await candidate.open()

    assert phone.vendor_requests == requests
    await pipe.close()
    await bus.close()


@pytest.mark.asyncio
async def test_other_phone_without_mux_at_the_port_of_one_that_came_back_so_is_switched(
    host: UsbfsHost, arrivals: Arrivals
) -> None:
    hidden, other = phone_in_mode_5(), phone_in_mode_5("b" * 40)
    host.plug(hidden)
    await until(lambda: (0x52, 1) in hidden.vendor_requests)
    host.unplug(hidden)

    host.plug(other)

    await until(lambda: (0x52, 1) in other.vendor_requests)


@pytest.mark.asyncio
async def test_phone_without_mux_that_never_answered_is_asked_when_it_comes_again(
    host: UsbfsHost, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.usb.session._CONTROL_TIMEOUT_S", 0.05)
    silent, again = phone_in_mode_5(), phone_in_mode_5()
    silent.silent_control = True
    host.plug(silent)
    await until(lambda: silent.open_count == 1)
    await until(lambda: silent.open_count == 0)
    host.unplug(silent)

    host.plug(again)

    await until(lambda: (0x52, 1) in again.vendor_requests)


@pytest.mark.asyncio
async def test_phone_in_other_mode_than_wanted_that_never_answers_is_used_as_it_is(
    host: UsbfsHost, phone: UsbfsDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.usb.session._CONTROL_TIMEOUT_S", 0.05)
    phone.silent_vendor = True
    arrivals = Arrivals()
    bus = LibusbBus(mode=4)
    await bus.start(arrivals)
    host.plug(phone)

    pipe = await (await arrivals.first()).open()

    assert phone.vendor_requests == [(0x45, 0)]
    await pipe.close()
    await bus.close()


@pytest.mark.asyncio
async def test_phone_without_mux_whose_node_becomes_ours_later_is_switched_then(
    host: UsbfsHost, arrivals: Arrivals, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.usb.libusb._QUIET_PAUSE_S", 0.4)
    hidden = phone_in_mode_5()
    host.plug(hidden)
    host.fail_open(hidden, errno.EACCES)
    await until(lambda: "shows no mux interface" in caplog.text)
    assert hidden.vendor_requests == []

    host.fail_open(hidden, 0)

    await until(lambda: (0x52, 1) in hidden.vendor_requests)
    assert caplog.text.count("shows no mux interface") == 1


@pytest.mark.asyncio
async def test_phone_without_mux_leaves_before_it_can_be_switched_it_is_not_looked_for_again(
    host: UsbfsHost, arrivals: Arrivals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    tasks = len(asyncio.all_tasks())
    hidden = phone_in_mode_5()
    host.plug(hidden)
    host.fail_open(hidden, errno.EACCES)
    await until(lambda: "shows no mux interface" in caplog.text)
    assert len(asyncio.all_tasks()) > tasks

    host.unplug(hidden)

    await until(lambda: len(asyncio.all_tasks()) == tasks)


@pytest.mark.asyncio
async def test_phone_without_mux_is_let_go_of_as_the_bus_closes_it_is_closed_before_the_bus_is(
    host: UsbfsHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_all, may_close = UsbSession._close_all, threading.Event()

    def close_all_late(session: UsbSession, context: Context) -> None:
        may_close.wait()
        close_all(session, context)

    monkeypatch.setattr(UsbSession, "_close_all", close_all_late)
    bus = LibusbBus()
    await bus.start(Arrivals())
    hidden = phone_in_mode_5()
    host.plug(hidden)
    await until(lambda: (0x52, 1) in hidden.vendor_requests)
    threading.Timer(0.05, may_close.set).start()

    await bus.close()

    assert may_close.is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize("product_id", [0x8600, 0x1905], ids=["T2", "Mac"])
async def test_device_that_is_no_phone_is_not_asked_for_the_mode_wanted(product_id: int, host: UsbfsHost) -> None:
    kind = DeviceKind({1: (InterfaceKind(MUX, (0x04, 0x85)),)}, product_id=product_id)
    device = UsbfsDevice(kind, configuration=1)
    device.vendor_answers = {0x45: b"\x03", 0x52: b"\x00"}
    arrivals = Arrivals()
    bus = LibusbBus(mode=4)
    await bus.start(arrivals)
    host.plug(device)

    pipe = await (await arrivals.first()).open()

    assert device.vendor_requests == []
    await pipe.close()
    await bus.close()
