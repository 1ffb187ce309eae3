"""Rules C15, C16, C27, C31 and C36: requests and replies that somebody else made, well or badly."""

import plistlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control import plist_codec
from usbmux.control.message import (
    Attached,
    Buid,
    ClientIdentity,
    Connect,
    Detached,
    DeviceList,
    DeviceRecord,
    InvalidRequestError,
    Listen,
    ListenerList,
    ListenerRecord,
    PairRecord,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    SavePairRecord,
    UnknownMessageError,
)
from usbmux.errors import RemoteProtocolError

Dictionary = dict[str, object]


def request_of(properties: Dictionary) -> tuple[Request, ClientIdentity]:
    return plist_codec.decode_request(plistlib.dumps(properties))


CONNECT: Dictionary = {"MessageType": "Connect", "DeviceID": 5, "PortNumber": 5632}
SAVE: Dictionary = {"MessageType": "SavePairRecord", "PairRecordID": "a", "PairRecordData": b"r"}


def without(properties: Dictionary, key: str) -> Dictionary:
    return {name: value for name, value in properties.items() if name != key}


BAD_REQUESTS: list[tuple[Dictionary, int, str]] = [
    ({}, 1, "without MessageType"),
    ({"MessageType": 3}, 1, "without MessageType"),
    ({"MessageType": ["Listen"]}, 1, "without MessageType"),
    ({"MessageType": b"Listen"}, 1, "without MessageType"),
    ({"MessageType": ""}, 1, "unknown MessageType"),
    ({"MessageType": "listen"}, 1, "unknown MessageType listen"),
    ({"MessageType": "Result", "Number": 0}, 1, "unknown MessageType Result"),
    ({"MessageType": "x\n" * 1000}, 1, r"unknown MessageType (x\?){127}x$"),
    ({"MessageType": "Connect"}, 2, "DeviceID"),
    (without(CONNECT, "DeviceID"), 2, "DeviceID"),
    (CONNECT | {"DeviceID": "5"}, 2, "DeviceID"),
    (CONNECT | {"DeviceID": True}, 2, "DeviceID"),
    (CONNECT | {"DeviceID": 5.0}, 2, "DeviceID"),
    (CONNECT | {"DeviceID": -1}, 2, "DeviceID"),
    (CONNECT | {"DeviceID": 1 << 32}, 2, "DeviceID"),
    (CONNECT | {"DeviceID": (1 << 64) - 1}, 2, "DeviceID"),
    (without(CONNECT, "PortNumber"), 1, "PortNumber"),
    (CONNECT | {"PortNumber": "5632"}, 1, "PortNumber"),
    (CONNECT | {"PortNumber": False}, 1, "PortNumber"),
    (CONNECT | {"PortNumber": -1}, 1, "PortNumber"),
    (CONNECT | {"PortNumber": 65536}, 1, "PortNumber"),
    ({"MessageType": "ReadPairRecord"}, 22, "PairRecordID"),
    ({"MessageType": "DeletePairRecord"}, 22, "PairRecordID"),
    (without(SAVE, "PairRecordID"), 22, "PairRecordID"),
    (without(SAVE, "PairRecordData"), 22, "PairRecordData"),
    (SAVE | {"PairRecordData": b""}, 22, "PairRecordData"),
    (SAVE | {"PairRecordData": "text"}, 22, "PairRecordData"),
]


@pytest.mark.parametrize("value", ["", 5, b"a", ["a"], "x" * 256, "a\nb"])
@pytest.mark.parametrize("base", [{"MessageType": "ReadPairRecord"}, {"MessageType": "DeletePairRecord"}, SAVE])
def test_request_with_unusable_record_id_einval(base: Dictionary, value: object) -> None:
    with pytest.raises(InvalidRequestError, match="PairRecordID") as caught:
        request_of(base | {"PairRecordID": value})
    assert caught.value.code == 22


@pytest.mark.parametrize(("properties", "code", "reason"), BAD_REQUESTS)
def test_bad_request_decoded_says_what_to_answer(properties: Dictionary, code: int, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        request_of(properties)
    assert caught.value.code == code


@pytest.mark.parametrize("payload", [b"", b"MessageType", b"bplist00", b"<plist><array/></plist>"])
def test_request_that_is_no_plist_bad_command(payload: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="not a") as caught:
        plist_codec.decode_request(payload)
    assert caught.value.code == 1
    assert isinstance(caught.value.__cause__, RemoteProtocolError)


def test_request_with_huge_integer_bad_device() -> None:
    payload = plistlib.dumps(CONNECT).replace(b"<integer>5</integer>", b"<integer>" + b"9" * 4000 + b"</integer>")
    with pytest.raises(InvalidRequestError) as caught:
        plist_codec.decode_request(payload)
    assert caught.value.code == 2


@pytest.mark.parametrize("device_id", ["5", True, -1, 1 << 32, [5]])
def test_save_with_odd_device_id_counts_as_absent(device_id: object) -> None:
    assert request_of(SAVE | {"DeviceID": device_id}) == (SavePairRecord("a", b"r"), ClientIdentity())


def test_request_in_binary_plist_with_unused_keys_read() -> None:
    payload = plistlib.dumps(CONNECT | {"Nonsense": [{}], "PairRecordID": 5}, fmt=plistlib.FMT_BINARY)
    assert plist_codec.decode_request(payload) == (Connect(5, 22), ClientIdentity())


def test_record_id_of_greatest_length_read() -> None:
    request = request_of({"MessageType": "ReadPairRecord", "PairRecordID": "x" * 255})
    assert request == (ReadPairRecord("x" * 255), ClientIdentity())


@pytest.mark.parametrize(
    ("properties", "identity"),
    [
        ({"ProgName": 5, "ClientVersionString": b"1", "BundleID": [], "ConnType": "1"}, ClientIdentity()),
        ({"kLibUSBMuxVersion": True, "ConnType": -1, "ProcessID": 1 << 40}, ClientIdentity()),
        ({"ProgName": "a\tb" + "x" * 5000}, ClientIdentity("a?b" + "x" * 252)),
    ],
)
def test_identity_odd_values_left_out_or_cut(properties: Dictionary, identity: ClientIdentity) -> None:
    assert request_of({"MessageType": "Listen"} | properties) == (Listen(), identity)


PHONE: Dictionary = {"DeviceID": 5, "SerialNumber": "s"}
ENTRY: Dictionary = {"MessageType": "Attached", "DeviceID": 5, "Properties": PHONE}
ODD_ENTRIES: list[object] = [
    5,
    "phone",
    [],
    {},
    {"DeviceID": 5},
    {"DeviceID": 5, "Properties": "none"},
    {"DeviceID": 5, "Properties": {}},
    {"DeviceID": 5, "Properties": {"SerialNumber": ""}},
    {"DeviceID": 5, "Properties": {"SerialNumber": 5}},
    {"Properties": {"SerialNumber": "s"}},
    {"DeviceID": -1, "Properties": {"SerialNumber": "s", "DeviceID": "5"}},
    {"DeviceID": 1 << 32, "Properties": {"SerialNumber": "s", "DeviceID": True}},
]


def reply_of(properties: Dictionary) -> object:
    return plist_codec.decode_reply(plistlib.dumps(properties))


@pytest.mark.parametrize("entry", ODD_ENTRIES)
def test_device_list_with_odd_entry_others_kept(entry: object) -> None:
    assert reply_of({"DeviceList": [ENTRY, entry, ENTRY]}) == DeviceList((DeviceRecord(5, "s"), DeviceRecord(5, "s")))


@pytest.mark.parametrize(
    ("entry", "device"),
    [
        (ENTRY, DeviceRecord(5, "s")),
        ({"Properties": PHONE}, DeviceRecord(5, "s")),
        ({"DeviceID": 6, "Properties": PHONE}, DeviceRecord(6, "s")),
        ({"DeviceID": 0, "Properties": PHONE}, DeviceRecord(0, "s")),
        (
            {"Properties": PHONE | {"ProductID": 1 << 16, "LocationID": -1, "ConnectionSpeed": "fast"}},
            DeviceRecord(5, "s"),
        ),
        ({"Properties": PHONE | {"ConnectionType": 5, "NetworkAddress": "1.2.3.4"}}, DeviceRecord(5, "s")),
        (
            {
                "Properties": PHONE
                | {
                    "ConnectionType": "Network",
                    "NetworkAddress": bytes(128),
                    "EscapedFullServiceName": "x._apple-mobdev2._tcp.local.",
                    "InterfaceIndex": 4,
                    "UDID": "s",
                    "USBSerialNumber": "s",
                }
            },
            DeviceRecord(5, "s", connection_type="Network", network_address=bytes(128)),
        ),
    ],
)
def test_device_with_missing_or_odd_properties_read(entry: Dictionary, device: DeviceRecord) -> None:
    assert reply_of({"DeviceList": [entry]}) == DeviceList((device,))
    assert reply_of(entry | {"MessageType": "Attached"}) == Attached(device)


def test_listener_list_with_odd_entries_others_kept() -> None:
    entries = [5, {}, {"ID String": "1-a", "ProgName": "a", "Blacklisted": 1}, {"Blacklisted": True}]
    expected = (ListenerRecord(""), ListenerRecord("1-a", ClientIdentity("a")), ListenerRecord("", blacklisted=True))
    assert reply_of({"ListenerList": entries}) == ListenerList(expected)


@pytest.mark.parametrize(
    ("properties", "reply"),
    [
        ({"MessageType": "ReadBUID", "BUID": "b\0".replace("\0", "\t")}, Buid("b?")),
        ({"MessageType": "Whatever", "PairRecordData": b""}, PairRecord(b"")),
        ({"MessageType": "Result", "Number": 3, "BUID": "b"}, Result(3)),
        ({"MessageType": "Detached", "DeviceID": 5, "Properties": {}}, Detached(5)),
    ],
)
def test_reply_with_more_than_needed_read(properties: Dictionary, reply: Reply) -> None:
    assert reply_of(properties) == reply


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"MessageType": "Result"},
        {"MessageType": "Result", "Number": "0"},
        {"MessageType": "Result", "Number": False},
        {"MessageType": "Result", "Number": 1 << 32},
        {"MessageType": "Result", "Number": -(1 << 40)},
        {"MessageType": "Detached"},
        {"MessageType": "Paired", "DeviceID": -1},
        {"MessageType": "Attached", "DeviceID": 5},
        {"MessageType": "Heartbeat"},
        {"MessageType": 5},
        {"DeviceList": {}},
        {"ListenerList": "none"},
        {"BUID": 5},
        {"PairRecordData": "text"},
    ],
)
def test_reply_that_means_nothing_unknown(properties: Dictionary) -> None:
    with pytest.raises(UnknownMessageError):
        reply_of(properties)


def test_reply_that_is_no_plist_remote_error() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        plist_codec.decode_reply(b"nonsense")
    assert not isinstance(caught.value, UnknownMessageError)


NAMES = """MessageType DeviceID PortNumber PairRecordID PairRecordData ProgName BundleID ConnType ClientVersionString
kLibUSBMuxVersion ProcessID Number DeviceList ListenerList BUID Properties SerialNumber ConnectionType NetworkAddress
LocationID Blacklisted"""
KINDS = """Listen Connect ListDevices ListListeners ReadBUID ReadPairRecord SavePairRecord DeletePairRecord Result
Attached Detached Paired"""
names = st.sampled_from([*NAMES.split(), "ID String"])
kinds = st.sampled_from(KINDS.split())
scalars = st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=5) | st.binary(max_size=5) | kinds
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6))
# A binary property list holds any text at all.
payloads = st.dictionaries(names, values | kinds, max_size=8).map(lambda d: plistlib.dumps(d, fmt=plistlib.FMT_BINARY))


@given(payloads)
def test_any_request_decoded_only_known_error_and_can_be_listed(payload: bytes) -> None:
    with suppress(InvalidRequestError):
        _request, identity = plist_codec.decode_request(payload)
        listed = plist_codec.decode_reply(plist_codec.encode(ListenerList((ListenerRecord("1", identity),))))
        assert isinstance(listed, ListenerList)
        assert listed.listeners[0].identity.program == identity.program


@given(payloads)
def test_any_reply_decoded_only_known_error_and_can_be_sent_on(payload: bytes) -> None:
    with suppress(UnknownMessageError):
        reply = plist_codec.decode_reply(payload)
        plist_codec.decode_reply(plist_codec.encode(reply))
