"""Rules C12 to C31 and C36: what is written, and what is read back."""

from typing import cast

import pytest

from usbmux.control import plist_codec
from usbmux.control.message import (
    Attached,
    Buid,
    ClientIdentity,
    Connect,
    DeletePairRecord,
    Detached,
    DeviceList,
    DeviceRecord,
    ListDevices,
    Listen,
    ListenerList,
    ListenerRecord,
    ListListeners,
    Message,
    Notification,
    Paired,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    SavePairRecord,
)
from usbmux.errors import LocalProtocolError

HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
    b'<plist version="1.0">\n<dict>\n'
)
TAIL = b"</dict>\n</plist>\n"
IDENTITY = ClientIdentity("iproxy", "libusbmuxd 2.0.2", "org.example.proxy", 3, 1, 4711)
USB = DeviceRecord(5, "00008030-000A1B2C3D4E5F60", 0x12A8, 0x00140002, 480_000_000, port_path="20-1.3")
NETWORK = DeviceRecord(6, "f" * 40, connection_type="Network", network_address=b"\x10\x02")
ATTACHED_TEXT = """
\t<key>MessageType</key>\n\t<string>Attached</string>
\t<key>DeviceID</key>\n\t<integer>5</integer>
\t<key>Properties</key>
\t<dict>
\t\t<key>ConnectionSpeed</key>\n\t\t<integer>480000000</integer>
\t\t<key>ConnectionType</key>\n\t\t<string>USB</string>
\t\t<key>DeviceID</key>\n\t\t<integer>5</integer>
\t\t<key>LocationID</key>\n\t\t<integer>1310722</integer>
\t\t<key>ProductID</key>\n\t\t<integer>4776</integer>
\t\t<key>SerialNumber</key>\n\t\t<string>00008030-000A1B2C3D4E5F60</string>
\t\t<key>PortPath</key>\n\t\t<string>20-1.3</string>
\t</dict>
""".lstrip("\n")


def pairs(**values: str) -> bytes:
    return "".join(f"\t<key>{key}</key>\n\t{value}\n" for key, value in values.items()).encode()


def message(kind: str, **values: str) -> bytes:
    return pairs(MessageType=f"<string>{kind}</string>", **values)


REQUESTS: list[tuple[Request, bytes]] = [
    (Listen(), message("Listen")),
    (Connect(5, 22), message("Connect", DeviceID="<integer>5</integer>", PortNumber="<integer>5632</integer>")),
    (Connect(5, 62078), message("Connect", DeviceID="<integer>5</integer>", PortNumber="<integer>32498</integer>")),
    (ListDevices(), message("ListDevices")),
    (ListListeners(), message("ListListeners")),
    (ReadBuid(), message("ReadBUID")),
    (ReadPairRecord("abc"), message("ReadPairRecord", PairRecordID="<string>abc</string>")),
    (
        SavePairRecord("abc", b"\x00\xff"),
        message("SavePairRecord", PairRecordID="<string>abc</string>", PairRecordData="<data>\n\tAP8=\n\t</data>"),
    ),
    (
        SavePairRecord("abc", b"\x00\xff", 5),
        message(
            "SavePairRecord",
            PairRecordID="<string>abc</string>",
            PairRecordData="<data>\n\tAP8=\n\t</data>",
            DeviceID="<integer>5</integer>",
        ),
    ),
    (DeletePairRecord("abc"), message("DeletePairRecord", PairRecordID="<string>abc</string>")),
]
REPLIES: list[tuple[Reply | Notification, bytes]] = [
    (Result(0), message("Result", Number="<integer>0</integer>")),
    (Result(22), message("Result", Number="<integer>22</integer>")),
    (Buid("ABC-DEF"), pairs(BUID="<string>ABC-DEF</string>")),
    (PairRecord(b"\x00\xff"), pairs(PairRecordData="<data>\n\tAP8=\n\t</data>")),
    (DeviceList(()), pairs(DeviceList="<array/>")),
    (ListenerList(()), pairs(ListenerList="<array/>")),
    (Attached(USB), ATTACHED_TEXT.encode()),
    (Detached(5), message("Detached", DeviceID="<integer>5</integer>")),
    (Paired(5), message("Paired", DeviceID="<integer>5</integer>")),
]


@pytest.mark.parametrize(("request_", "body"), REQUESTS)
def test_request_encoded_and_decoded_golden_bytes(request_: Request, body: bytes) -> None:
    payload = HEAD + body + TAIL
    assert plist_codec.encode(request_) == payload
    assert plist_codec.decode_request(payload) == (request_, ClientIdentity())


@pytest.mark.parametrize(("reply", "body"), REPLIES)
def test_reply_encoded_and_decoded_golden_bytes(reply: Reply | Notification, body: bytes) -> None:
    payload = HEAD + body + TAIL
    assert plist_codec.encode(reply) == payload
    assert plist_codec.decode_reply(payload) == reply


def test_identity_beside_request_golden_bytes() -> None:
    payload = (
        HEAD
        + pairs(
            BundleID="<string>org.example.proxy</string>",
            ClientVersionString="<string>libusbmuxd 2.0.2</string>",
            ProgName="<string>iproxy</string>",
            kLibUSBMuxVersion="<integer>3</integer>",
            ConnType="<integer>1</integer>",
            ProcessID="<integer>4711</integer>",
        )
        + message("ReadBUID")
        + TAIL
    )
    assert plist_codec.encode(ReadBuid(), IDENTITY) == payload
    assert plist_codec.decode_request(payload) == (ReadBuid(), IDENTITY)


def test_identity_with_zeros_zeros_kept() -> None:
    identity = ClientIdentity(library_version=0, connection_type=0, process_id=0)
    assert plist_codec.decode_request(plist_codec.encode(Listen(), identity)) == (Listen(), identity)


def test_device_list_encoded_golden_bytes() -> None:
    entry = ATTACHED_TEXT.replace("\t", "\t\t\t").replace("\t\t\t\t\t\t", "\t\t\t\t")
    lines = ["\t<key>DeviceList</key>", "\t<array>", "\t\t<dict>", *entry.rstrip("\n").split("\n"), "\t\t</dict>"]
    expected = HEAD + ("\n".join([*lines, "\t</array>"]) + "\n").encode() + TAIL
    assert plist_codec.encode(DeviceList((USB,))) == expected


def test_listener_list_encoded_golden_bytes() -> None:
    body = b"""\t<key>ListenerList</key>
\t<array>
\t\t<dict>
\t\t\t<key>Blacklisted</key>\n\t\t\t<false/>
\t\t\t<key>ConnType</key>\n\t\t\t<integer>0</integer>
\t\t\t<key>ID String</key>\n\t\t\t<string>3-iproxy</string>
\t\t\t<key>ProgName</key>\n\t\t\t<string>iproxy</string>
\t\t\t<key>kLibUSBMuxVersion</key>\n\t\t\t<integer>0</integer>
\t\t</dict>
\t</array>
"""
    listener = ListenerRecord("3-iproxy", ClientIdentity("iproxy"))
    assert plist_codec.encode(ListenerList((listener,))) == HEAD + body + TAIL


@pytest.mark.parametrize(
    "reply",
    [
        DeviceList((USB, NETWORK)),
        Attached(NETWORK),
        ListenerList(
            (
                ListenerRecord("1-a", ClientIdentity("a", bundle_id="b", library_version=3, connection_type=1), True),
                ListenerRecord("2-", ClientIdentity(library_version=0, connection_type=0)),
            )
        ),
        Result(0xFFFFFFFF),
        Result(-1),
        Attached(DeviceRecord(1, "s", connection_speed=10_000_000_000)),
    ],
)
def test_reply_encoded_then_decoded_same(reply: Reply | Notification) -> None:
    assert plist_codec.decode_reply(plist_codec.encode(reply)) == reply


@pytest.mark.parametrize(
    "message_",
    [
        Connect(1, 65536), Connect(1, -1), Connect(1 << 64, 1), Connect(cast(int, 1.5), 1), ReadPairRecord("\0"),
        Result(1 << 64),
    ],
)  # fmt: skip
def test_message_with_impossible_value_local_error(message_: Message) -> None:
    with pytest.raises(LocalProtocolError):
        plist_codec.encode(message_)


@pytest.mark.parametrize("port", [0, 1, 22, 255, 256, 32498, 62078, 65535])
def test_connect_any_port_round_trip(port: int) -> None:
    payload = plist_codec.encode(Connect(1, port))
    assert f"<integer>{port % 256 * 256 + port // 256}</integer>".encode() in payload
    assert plist_codec.decode_request(payload) == (Connect(1, port), ClientIdentity())
