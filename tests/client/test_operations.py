from __future__ import annotations

import pytest

from usbmux.client import operations
from usbmux.control.message import Connect, DeviceList, DeviceRecord, ListDevices, Result
from usbmux.errors import DeviceNotFoundError, PortRefusedError, RemoteProtocolError

RED = DeviceRecord(1, "00008030-00AB", port_path="1-2")
BLUE = DeviceRecord(2, "00008030-00CD", port_path="1-3")


def test_errors_are_the_builtins_that_callers_catch() -> None:
    operation = operations.connect(1, 22)
    assert next(operation) == Connect(1, 22)
    with pytest.raises(ConnectionRefusedError) as caught:
        operation.send(Result(3))
    assert isinstance(caught.value, PortRefusedError)
    assert caught.value.result == 3
    assert str(caught.value) == "device 1 refused the connection to port 22"


@pytest.mark.parametrize("wanted", ["0000803000A", "1-2"])
def test_connect_by_prefix_or_port_names_the_phone_in_the_error(wanted: str) -> None:
    operation = operations.connect(wanted, 22)
    assert next(operation) == ListDevices()
    assert operation.send(DeviceList((BLUE, RED))) == Connect(1, 22)
    with pytest.raises(DeviceNotFoundError, match=f"{RED.serial_number} is not attached"):
        operation.send(Result(2))


def test_devices_answered_with_something_else_breaks_the_protocol() -> None:
    operation = operations.list_devices()
    next(operation)
    with pytest.raises(RemoteProtocolError, match="ListDevices was answered with Result"):
        operation.send(Result(0))
