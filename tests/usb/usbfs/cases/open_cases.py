"""Opening a phone over the real libusb: configuration, claim, identity. Run by tests/usb/test_on_usbfs.py."""

import asyncio
import errno
import threading

import pytest

from tests.contract.bus_subjects import turns
from tests.usb.usbfs.device import Call, UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, until
from usbmux.errors import UsbAccessError, UsbDisconnectedError, UsbError, UsbTimeoutError
from usbmux.testing.usb_descriptors import DeviceKind, InterfaceKind
from usbmux.testing.usb_phone import MUX, phone_configurations
from usbmux.usb._usb1 import Context
from usbmux.usb.binding import open_context
from usbmux.usb.pipe import BulkPipe, UsbDeviceInfo


async def opened(host: UsbfsHost, device: UsbfsDevice, arrivals: Arrivals) -> BulkPipe:
    host.plug(device)
    return await (await arrivals.first()).open()


def set_configurations(device: UsbfsDevice) -> list[int]:
    return [argument for call, argument in device.calls if call is Call.SET_CONFIGURATION]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["1-2", "1-2.4.1"])
async def test_phone_opened_says_who_it_is(name: str, host: UsbfsHost, arrivals: Arrivals) -> None:
    hub = UsbfsDevice(DeviceKind({1: ()}, vendor_id=0x1D6B, serial_number=""), name="1-2")
    inner_hub = UsbfsDevice(DeviceKind({1: ()}, vendor_id=0x1D6B, serial_number=""), name="1-2.4")
    if name != "1-2":
        host.plug(hub)
        host.plug(inner_hub)
    phone = UsbfsDevice(DeviceKind(phone_configurations()), name=name, speed=5000)

    pipe = await opened(host, phone, arrivals)

    assert pipe.info == UsbDeviceInfo(
        serial_number="00008030-001A2B3C4D5E6F70",
        product_id=0x12A8,
        location_id=1 << 16 | phone.address,
        connection_speed=5_000_000_000,
        port_path=name,
    )
    await pipe.close()


@pytest.mark.asyncio
async def test_phone_configured_already_is_left_in_its_configuration(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    phone.configuration = 3
    phone.drivers = {0: "ptp"}

    pipe = await opened(host, phone, arrivals)

    assert set_configurations(phone) == []
    assert phone.drivers == {0: "ptp"}
    assert phone.claimed == {1}
    await pipe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("configuration", [0, 1])
async def test_phone_in_other_configuration_gets_the_highest_with_a_mux(
    configuration: int, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    phone.configuration = configuration
    if configuration:
        phone.drivers = {0: "ptp"}

    pipe = await opened(host, phone, arrivals)

    assert set_configurations(phone) == [4]
    assert phone.drivers == {}
    assert phone.claimed == {1}
    await pipe.close()


@pytest.mark.asyncio
async def test_phone_in_other_configuration_busy_for_a_while_is_tried_again(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    phone.configuration = 0
    phone.fail(Call.SET_CONFIGURATION, errno.EBUSY, errno.EBUSY)

    pipe = await opened(host, phone, arrivals)

    assert set_configurations(phone) == [4, 4, 4]
    await pipe.close()


@pytest.mark.asyncio
async def test_phone_whose_configuration_is_overruled_is_set_again(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    phone.configuration = 0

    def overrule() -> None:
        phone.after_set_configuration = None
        phone.configuration = 1

    phone.after_set_configuration = overrule

    pipe = await opened(host, phone, arrivals)

    assert set_configurations(phone) == [4, 4]
    assert phone.configuration == 4
    await pipe.close()


@pytest.mark.asyncio
async def test_phone_whose_configuration_is_overruled_after_the_claim_is_set_again(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    def overrule(is_claimed: bool) -> None:
        phone.on_claimed = lambda _is_claimed: None
        phone.configuration = 1
        host.configured(phone)

    phone.on_claimed = overrule

    pipe = await opened(host, phone, arrivals)

    assert set_configurations(phone) == [4]
    assert phone.claimed == {1}
    await pipe.close()


@pytest.mark.asyncio
async def test_phone_claimed_by_another_process_open_fails_and_names_it(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.usb.configuration._RETRY_FOR_S", 0.2)
    phone.drivers = {1: "usbfs"}

    with pytest.raises(UsbAccessError, match="another usbmuxd"):
        await opened(host, phone, arrivals)

    await until(lambda: phone.open_count == 0)
    assert phone.drivers == {1: "usbfs"}


@pytest.mark.asyncio
async def test_t2_stays_in_its_first_configuration(host: UsbfsHost, arrivals: Arrivals) -> None:
    mux = InterfaceKind(MUX, (0x04, 0x85))
    chip = UsbfsDevice(DeviceKind({1: (mux,), 2: (mux,)}, product_id=0x8600), configuration=1)

    pipe = await opened(host, chip, arrivals)

    assert set_configurations(chip) == []
    await pipe.close()


@pytest.mark.asyncio
async def test_node_without_permission_open_names_the_udev_rule(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    host.plug(phone)
    host.fail_open(phone, errno.EACCES)
    candidate = await arrivals.first()

    with pytest.raises(UsbAccessError, match="udev rule"):
        await candidate.open()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [errno.EPERM, errno.EMFILE])
async def test_node_that_the_system_does_not_open_says_what_may_be_why(
    error: int, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    host.plug(phone)
    host.fail_open(phone, error)
    candidate = await arrivals.first()

    with pytest.raises(UsbError, match=r"device cgroup .* descriptor"):
        await candidate.open()


@pytest.mark.asyncio
async def test_phone_on_the_bus_without_a_node_open_does_not_call_it_gone(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    host.plug(phone)
    host.fail_open(phone, errno.ENOENT)
    candidate = await arrivals.first()

    with pytest.raises(UsbError, match="no device node") as raised:
        await candidate.open()

    assert not isinstance(raised.value, UsbDisconnectedError)
    host.fail_open(phone, 0)
    await (await candidate.open()).close()


@pytest.mark.asyncio
async def test_phone_gone_open_fails(host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals) -> None:
    host.plug(phone)
    candidate = await arrivals.first()
    host.unplug(phone)
    await until(lambda: not arrivals.present)

    with pytest.raises(UsbDisconnectedError):
        await candidate.open()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind",
    [
        DeviceKind(phone_configurations(), serial_number=""),
        DeviceKind(phone_configurations(), serial_number="../../etc/passw\u00f6rd"),
        DeviceKind(phone_configurations(), serial_number="a" * 65),
        DeviceKind(phone_configurations(), strings={3: b"\x08\x02aaaa"}),
        DeviceKind(phone_configurations(), strings={3: b""}),
    ],
    ids=["none", "not ASCII", "too long", "another descriptor", "nothing"],
)
async def test_phone_with_unusable_serial_number_is_refused(
    kind: DeviceKind, host: UsbfsHost, arrivals: Arrivals
) -> None:
    phone = UsbfsDevice(kind)

    with pytest.raises(UsbError, match="serial number"):
        await opened(host, phone, arrivals)

    await until(lambda: phone.open_count == 0)


@pytest.mark.asyncio
async def test_phone_that_never_answers_open_ends_in_time(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.usb.session._CONTROL_TIMEOUT_S", 0.05)
    phone.silent_control = True

    with pytest.raises(UsbTimeoutError):
        await opened(host, phone, arrivals)

    await until(lambda: phone.open_count == 0)


@pytest.mark.asyncio
async def test_phone_that_never_answers_cancelled_open_leaves_nothing(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    phone.silent_control = True
    host.plug(phone)
    opening = asyncio.ensure_future((await arrivals.first()).open())
    await until(lambda: phone.open_count == 1)

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    await until(lambda: phone.open_count == 0)


@pytest.mark.asyncio
async def test_listing_takes_long_cancelled_twice_leaves_nothing(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_list = threading.Event()

    def open_context_late() -> Context:
        may_list.wait()
        return open_context()

    monkeypatch.setattr("usbmux.usb.session.open_context", open_context_late)
    host.plug(phone)
    opening = asyncio.ensure_future((await arrivals.first()).open())
    for _ in range(2):
        await turns()
        opening.cancel()
    await turns()
    assert not opening.done()
    may_list.set()

    with pytest.raises(asyncio.CancelledError):
        await opening

    await until(lambda: may_list.is_set() and not any("usbmux 1-2" in each.name for each in threading.enumerate()))
    assert phone.open_count == 0
