"""Control requests as values, and the answers to those that every USB device knows."""

import struct
from enum import IntEnum
from typing import Final, Protocol

from usbmux.testing.usb_descriptors import DeviceKind, InterfaceKind
from usbmux.values import frozen

_SETUP: Final = struct.Struct("<BBHHH")
_ENDPOINT_HALT: Final = 0
_FUNCTION_SUSPEND: Final = 0
_U1_ENABLE: Final = 48
_U2_ENABLE: Final = 49
_SELF_POWERED: Final = b"\x01\x00"


class RequestType(IntEnum):
    """bmRequestType: direction, kind, recipient."""

    TO_DEVICE = 0x00
    TO_INTERFACE = 0x01
    TO_ENDPOINT = 0x02
    FROM_DEVICE = 0x80
    FROM_INTERFACE = 0x81
    FROM_ENDPOINT = 0x82
    VENDOR_FROM_DEVICE = 0xC0


class Request(IntEnum):
    """bRequest of the standard requests."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    SET_FEATURE = 3
    GET_DESCRIPTOR = 6
    GET_CONFIGURATION = 8
    SET_CONFIGURATION = 9
    GET_INTERFACE = 10
    SET_INTERFACE = 11
    SET_SEL = 48
    SET_ISOCH_DELAY = 49


@frozen
class SetupPacket:
    """The first eight bytes of a control transfer."""

    request_type: int
    request: int
    value: int = 0
    index: int = 0
    length: int = 0

    @classmethod
    def decode(cls, data: bytes) -> "SetupPacket":
        """Read the eight bytes."""
        return cls(*_SETUP.unpack(data))


@frozen
class ActiveInterface:
    """An interface of the configuration in force."""

    number: int
    alternate: int
    kind: InterfaceKind


class StandardDevice(Protocol):
    """What the standard requests ask of a device."""

    @property
    def kind(self) -> DeviceKind:
        """What it is now."""

    @property
    def configuration(self) -> int:
        """The bConfigurationValue in force; 0 for none."""

    @property
    def interfaces(self) -> tuple[ActiveInterface, ...]:
        """The interfaces of the configuration in force, in the order of their numbers."""

    def set_configuration(self, value: int) -> bool:
        """Choose a configuration; False where there is none of that value."""

    def set_interface(self, number: int, alternate: int) -> bool:
        """Choose an alternate setting; False where there is none."""

    def is_halted(self, address: int) -> bool | None:
        """Whether an endpoint is halted; None where there is no such endpoint."""

    def halt(self, address: int) -> None:
        """Halt an endpoint that is there."""

    def clear_halt(self, address: int) -> None:
        """Clear the halt of an endpoint that is there."""


def answer_standard(device: StandardDevice, setup: SetupPacket) -> bytes | None:
    """Carry out a standard request: the whole answer, or None where a device stalls."""
    match setup.request_type, setup.request:
        case RequestType.FROM_DEVICE, Request.GET_DESCRIPTOR:
            return device.kind.descriptor(setup.value)
        case RequestType.FROM_DEVICE, Request.GET_CONFIGURATION:
            return bytes((device.configuration,))
        case RequestType.TO_DEVICE, Request.SET_CONFIGURATION:
            return b"" if device.set_configuration(setup.value) else None
        case RequestType.FROM_INTERFACE, Request.GET_INTERFACE:
            interface = _interface(device, setup.index)
            return None if interface is None else bytes((interface.alternate,))
        case RequestType.TO_INTERFACE, Request.SET_INTERFACE:
            return b"" if device.set_interface(setup.index, setup.value) else None
        case _, Request.GET_STATUS:
            return _status(device, setup)
        case _, Request.CLEAR_FEATURE | Request.SET_FEATURE:
            return _change_feature(device, setup)
        case RequestType.TO_DEVICE, Request.SET_SEL | Request.SET_ISOCH_DELAY:
            return b""
        case _:
            return None


def _interface(device: StandardDevice, number: int) -> ActiveInterface | None:
    interfaces = device.interfaces
    return interfaces[number] if number < len(interfaces) else None


def _status(device: StandardDevice, setup: SetupPacket) -> bytes | None:
    match setup.request_type:
        case RequestType.FROM_DEVICE:
            return _SELF_POWERED
        case RequestType.FROM_INTERFACE:
            return None if _interface(device, setup.index) is None else bytes(2)
        case RequestType.FROM_ENDPOINT:
            is_halted = device.is_halted(setup.index)
            return None if is_halted is None else bytes((is_halted, 0))
        case _:
            return None


def _change_feature(device: StandardDevice, setup: SetupPacket) -> bytes | None:
    match setup.request_type:
        case RequestType.TO_DEVICE:
            is_known = setup.value in (_U1_ENABLE, _U2_ENABLE)
        case RequestType.TO_INTERFACE:
            is_known = setup.value == _FUNCTION_SUSPEND and _interface(device, setup.index & 0xFF) is not None
        case RequestType.TO_ENDPOINT:
            is_known = setup.value == _ENDPOINT_HALT and device.is_halted(setup.index) is not None
            if is_known and setup.request == Request.SET_FEATURE:
                device.halt(setup.index)
            elif is_known:
                device.clear_halt(setup.index)
        case _:
            is_known = False
    return b"" if is_known else None
