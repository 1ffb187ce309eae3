"""Comings and goings of a device at a usbredir session."""

import pytest

from tests.testing.usbredir_guest import ALL, GET_DESCRIPTOR, Cable, configured, plugged
from usbmux.testing import UsbDeviceOptions
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT
from usbmux.testing.usbredir_packet import Capability, PacketType
from usbmux.testing.usbredir_payload import Status
from usbmux.testing.usbredir_session import SessionState


def test_waiting_hello_nothing_plugged_in_nothing_is_told() -> None:
    cable = Cable(is_wanted=False)
    cable.send(cable.guest.hello())
    assert cable.quiet()
    cable.send(cable.guest.control(1, *GET_DESCRIPTOR, 0x0100, length=18))
    assert cable.quiet()
    cable.session.plug()
    cable.guest.take_arrival()


def test_configured_rejected_by_the_filter_it_is_unplugged_until_plugged_again() -> None:
    cable = configured()
    cable.send_packet(PacketType.FILTER_REJECT)
    assert cable.quiet()
    assert cable.session.state is SessionState.UNPLUGGED
    assert cable.function.log == ["connected", "disconnected"]
    cable.session.plug()
    cable.guest.take_arrival()


def test_configured_unplugged_is_told_and_comes_back_once_acknowledged() -> None:
    cable = configured()
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512))

    cable.session.unplug()

    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    assert cable.function.log == ["connected", "disconnected"]
    cable.send(cable.guest.bulk(9, ENDPOINT_OUT, b"too late"))
    cable.session.plug()
    assert cable.quiet()
    cable.send_packet(PacketType.DEVICE_DISCONNECT_ACK)
    cable.guest.take_arrival()
    assert cable.function.transfers == []
    cable.send_packet(PacketType.GET_CONFIGURATION, 7)
    assert cable.guest.take(PacketType.CONFIGURATION_STATUS)[0].payload == b"\x00\x00"


def test_configured_unplugged_guest_that_cannot_acknowledge_is_told_of_the_next_at_once() -> None:
    cable = configured(ALL & ~Capability.DEVICE_DISCONNECT_ACK)
    cable.session.unplug()
    cable.session.plug()
    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    cable.guest.take_arrival()


def test_configured_closed_the_phone_is_free_again() -> None:
    cable = configured()
    cable.session.close()
    cable.session.close()
    assert cable.function.log == ["connected", "disconnected"]
    assert not cable.device.is_attached


@pytest.mark.parametrize(
    ("count", "taken", "answered"),
    [(0, [], 0), (100, [], 0), (1000, [bytes(512)], 0), (1300, [bytes(1300)], 1), (1400, [bytes(1300)], 1)],
)
def test_configured_unplug_in_the_middle_of_a_write(count: int, taken: list[bytes], answered: int) -> None:
    cable = configured()
    cable.session.bytes_to_unplug = count
    cable.send(cable.guest.bulk(8, ENDPOINT_OUT, bytes(1300)), cable.guest.bulk(9, ENDPOINT_OUT, bytes(1300)))
    assert cable.function.transfers == taken
    for _ in range(answered):
        assert cable.guest.take_bulk()[0] == 8
    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    assert cable.quiet()
    assert not cable.session.is_wanted


def test_configured_unplug_in_the_middle_of_a_read() -> None:
    cable = configured()
    cable.device.send(bytes(2000))
    cable.session.bytes_to_unplug = 700
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512), cable.guest.bulk(9, ENDPOINT_IN, 512))
    assert cable.guest.take_bulk()[1].length == 512
    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    assert cable.quiet()


def test_configured_mode_switch_answers_then_leaves_and_comes_back() -> None:
    cable = configured()
    cable.send(cable.guest.control(8, 0xC0, 0x52, 0, 3, 1))
    assert cable.guest.take_control()[1].data == b"\0"
    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    cable.send_packet(PacketType.DEVICE_DISCONNECT_ACK)
    cable.guest.take_arrival()
    cable.send(cable.guest.control(9, *GET_DESCRIPTOR, 0x0100, length=18))
    assert cable.guest.take_control()[1].data[17] == 5


def test_plugged_slow_request_cancelled_or_unplugged_is_not_answered_later() -> None:
    cable = plugged(options=UsbDeviceOptions(control_delay_s=2.5))
    cable.send(cable.guest.control(8, *GET_DESCRIPTOR, 0x0100, length=18))
    cable.send_packet(PacketType.CANCEL_DATA_PACKET, 8)
    packet_id, answer = cable.guest.take_control()
    assert (packet_id, answer.status, answer.length) == (8, Status.CANCELLED, 0)
    cable.send(cable.guest.control(9, *GET_DESCRIPTOR, 0x0100, length=18))
    cable.session.unplug()
    cable.guest.take(PacketType.DEVICE_DISCONNECT)
    for _, call in cable.timers:
        call()
    assert cable.quiet()
