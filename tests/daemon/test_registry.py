from __future__ import annotations

from typing import cast

import pytest

from usbmux.control.message import (
    Attached,
    ClientIdentity,
    Detached,
    ListenerList,
    ListenerRecord,
    Notification,
    Paired,
)
from usbmux.control.plist_codec import encode
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.policy import WHOLE_VIEW, Permission, View
from usbmux.daemon.registry import MAX_LISTED, DeviceRegistry
from usbmux.usb.pipe import UsbDeviceInfo

UDID = "00008030-001A2B3C4D5E6F01"


class PipelessLink:
    """As much of a `DeviceLink` as the registry looks at."""

    def __init__(self, serial_number: str = UDID) -> None:
        self.info = UsbDeviceInfo(serial_number, 0x12A8, 0x10002, 480_000_000, "1-2")


class Listener:
    def __init__(
        self, number: int, registry: DeviceRegistry, *, leaves_at_once: bool = False, view: View = WHOLE_VIEW
    ) -> None:
        self.number = number
        self.view = view
        self.identity = ClientIdentity(program=f"program{number}")
        self.heard: list[Notification] = []
        self._registry = registry
        self._leaves_at_once = leaves_at_once

    def notify(self, message: Notification) -> None:
        self.heard.append(message)
        if self._leaves_at_once:
            self._registry.unsubscribe(self)


def link(serial_number: str = UDID) -> DeviceLink:
    return cast(DeviceLink, PipelessLink(serial_number))


def test_empty_has_nothing() -> None:
    registry = DeviceRegistry()
    assert registry.records() == ()
    assert registry.link(0) is registry.link(1) is None
    assert registry.listeners() == ()


def test_attached_phone_is_described_and_found() -> None:
    registry = DeviceRegistry()
    phone = link()
    record = registry.attach(phone)
    assert (record.device_id, record.serial_number, record.product_id) == (1, UDID, 0x12A8)
    assert (record.location_id, record.connection_speed, record.connection_type) == (0x10002, 480_000_000, "USB")
    assert registry.records() == (record,)
    assert [(device.record, device.link) for device in registry] == [(record, phone)]
    assert registry.link(1) is phone


def test_detached_phone_comes_again_it_has_a_new_id() -> None:
    registry = DeviceRegistry()
    for device_id in (1, 2, 3):
        assert registry.attach(link()).device_id == device_id
        registry.detach(device_id)
    assert registry.link(3) is None


def test_listener_hears_everything_in_order_until_it_leaves() -> None:
    registry = DeviceRegistry()
    listener = Listener(7, registry)
    registry.subscribe(listener)
    record = registry.attach(link())
    registry.paired(1, UDID)
    registry.detach(1)
    registry.unsubscribe(listener)
    registry.unsubscribe(listener)
    registry.attach(link())
    assert listener.heard == [Attached(record), Paired(1), Detached(1)]


def test_listener_leaves_while_it_is_told_the_others_hear_all_the_same() -> None:
    registry = DeviceRegistry()
    listeners = [Listener(1, registry, leaves_at_once=True), Listener(2, registry)]
    for listener in listeners:
        registry.subscribe(listener)
    registry.attach(link())
    registry.detach(1)
    assert [len(listener.heard) for listener in listeners] == [1, 2]


def test_paired_with_another_serial_or_no_such_id_nobody_hears() -> None:
    registry = DeviceRegistry()
    listener = Listener(1, registry)
    registry.attach(link())
    registry.subscribe(listener)
    registry.paired(1, "another")
    registry.paired(2, UDID)
    registry.paired(None, UDID)
    assert listener.heard == []


def test_listeners_are_named_by_their_own_number_and_program() -> None:
    registry = DeviceRegistry()
    for number in (3, 8):
        registry.subscribe(Listener(number, registry))
    assert registry.listeners() == (
        ListenerRecord("3-program3", ClientIdentity(program="program3")),
        ListenerRecord("8-program8", ClientIdentity(program="program8")),
    )


@pytest.mark.parametrize("name", ["p" * 255, "&" * 255, "<" * 255, "\U0001f4f1" * 255])
def test_listeners_say_all_they_can_their_list_stays_below_128_kib(name: str) -> None:
    registry = DeviceRegistry()
    for number in range(1, MAX_LISTED + 2):
        listener = Listener(number, registry)
        listener.identity = ClientIdentity(program=name, bundle_id=name, library_version=2**32, connection_type=2**32)
        registry.subscribe(listener)
    listed = registry.listeners()
    assert [record.id_string for record in listed] == [f"{number}-{name}" for number in range(1, len(listed) + 1)]
    assert 100 * 1024 < len(encode(ListenerList(listed))) < 128 * 1024 - 16


OTHER_UDID = "00008101-000E4D4E3CD2001E"
ONLY_OTHER = View((Permission(udids=(OTHER_UDID,)),))


def test_phone_hidden_is_not_there_for_who_may_not_see_it() -> None:
    registry = DeviceRegistry()
    registry.attach(link())
    other = registry.attach(link(OTHER_UDID))
    assert registry.records(ONLY_OTHER) == (other,)
    assert registry.link(1, ONLY_OTHER) is None
    assert registry.link(2, ONLY_OTHER) is registry.link(2) is not None


def test_phone_hidden_listener_hears_nothing_of_it() -> None:
    registry = DeviceRegistry()
    listener = Listener(1, registry, view=ONLY_OTHER)
    registry.subscribe(listener)
    registry.attach(link())
    other = registry.attach(link(OTHER_UDID))
    registry.paired(1, UDID)
    registry.paired(2, OTHER_UDID)
    registry.detach(1)
    registry.detach(2)
    assert listener.heard == [Attached(other), Paired(2), Detached(2)]


def test_listeners_are_shown_to_their_like_and_to_who_sees_everything() -> None:
    registry = DeviceRegistry()
    registry.subscribe(Listener(1, registry))
    registry.subscribe(Listener(2, registry, view=ONLY_OTHER))
    assert [listener.identity.program for listener in registry.listeners()] == ["program1", "program2"]
    assert [listener.identity.program for listener in registry.listeners(ONLY_OTHER)] == ["program2"]
