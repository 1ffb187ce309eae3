"""Cases about the payload of version 1: what is a request, and what is answered to what is none."""

from typing import Final

from usbmux.control import property_list
from usbmux.testing.conformance.answer import CLOSED, DEVICE_LIST, result, then
from usbmux.testing.conformance.exchange import exchange, sequence
from usbmux.testing.conformance.request import (
    IDENTITY,
    LIST_DEVICES,
    binary_plist,
    frame,
    plist,
    xml,
    xml_dictionary,
)

_REFUSED: Final = (result(1), result(22), CLOSED)
_DIFFER: Final = "ours: bad input is always answered; servers differ how (C31)"
_UNKNOWN: Final = "usbmuxd, usbmuxd2, usbfluxd (C31)"
_LENIENT: Final = "clients send what they like beside the request (C15, C17)"
_TEXT: Final = "ours: as bad input, if it is not understood (C14, C31)"
_EITHER: Final = (DEVICE_LIST, *_REFUSED)
_ENTITY: Final = '<!DOCTYPE plist [<!ENTITY name "ListDevices">]>\n'
_NESTED: Final = "<key>Deep</key>" + "<array>" * 200 + "</array>" * 200

SOUND: Final = (
    exchange("plist.bare", "ListDevices with nothing beside it", LIST_DEVICES, DEVICE_LIST, "every client (C17)"),
    exchange(
        "plist.identity",
        "ListDevices with all that clients say of themselves",
        plist("ListDevices", **IDENTITY),
        DEVICE_LIST,
        "libusbmuxd, go-ios, frida (C17)",
    ),
    exchange(
        "plist.unknown-keys",
        "ListDevices with keys that nobody knows",
        plist("ListDevices", Colour="blue", Sizes=[1, 2.5, True], More={"a": b"b"}),
        DEVICE_LIST,
        _LENIENT,
    ),
    exchange(
        "plist.identity-of-other-types",
        "ListDevices with a number for ProgName and text for kLibUSBMuxVersion",
        plist("ListDevices", ProgName=5, kLibUSBMuxVersion="three", BundleID=True),
        DEVICE_LIST,
        _LENIENT,
    ),
    exchange(
        "plist.long-text",
        "ListDevices with a ProgName of 10000 characters",
        plist("ListDevices", ProgName="x" * 10000),
        DEVICE_LIST,
        _LENIENT,
    ),
    exchange(
        "plist.nested",
        "ListDevices with a key nested 200 deep",
        xml_dictionary("ListDevices", _NESTED),
        _EITHER,
        _TEXT,
    ),
    exchange(
        "plist.binary",
        "ListDevices as binary property list",
        binary_plist("ListDevices"),
        (*_EITHER, f"{DEVICE_LIST} in a binary property list"),
        _TEXT,
    ),
    exchange(
        "plist.entity",
        "ListDevices, the name as an entity that the text declares",
        xml("<dict><key>MessageType</key><string>&name;</string></dict>", doctype=_ENTITY),
        _EITHER,
        _TEXT,
    ),
    exchange(
        "plist.utf-16",
        "ListDevices in UTF-16",
        frame(property_list.dump({"MessageType": "ListDevices"}).decode().replace("UTF-8", "UTF-16").encode("utf-16")),
        _EITHER,
        _TEXT,
    ),
)

BROKEN: Final = (
    exchange("plist.garbage", "bytes that are no property list", frame(b"\x00\xff" * 40), _REFUSED, _DIFFER),
    exchange("plist.text", "text that is no property list", frame(b"ListDevices"), _REFUSED, _DIFFER),
    exchange("plist.cut", "the first half of a property list", frame(LIST_DEVICES[16:120]), _REFUSED, _DIFFER),
    exchange("plist.array", "an array", xml("<array><string>ListDevices</string></array>"), _REFUSED, _DIFFER),
    exchange("plist.string", "a string", xml("<string>ListDevices</string>"), _REFUSED, _DIFFER),
    exchange("plist.nothing", "no value", xml(""), _REFUSED, _DIFFER),
    exchange("plist.binary-cut", "a binary property list without its end", frame(b"bplist00\xd1"), _REFUSED, _DIFFER),
    exchange("plist.no-message-type", "a dictionary without MessageType", xml("<dict></dict>"), _REFUSED, _DIFFER),
    exchange(
        "plist.message-type-a-number",
        "MessageType 3",
        xml("<dict><key>MessageType</key><integer>3</integer></dict>"),
        _REFUSED,
        _DIFFER,
    ),
    exchange("plist.message-type-empty", "MessageType without a letter", plist(""), _REFUSED, _DIFFER),
    exchange("plist.message-type-unknown", "MessageType Nonsense", plist("Nonsense"), result(1), _UNKNOWN),
    exchange("plist.message-type-small", "MessageType listdevices", plist("listdevices"), result(1), _UNKNOWN),
    exchange("plist.message-type-longer", "MessageType ListDevices2", plist("ListDevices2"), result(1), _UNKNOWN),
    exchange("plist.message-type-of-a-reply", "MessageType Attached", plist("Attached"), result(1), _UNKNOWN),
    sequence(
        "plist.unknown-then-request",
        "MessageType Nonsense, then ListDevices",
        [plist("Nonsense"), LIST_DEVICES],
        then(result(1), DEVICE_LIST),
        _UNKNOWN,
    ),
)
