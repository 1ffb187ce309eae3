from __future__ import annotations

import pytest

from usbmux.client import operations
from usbmux.client.device import Device
from usbmux.client.operations import select_device
from usbmux.control.message import Connect, DeviceList, DeviceRecord, ListDevices, Result
from usbmux.errors import AmbiguousDeviceError, DeviceNotFoundError, PortRefusedError, RemoteProtocolError

RED = Device(1, "00008030-00AB")
BLUE = Device(2, "00008030-00CD")
LONG_BLUE = Device(3, "00008030-00CDEF")
RED_BY_NETWORK = Device(4, RED.udid, connection_type="Network")


@pytest.mark.parametrize("text", ["00008030-00AB", "00008030-00ab", "0000803000AB", "0000-8030-00a"])
def test_select_udid_in_any_spelling_finds_it(text: str) -> None:
    assert select_device([BLUE, RED], text) == RED


def test_select_udid_that_begins_another_one_prefers_the_whole() -> None:
    assert select_device([LONG_BLUE, BLUE], BLUE.udid) == BLUE


def test_select_prefix_of_two_is_ambiguous() -> None:
    with pytest.raises(AmbiguousDeviceError, match="'00008030-00c': 00008030-00CD, 00008030-00CDEF"):
        select_device([LONG_BLUE, RED, BLUE], "00008030-00c")


@pytest.mark.parametrize("udid", [None, RED.udid])
@pytest.mark.parametrize("devices", [[RED, RED_BY_NETWORK], [RED_BY_NETWORK, RED]])
def test_select_phone_attached_twice_prefers_usb(devices: list[Device], udid: str | None) -> None:
    assert select_device(devices, udid) == RED


@pytest.mark.parametrize("udid", ["", "-"])
def test_select_empty_udid_finds_nothing(udid: str) -> None:
    with pytest.raises(DeviceNotFoundError):
        select_device([RED], udid)


def test_errors_are_the_builtins_that_callers_catch() -> None:
    with pytest.raises(LookupError):
        select_device([], None)
    operation = operations.connect(1, 22)
    assert next(operation) == Connect(1, 22)
    with pytest.raises(ConnectionRefusedError) as caught:
        operation.send(Result(3))
    assert isinstance(caught.value, PortRefusedError)
    assert caught.value.result == 3
    assert str(caught.value) == "device 1 refused the connection to port 22"


def test_connect_by_prefix_names_the_phone_in_the_error() -> None:
    operation = operations.connect("0000", 22)
    assert next(operation) == ListDevices()
    assert operation.send(DeviceList((DeviceRecord(1, RED.udid),))) == Connect(1, 22)
    with pytest.raises(DeviceNotFoundError, match=f"{RED.udid} is not attached"):
        operation.send(Result(2))


def test_devices_answered_with_something_else_breaks_the_protocol() -> None:
    operation = operations.list_devices()
    next(operation)
    with pytest.raises(RemoteProtocolError, match="ListDevices was answered with Result"):
        operation.send(Result(0))
