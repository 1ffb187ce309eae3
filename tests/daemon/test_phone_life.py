from __future__ import annotations

import itertools

import pytest

from usbmux.admin.message import PhoneState, PhoneStatus
from usbmux.daemon import phone_life
from usbmux.daemon.phone_life import PhoneLife
from usbmux.usb.pipe import UsbDeviceInfo

INFO = UsbDeviceInfo("00008030-001A2B3C4D5E6F01", 0x12A8, 1, 480_000_000, "1-2")
KNOWN = {"udid": INFO.serial_number, "product_id": 0x12A8, "connection_speed": 480_000_000}


def known(state: PhoneState, **more: object) -> PhoneStatus:
    return PhoneStatus(state, "1-2", **{**KNOWN, **more})  # type: ignore[arg-type]  # fields by name


def test_plugged_in_is_being_opened_and_unknown() -> None:
    assert PhoneLife("1-2").status(5.0) == PhoneStatus(PhoneState.OPENING, "1-2")


def test_whole_life_status_says_what_is_known_at_each_turn() -> None:
    life = PhoneLife("1-2")
    life.opened(INFO)
    assert life.status(0) == known(PhoneState.OPENING)
    life.attached(3, 2)
    assert life.status(0) == known(PhoneState.ATTACHED, device_id=3, attach_count=2)
    life.closing()
    assert life.status(0) == known(PhoneState.CLOSING, attach_count=2)
    life.quarantined("it broke", 10.5)
    assert life.status(8) == known(PhoneState.QUARANTINED, attach_count=2, last_error="it broke", next_try_s=2.5)
    assert life.status(11) == known(PhoneState.QUARANTINED, attach_count=2, last_error="it broke", next_try_s=0.0)
    life.opening()
    assert life.status(12) == known(PhoneState.OPENING, attach_count=2, last_error="it broke")
    life.attached(4, 3)
    assert life.status(12) == known(PhoneState.ATTACHED, device_id=4, attach_count=3, last_error="it broke")


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PhoneState, PhoneState)))
def test_any_state_every_other_is_reached_by_an_edge_or_not_at_all(before: PhoneState, after: PhoneState) -> None:
    life = PhoneLife("1-2")
    life._state = before
    if (before, after) in phone_life._EDGES:
        life._set_state(after)
        assert life.status(0).state is after
    else:
        with pytest.raises(AssertionError):
            life._set_state(after)
