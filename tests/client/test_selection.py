from __future__ import annotations

import pytest

from usbmux.client.device import Device
from usbmux.client.selection import select_device
from usbmux.errors import AmbiguousDeviceError, DeviceNotFoundError

RED = Device(1, "00008030-00AB", port_path="1-2")
BLUE = Device(2, "00008030-00CD", port_path="1-2.3")
LONG_BLUE = Device(3, "00008030-00CDEF", port_path="2-1")
RED_BY_NETWORK = Device(4, RED.udid, connection_type="Network")
NAMELESS = Device(5, "12AB")
"""Of a daemon that does not name ports."""


def test_one_phone_and_none_wanted_is_that_one() -> None:
    assert select_device([RED], None) == RED


@pytest.mark.parametrize("text", ["00008030-00AB", "00008030-00ab", "0000803000AB", "0000-8030-00a"])
def test_udid_in_any_spelling_finds_it(text: str) -> None:
    assert select_device([BLUE, RED], text) == RED


def test_udid_that_begins_another_one_prefers_the_whole() -> None:
    assert select_device([LONG_BLUE, BLUE], BLUE.udid) == BLUE


def test_beginning_of_two_is_ambiguous_and_names_them_with_their_ports() -> None:
    with pytest.raises(AmbiguousDeviceError) as caught:
        select_device([LONG_BLUE, RED, BLUE], "00008030-00c")
    assert str(caught.value) == (
        "several phones have a UDID that begins with '00008030-00c': 00008030-00CD at 1-2.3, 00008030-00CDEF at 2-1"
    )


def test_several_and_none_wanted_is_ambiguous_and_names_them_once_each() -> None:
    with pytest.raises(AmbiguousDeviceError, match=r"attached: 00008030-00AB at 1-2, 12AB$"):
        select_device([NAMELESS, RED_BY_NETWORK, RED], None)


@pytest.mark.parametrize("wanted", [None, RED.udid])
@pytest.mark.parametrize("devices", [[RED, RED_BY_NETWORK], [RED_BY_NETWORK, RED]])
def test_phone_attached_twice_prefers_usb(devices: list[Device], wanted: str | None) -> None:
    assert select_device(devices, wanted) == RED


def test_port_finds_the_phone_that_is_there_and_none_further_down_the_hub() -> None:
    assert select_device([BLUE, RED], "1-2") == RED
    assert select_device([RED, BLUE], "1-2.3") == BLUE


def test_port_that_spells_a_udid_is_that_udid() -> None:
    named_like_a_port = Device(6, "1-2", port_path="1-9")
    assert select_device([RED, named_like_a_port], "1-2") == named_like_a_port


def test_port_where_nobody_is_chooses_nobody_even_if_it_begins_a_udid() -> None:
    with pytest.raises(DeviceNotFoundError, match=r"^no phone is at port 1-2, only 00008030-00CD at 1-2.3, 12AB$"):
        select_device([NAMELESS, BLUE], "1-2")


def test_port_of_a_daemon_that_names_none_says_so() -> None:
    with pytest.raises(DeviceNotFoundError, match="this daemon does not name ports, only 12AB"):
        select_device([NAMELESS], "1-2")


def test_port_with_two_phones_is_ambiguous() -> None:
    """Where the system does not tell the ports, all are at 1-0."""
    devices = [Device(number, f"{number}", port_path="1-0") for number in (1, 2)]
    with pytest.raises(AmbiguousDeviceError, match="several phones are at port 1-0: 1 at 1-0, 2 at 1-0"):
        select_device(devices, "1-0")


@pytest.mark.parametrize("wanted", ["", "-"])
def test_empty_text_finds_nothing(wanted: str) -> None:
    with pytest.raises(DeviceNotFoundError):
        select_device([RED], wanted)


@pytest.mark.parametrize("wanted", [None, "00", "1-2"])
def test_no_phone_is_a_lookup_error(wanted: str | None) -> None:
    with pytest.raises(LookupError, match="no phone is attached"):
        select_device([], wanted)
