"""Cases about Connect that end before a stream begins."""

import struct
from typing import Final

from usbmux.control.frame import MessageType
from usbmux.testing.conformance.answer import CLOSED, DEVICE_LIST, binary_result, either_result, result, then
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.exchange import exchange, sequence, with_echo, with_phone
from usbmux.testing.conformance.request import (
    ABSENT_DEVICE,
    LIST_DEVICES,
    binary,
    binary_connect,
    connect,
    plist,
    swapped,
    xml_dictionary,
)
from usbmux.testing.conformance.subject import Need

_CLOSED_PORT: Final = 54321
_NO_DEVICE: Final = "usbmuxd, rusbmux, usbfluxd (C26)"
_MALFORMED: Final = "no client sends it; servers differ in the number (C31)"
_REFUSED: Final = "clients tell it from an absent phone (C26)"
_BINARY: Final = "clients of version 0, libusbmuxd after a 6 (C9)"
_REUSE: Final = "pymobiledevice3, tidevice, appium go on (C3)"
_ORDER: Final = "every client (C11, C19)"
_BAD: Final = (result(2), result(1))
_PORT_22: Final = swapped(22)


def _bad_connect(name: str, stimulus: str, **keys: object) -> Case:
    return exchange(f"connect.{name}", f"Connect {stimulus}", plist("Connect", **keys), _BAD, _MALFORMED)


def _huge(number: int) -> bytes:
    keys = f"<key>DeviceID</key><integer>{number}</integer><key>PortNumber</key><integer>{_PORT_22}</integer>"
    return xml_dictionary("Connect", keys)


DEVICES: Final = (
    exchange(
        "connect.device-absent",
        "Connect to a phone that is not there",
        connect(ABSENT_DEVICE, 22),
        result(2),
        _NO_DEVICE,
    ),
    exchange("connect.device-0", "Connect to device 0", connect(0, 22), result(2), _NO_DEVICE),
    _bad_connect("device-missing", "without DeviceID", PortNumber=_PORT_22),
    _bad_connect("device-negative", "to device -1", DeviceID=-1, PortNumber=_PORT_22),
    _bad_connect("device-2-31", "to device 2^31", DeviceID=1 << 31, PortNumber=_PORT_22),
    _bad_connect("device-2-63", "to device 2^63", DeviceID=1 << 63, PortNumber=_PORT_22),
    exchange("connect.device-10-30", "Connect to device 10^30", _huge(10**30), (*_BAD, result(22), CLOSED), _MALFORMED),
    _bad_connect("device-not-a-number", "with text for DeviceID", DeviceID="one", PortNumber=_PORT_22),
    _bad_connect("device-a-boolean", "with a boolean for DeviceID", DeviceID=False, PortNumber=_PORT_22),
    _bad_connect("device-a-real", "with 0.5 for DeviceID", DeviceID=0.5, PortNumber=_PORT_22),
    _bad_connect("device-a-dictionary", "with a dictionary for DeviceID", DeviceID={}, PortNumber=_PORT_22),
)

PORTS: Final = (
    _bad_connect("port-missing", "without PortNumber", DeviceID=ABSENT_DEVICE),
    _bad_connect("nothing", "without a key"),
    _bad_connect("port-not-a-number", "with text for PortNumber", DeviceID=ABSENT_DEVICE, PortNumber="ssh"),
    _bad_connect("port-negative", "to port -1", DeviceID=ABSENT_DEVICE, PortNumber=-1),
    _bad_connect("port-2-16", "to port 2^16", DeviceID=ABSENT_DEVICE, PortNumber=1 << 16),
    _bad_connect("port-a-boolean", "with a boolean for PortNumber", DeviceID=ABSENT_DEVICE, PortNumber=True),
    _bad_connect("port-data", "with data for PortNumber", DeviceID=ABSENT_DEVICE, PortNumber=b"\x00\x16"),
    sequence(
        "connect.absent-then-request",
        "Connect to a phone that is not there, then ListDevices",
        [connect(ABSENT_DEVICE, 22), LIST_DEVICES],
        then(result(2), DEVICE_LIST),
        _REUSE,
    ),
)

BINARY: Final = (
    exchange(
        "connect.binary-device-absent",
        "Connect in binary to a phone that is not there",
        binary_connect(ABSENT_DEVICE, 22),
        binary_result(2),
        _BINARY,
    ),
    exchange(
        "connect.binary-device-0", "Connect in binary to device 0", binary_connect(0, 22), binary_result(2), _BINARY
    ),
    exchange(
        "connect.binary-longer",
        "Connect in binary, 8 bytes behind it",
        binary(MessageType.CONNECT, struct.pack("<I12x", ABSENT_DEVICE)),
        binary_result(2),
        "usbmuxd (C10)",
    ),
    *(
        exchange(
            f"connect.binary-{length}-bytes",
            f"Connect in binary of {length} bytes",
            binary(MessageType.CONNECT, struct.pack("<II", ABSENT_DEVICE, 0)[:length]),
            (binary_result(1), binary_result(2), CLOSED),
            _MALFORMED,
        )
        for length in (0, 3, 4, 6)
    ),
    exchange(
        "connect.binary-under-version-1",
        "Connect in binary under version 1 to a phone that is not there",
        binary(MessageType.CONNECT, struct.pack("<II", ABSENT_DEVICE, 0), version=1),
        either_result(2),
        "usbmuxd (C13)",
    ),
    sequence(
        "connect.binary-absent-then-request",
        "Connect in binary to a phone that is not there, then ListDevices",
        [binary_connect(ABSENT_DEVICE, 22), LIST_DEVICES],
        then(binary_result(2), DEVICE_LIST),
        _REUSE,
    ),
)

REFUSALS: Final = (
    with_phone(
        "connect.refused",
        f"Connect to port {_CLOSED_PORT}, where nobody listens",
        lambda conversation, phone: conversation.ask(connect(phone.device_id, _CLOSED_PORT)),
        result(3),
        _REFUSED,
    ),
    with_phone(
        "connect.binary-refused",
        f"Connect in binary to port {_CLOSED_PORT}",
        lambda conversation, phone: conversation.ask(binary_connect(phone.device_id, _CLOSED_PORT)),
        binary_result(3),
        _BINARY,
    ),
    with_phone(
        "connect.refused-then-request",
        f"Connect to port {_CLOSED_PORT}, then ListDevices",
        lambda conversation, phone: then(
            conversation.ask(connect(phone.device_id, _CLOSED_PORT)), conversation.ask(LIST_DEVICES)
        ),
        then(result(3), DEVICE_LIST),
        _REUSE,
    ),
    with_phone(
        "connect.port-0",
        "Connect to port 0",
        lambda conversation, phone: conversation.ask(connect(phone.device_id, 0)),
        (result(3), result(1)),
        "usbmuxd asks the phone (C26)",
    ),
    with_phone(
        "connect.phone-without-port",
        "Connect to a phone without PortNumber",
        lambda conversation, phone: conversation.ask(plist("Connect", DeviceID=phone.device_id)),
        _BAD,
        _MALFORMED,
    ),
    with_echo(
        "connect.port-in-host-order",
        "Connect to the echo, the bytes of the port the wrong way round",
        lambda conversation, device_id, port: conversation.ask(plist("Connect", DeviceID=device_id, PortNumber=port)),
        result(3),
        _ORDER,
        Need.UNEVEN_ECHO,
    ),
    with_echo(
        "connect.binary-port-in-host-order",
        "Connect in binary to the echo, the bytes of the port the wrong way round",
        lambda conversation, device_id, port: conversation.ask(binary_connect(device_id, swapped(port))),
        binary_result(3),
        _ORDER,
        Need.UNEVEN_ECHO,
    ),
    with_echo(
        "connect.device-plus-2-32",
        "Connect to the echo, 2^32 added to the DeviceID",
        lambda conversation, device_id, port: conversation.ask(
            plist("Connect", DeviceID=device_id + (1 << 32), PortNumber=swapped(port))
        ),
        _BAD,
        "ours: another number is another phone (C31)",
    ),
    with_echo(
        "connect.port-plus-2-16",
        "Connect to the echo, 2^16 added to the port",
        lambda conversation, device_id, port: conversation.ask(
            plist("Connect", DeviceID=device_id, PortNumber=swapped(port) + (1 << 16))
        ),
        (*_BAD, result(3)),
        "ours: another number is another port (C31)",
    ),
)
