"""What the cases send: frames as clients make them, and as none should."""

import plistlib
import struct
from typing import Final

from usbmux.control import property_list
from usbmux.control.frame import Frame, MessageType

TAG: Final = 0x2BADCAFE
"""Unlike anything that a server could put there by itself."""
ABSENT_DEVICE: Final = 0x7FFFFFF0
"""No server has counted so far."""


def frame(payload: bytes = b"", *, version: int = 1, message_type: int = MessageType.PLIST, tag: int = TAG) -> bytes:
    """A message with any header whose length is right."""
    return Frame(version, message_type, tag, payload).encode()


def header(length: int) -> bytes:
    """A header alone, with any length."""
    return struct.pack("<IIII", length, 1, MessageType.PLIST, TAG)


def plist(message_type: str, /, **keys: object) -> bytes:
    """A request in XML, as every client sends it."""
    return frame(property_list.dump({"MessageType": message_type, **keys}))


def tagged(message_type: str, tag: int) -> bytes:
    """A request in XML under a tag of one's own."""
    return frame(property_list.dump({"MessageType": message_type}), tag=tag)


def binary_plist(message_type: str, /, **keys: object) -> bytes:
    """A request in a binary property list."""
    return frame(plistlib.dumps({"MessageType": message_type, **keys}, fmt=plistlib.FMT_BINARY))


def xml(value: str, *, doctype: str = "") -> bytes:
    """A request whose property list has this XML in it, well-formed or not."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}<plist version="1.0">{value}</plist>\n'
    return frame(text.encode())


def xml_dictionary(message_type: str, keys: str) -> bytes:
    """A request in XML that is written by hand, for values that no library writes."""
    return xml(f"<dict><key>MessageType</key><string>{message_type}</string>{keys}</dict>")


def padded(length: int) -> bytes:
    """A sound ListDevices of exactly that length, header included."""
    shortest = len(plist("ListDevices", Padding=""))
    return plist("ListDevices", Padding="x" * (length - shortest))


def connect(device_id: int, port: int) -> bytes:
    """Connect in XML, the port in network byte order."""
    return plist("Connect", DeviceID=device_id, PortNumber=swapped(port))


def binary_connect(device_id: int, port: int) -> bytes:
    """Connect in binary, the port in network byte order."""
    return frame(struct.pack("<IHH", device_id, swapped(port), 0), version=0, message_type=MessageType.CONNECT)


def swapped(port: int) -> int:
    """The port as the field writes it: 22 is 5632."""
    return int.from_bytes(port.to_bytes(2, "big"), "little")


def binary(message_type: int, payload: bytes = b"", *, version: int = 0) -> bytes:
    """A message in binary."""
    return frame(payload, version=version, message_type=message_type)


LIST_DEVICES: Final = plist("ListDevices")
LISTEN: Final = plist("Listen")
BINARY_LISTEN: Final = binary(MessageType.LISTEN)
IDENTITY: Final[dict[str, object]] = {
    "BundleID": "org.example.conform",
    "ClientVersionString": "conform",
    "ProgName": "conform",
    "kLibUSBMuxVersion": 3,
    "ConnType": 0,
    "ProcessID": 1,
}
"""All that clients say of themselves."""
