"""Requests over a real socket, in both encodings, good and bad (C2 to C33)."""

from __future__ import annotations

import asyncio
import contextlib
import plistlib
import struct
from typing import TYPE_CHECKING, cast

import pytest

from tests.daemon.harness import OTHER_UDID, PLIST, UDID, Properties, connect_request, encode, frame, some_bytes, until
from usbmux.control.address import TcpAddress
from usbmux.testing import PhoneStream, SimulatedPhone, echo

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

LISTEN = 3
CONNECT = 2
RESULT = 1
PHONE: Properties = {
    "ConnectionSpeed": 480_000_000,
    "ConnectionType": "USB",
    "DeviceID": 1,
    "LocationID": 0x10001,
    "PortPath": "1-1",
    "ProductID": 0x12A8,
    "SerialNumber": UDID,
}
RECORD: Properties = {"PairRecordID": UDID, "PairRecordData": plistlib.dumps({"HostID": "me"})}


async def port_of_phone(stream: PhoneStream) -> None:
    """Tells the number of its port."""
    await stream.write(b"%d" % stream.port)


async def test_idle_list_devices_answers_every_phone_with_all_keys(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID), SimulatedPhone(OTHER_UDID))
    await harness.attached()
    reply = await (await harness.client()).request({"MessageType": "ListDevices"})
    devices = cast("list[Properties]", reply["DeviceList"])
    assert devices[0] == {"MessageType": "Attached", "DeviceID": 1, "Properties": PHONE}
    assert [device["DeviceID"] for device in devices] == [1, 2]


async def test_no_phone_list_devices_answers_empty_list(serve: Serve) -> None:
    harness = await serve()
    assert await (await harness.client()).request({"MessageType": "ListDevices"}) == {"DeviceList": []}


async def test_idle_list_listeners_names_the_listeners_only(serve: Serve) -> None:
    harness = await serve()
    listener, asker = await harness.client(), await harness.client()
    await listener.request({"MessageType": "Listen", "ProgName": "sleeper", "BundleID": "org", "kLibUSBMuxVersion": 3})
    reply = await asker.request({"MessageType": "ListListeners", "ProgName": "asker"})
    assert reply == {
        "ListenerList": [
            {
                "Blacklisted": False,
                "BundleID": "org",
                "ConnType": 0,
                "ID String": "1-sleeper",
                "ProgName": "sleeper",
                "kLibUSBMuxVersion": 3,
            }
        ]
    }


async def test_listener_gone_list_listeners_does_not_name_it(serve: Serve) -> None:
    harness = await serve()
    listener = await harness.client()
    await listener.listen()
    await harness.quiet()
    reply = await (await harness.client()).request({"MessageType": "ListListeners"})
    assert reply == {"ListenerList": []}


async def test_idle_read_buid_answers_the_same_always(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    first = await client.request({"MessageType": "ReadBUID"})
    assert isinstance(first["BUID"], str)
    assert await client.request({"MessageType": "ReadBUID"}) == first
    assert await (await harness.client()).request({"MessageType": "ReadBUID"}) == first


async def test_idle_pair_record_is_saved_read_and_deleted(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.send(encode({"MessageType": "SavePairRecord", **RECORD}, 5))
    await client.expect_result(0, tag=5)
    reply = await client.request({"MessageType": "ReadPairRecord", "PairRecordID": UDID})
    assert reply == {"PairRecordData": RECORD["PairRecordData"]}
    await client.send(encode({"MessageType": "DeletePairRecord", "PairRecordID": UDID}))
    await client.expect_result(0)
    for name in ("ReadPairRecord", "DeletePairRecord"):
        await client.send(encode({"MessageType": name, "PairRecordID": UDID}))
        await client.expect_result(2)


async def test_idle_pair_record_id_that_is_a_path_is_refused(serve: Serve) -> None:
    harness = await serve()
    (harness.directory / "secret.plist").write_bytes(b"secret")
    client = await harness.client()
    for record_id in ("../secret", "SystemConfiguration", f"{UDID}/../{UDID}", "."):
        await client.send(encode({"MessageType": "ReadPairRecord", "PairRecordID": record_id}))
        await client.expect_result(22)


@pytest.mark.parametrize("tag", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_idle_request_with_any_tag_reply_has_it(serve: Serve, tag: int) -> None:
    harness = await serve()
    client = await harness.client()
    assert await client.request({"MessageType": "ListDevices"}, tag) == {"DeviceList": []}
    await client.request({"MessageType": "ReadBUID"}, tag)
    await client.send(frame(b"", version=0, message=LISTEN, tag=tag))
    assert await client.receive_frame() == (0, RESULT, tag, bytes(4))


async def test_idle_plist_connect_port_is_byte_swapped(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={22: port_of_phone, 0x1600: port_of_phone}))
    await harness.attached()
    client = await harness.client()
    await client.send(encode({"MessageType": "Connect", "DeviceID": 1, "PortNumber": 0x1600}))
    await client.expect_result(0)
    assert await client.receive_to_end() == b"22"


async def test_idle_binary_connect_port_is_in_network_order(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={22: port_of_phone, 0x1600: port_of_phone}))
    await harness.attached()
    client = await harness.client()
    await client.send(struct.pack("<IIII", 24, 0, CONNECT, 9) + b"\1\0\0\0" + b"\0\x16" + b"\0\0")
    assert await client.receive_exactly(20) == struct.pack("<IIIII", 20, 0, RESULT, 9, 0)
    assert await client.receive_to_end() == b"22"


async def test_binary_listener_gets_the_phone_as_a_structure(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    client = await harness.client()
    await client.send(frame(b"", version=0, message=LISTEN, tag=3))
    assert await client.receive_exactly(20) == struct.pack("<IIIII", 20, 0, RESULT, 3, 0)
    attached = struct.pack("<IH256s2xI", 1, 0x12A8, UDID.encode(), 0x10001)
    assert await client.receive_exactly(16 + len(attached)) == struct.pack("<IIII", 284, 0, 4, 0) + attached
    harness.bus.unplug(harness.phones[0])
    assert await client.receive_exactly(20) == struct.pack("<IIIII", 20, 0, 5, 0, 1)


async def test_idle_several_requests_in_one_write_are_answered_in_order(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    names = ("ReadBUID", "ListDevices", "Nonsense", "ReadBUID", "ListListeners") * 10
    await client.send(b"".join(encode({"MessageType": name}, tag) for tag, name in enumerate(names)))
    keys = {"ReadBUID": "BUID", "ListDevices": "DeviceList", "Nonsense": "Number", "ListListeners": "ListenerList"}
    for tag, name in enumerate(names):
        assert keys[name] in await client.receive_properties(tag)


async def test_idle_request_in_single_bytes_is_answered(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    for byte in encode({"MessageType": "ListDevices"}):
        await client.send(bytes((byte,)))
        await asyncio.sleep(0)
    assert await client.receive_properties(1) == {"DeviceList": []}


@pytest.mark.parametrize("name", ["ListDevices", "ReadBUID"])
async def test_idle_request_and_half_close_reply_then_end(serve: Serve, name: str) -> None:
    harness = await serve()
    client = await harness.client()
    await client.send(encode({"MessageType": name}) * 3)
    client.shut_down_writing()
    for _ in range(3):
        await client.receive_properties(1)
    assert await client.receive_to_end() == b""


async def test_idle_binary_property_list_is_answered_in_xml(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    payload = plistlib.dumps({"MessageType": "ListDevices"}, fmt=plistlib.FMT_BINARY)
    await client.send(frame(payload, version=1, message=PLIST, tag=1))
    _version, _message, _tag, reply = await client.receive_frame()
    assert reply.startswith(b"<?xml")


async def test_idle_plist_under_version_0_is_answered_under_version_1(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.send(frame(plistlib.dumps({"MessageType": "ListDevices"}), version=0, message=PLIST, tag=1))
    assert await client.receive_properties(1) == {"DeviceList": []}


BAD_PLISTS: list[tuple[bytes, int]] = [
    (b"", 1),
    (b"no plist", 1),
    (b"<?xml version='1.0'?><plist", 1),
    (plistlib.dumps(["Listen"]), 1),
    (plistlib.dumps({}), 1),
    (plistlib.dumps({"MessageType": 8}), 1),
    (plistlib.dumps({"MessageType": "Nonsense"}), 1),
    (plistlib.dumps({"MessageType": "Connect", "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": "1", "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": True, "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": -1, "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 1 << 32, "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 99, "PortNumber": 22}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 0xFFFFFFFF, "PortNumber": 0}), 2),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 1}), 1),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 1, "PortNumber": 65536}), 1),
    (plistlib.dumps({"MessageType": "Connect", "DeviceID": 1, "PortNumber": "22"}), 1),
    (plistlib.dumps({"MessageType": "ReadPairRecord"}), 22),
    (plistlib.dumps({"MessageType": "ReadPairRecord", "PairRecordID": ""}), 22),
    (plistlib.dumps({"MessageType": "SavePairRecord", "PairRecordID": UDID}), 22),
    (plistlib.dumps({"MessageType": "SavePairRecord", "PairRecordData": b"x"}), 22),
    (plistlib.dumps({"MessageType": "DeletePairRecord", "PairRecordID": 7}), 22),
]


@pytest.mark.parametrize(("payload", "code"), BAD_PLISTS, ids=[f"{payload[-90:]!r}" for payload, _ in BAD_PLISTS])
async def test_idle_bad_plist_is_answered_and_connection_stays(serve: Serve, payload: bytes, code: int) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    client = await harness.client()
    await client.send(frame(payload, version=1, message=PLIST, tag=7))
    await client.expect_result(code, tag=7)
    assert await client.request({"MessageType": "ListListeners"}) == {"ListenerList": []}


BAD_BINARIES = [
    (frame(b"", version=2, message=LISTEN, tag=7), 6),
    (frame(b"", version=0xFFFFFFFF, message=0xFFFFFFFF, tag=7), 6),
    (frame(b"", version=0, message=RESULT, tag=7), 1),
    (frame(b"", version=0, message=77, tag=7), 1),
    (frame(bytes(7), version=0, message=CONNECT, tag=7), 1),
    (frame(b"\x63\0\0\0\0\x16\0\0", version=0, message=CONNECT, tag=7), 2),
    (frame(b"\1\0\0\0\0\x16\0\0", version=0, message=CONNECT, tag=7), 3),
]


@pytest.mark.parametrize(("request_bytes", "code"), BAD_BINARIES)
async def test_idle_bad_binary_is_answered_in_binary_and_connection_stays(
    serve: Serve, request_bytes: bytes, code: int
) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    client = await harness.client()
    await client.send(request_bytes)
    assert await client.receive_exactly(20) == struct.pack("<IIIII", 20, 0, RESULT, 7, code)
    assert await client.request({"MessageType": "ListListeners"}) == {"ListenerList": []}


async def test_plist_seen_wrong_version_is_answered_in_plist(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.request({"MessageType": "ListDevices"})
    await client.send(frame(b"whatever", version=5, message=PLIST, tag=2))
    await client.expect_result(6, tag=2)


@pytest.mark.parametrize("length", [0, 15, 65537, 0xFFFFFFFF])
async def test_idle_impossible_length_ends_the_connection_cleanly(serve: Serve, length: int) -> None:
    harness = await serve()
    client = await harness.client()
    await client.send(encode({"MessageType": "ListDevices"}) + struct.pack("<IIII", length, 1, PLIST, 1) + bytes(40000))
    await client.receive_properties(1)
    assert await client.receive_to_end() == b""


async def test_idle_request_of_the_largest_length_is_answered(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    payload = plistlib.dumps({"MessageType": "ListDevices"})
    payload += b" " * (65536 - 16 - len(payload))
    await client.send(frame(payload, version=1, message=PLIST, tag=1))
    assert await client.receive_properties(1) == {"DeviceList": []}


async def test_connect_failed_connection_can_be_used_again(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 8) + connect_request(2, 7) + encode({"MessageType": "ListListeners"}))
    await client.expect_result(3)
    await client.expect_result(2)
    await client.receive_properties(1)
    await client.connect(7)
    await client.send(b"now it works")
    assert await client.receive_exactly(12) == b"now it works"


async def test_client_that_asks_and_never_reads_is_not_served_without_bound(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    request = encode({"MessageType": "ListDevices"})
    sent = 0
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        while sent < 10_000:  # when the daemon stops reading, sending stops
            await asyncio.wait_for(loop.sock_sendall(client.sock, request), 0.2)
            sent += 1
    assert sent < 10_000
    for _ in range(sent):
        await client.receive_properties(1)


async def test_client_asks_for_much_and_reads_late_every_answer_is_whole(serve: Serve) -> None:
    harness = await serve(addresses=[TcpAddress("127.0.0.1", 0)])
    client = await harness.client(is_slow=True)
    record = plistlib.dumps({"HostID": some_bytes(27_000)})
    save: Properties = {"MessageType": "SavePairRecord", "PairRecordID": UDID, "PairRecordData": record}
    assert await client.request(save) == {"MessageType": "Result", "Number": 0}
    read: Properties = {"MessageType": "ReadPairRecord", "PairRecordID": UDID}
    await client.send(b"".join(encode(read, tag) for tag in range(200)))
    await until(harness.daemon.unread._bytes.total)  # nothing fits into the socket any more
    for tag in range(200):
        assert await client.receive_properties(tag) == {"PairRecordData": record}
    assert not harness.daemon.unread._bytes


async def test_listener_reads_late_every_word_is_whole(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    client = await harness.client()
    await client.listen()
    await client.receive_properties(tag=0)
    unread, told = harness.daemon.unread._bytes, 0
    while unread.total() < 600_000:  # more than fits into the socket at once, and less than is too much
        harness.daemon.registry.paired(1, UDID)
        told += 1
    for _ in range(told):
        assert await client.receive_properties(tag=0) == {"MessageType": "Paired", "DeviceID": 1}
    assert not unread
