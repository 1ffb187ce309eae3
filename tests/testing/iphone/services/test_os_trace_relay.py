"""com.apple.os_trace_relay over a stream in memory."""

import asyncio
import plistlib
from collections.abc import Mapping

import pytest

from tests.testing.iphone.services.scene import Host, Phone, served, settle
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel
from usbmux.testing.iphone.services.os_trace_relay import OsTraceRelay
from usbmux.testing.iphone.services.trace_record import encode

START = {"Request": "StartActivity", "Pid": -1, "MessageFilter": 0xFFFF, "StreamFlags": 0x3C}


async def receive_reply(host: Host) -> Mapping[str, object]:
    head = await host.readexactly(5)
    assert head[0] == 1
    reply: dict[str, object] = plistlib.loads(await host.readexactly(int.from_bytes(head[1:], "big")))
    return reply


async def receive_message(host: Host) -> bytes:
    head = await host.readexactly(5)
    assert head[0] == 2
    body = await host.readexactly(int.from_bytes(head[1:], "little"))
    image_end = 129 + int.from_bytes(body[37:39], "little") + int.from_bytes(body[107:109], "little")
    return body[image_end : image_end + int.from_bytes(body[109:113], "little") - 1]


async def start(host: Host, **changes: object) -> None:
    await host.send({**START, **changes})
    assert await receive_reply(host) == {"Status": "RequestSuccessful"}


@pytest.mark.asyncio
@pytest.mark.parametrize("binary", [False, True])
async def test_activity_started_entries_as_records(binary: bool) -> None:
    phone = Phone()
    entries = [LogEntry(f"number {index}") for index in range(100)]
    async with served(OsTraceRelay(), phone) as host:
        await host.send(START, binary=binary)
        assert await receive_reply(host) == {"Status": "RequestSuccessful"}
        for entry in entries:
            phone.log.post(entry)
        expected = b"".join(map(encode, entries))
        assert await host.readexactly(len(expected)) == expected


@pytest.mark.asyncio
async def test_activity_answered_nothing_posted_after_it_is_missed() -> None:
    phone = Phone()
    async with served(OsTraceRelay(), phone) as host:
        await start(host)
        phone.log.post(LogEntry("at once"))
        assert await receive_message(host) == b"at once"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, b"notice own info debug error fault"),
        ({"Pid": 0xFFFFFFFF}, b"notice own info debug error fault"),
        ({"Pid": 99}, b"own"),
        ({"StreamFlags": 0}, b"notice own error fault"),
        ({"Pid": "one", "StreamFlags": "all", "MessageFilter": b"all"}, b"notice own error fault"),
    ],
)
async def test_activity_with_choice_only_chosen_entries(changes: dict[str, object], expected: bytes) -> None:
    phone = Phone()
    async with served(OsTraceRelay(), phone) as host:
        await start(host, **changes)
        phone.log.post(LogEntry("notice"))
        phone.log.post(LogEntry("own", pid=99))
        for level in (LogLevel.INFO, LogLevel.DEBUG, LogLevel.ERROR, LogLevel.FAULT):
            phone.log.post(LogEntry(level.name.lower(), level))
        words = [await receive_message(host) for _ in expected.split()]
        await settle()
    assert words == expected.split()
    assert await host.read() == b""


@pytest.mark.asyncio
async def test_activity_without_messages_in_its_filter_nothing_sent() -> None:
    phone = Phone()
    async with served(OsTraceRelay(), phone) as host:
        await start(host, MessageFilter=0xFFFB)
        phone.log.post(LogEntry("x"))
        await settle()
    assert await host.read() == b""


@pytest.mark.asyncio
async def test_slow_host_loses_records_and_is_told() -> None:
    phone = Phone(log=Hub(capacity=10))
    async with served(OsTraceRelay(), phone, window=256) as host:
        await start(host)
        phone.log.post(LogEntry("the first"))
        await settle()
        for index in range(100):
            phone.log.post(LogEntry(f"number {index}"))
        assert await receive_message(host) == b"the first"
        assert (await receive_message(host)).startswith(b"90 messages lost")
        assert [await receive_message(host) for _ in range(10)] == [b"number %d" % index for index in range(90, 100)]


@pytest.mark.asyncio
async def test_process_list_names_by_id_as_often_as_asked() -> None:
    async with served(OsTraceRelay({1: "/sbin/launchd", 300: "Notes"})) as host:
        for _ in range(2):
            await host.send({"Request": "PidList"})
            assert await receive_reply(host) == {
                "Status": "RequestSuccessful",
                "Payload": {"1": {"ProcessName": "launchd"}, "300": {"ProcessName": "Notes"}},
            }


@pytest.mark.asyncio
@pytest.mark.parametrize("request_name", ["CreateArchive", "Dance", 3])
async def test_other_request_refused(request_name: object) -> None:
    async with served(OsTraceRelay()) as host:
        await host.send({"Request": request_name})
        assert (await receive_reply(host))["Status"] != "RequestSuccessful"


@pytest.mark.asyncio
async def test_request_that_is_no_property_list_connection_ended() -> None:
    async with served(OsTraceRelay()) as host:
        await host.write(bytes(4))
        assert await host.is_left()
    assert host.blames == ["a property list of 0 bytes"]


@pytest.mark.asyncio
async def test_host_ends_mailbox_closed() -> None:
    phone = Phone()
    async with served(OsTraceRelay(), phone) as host:
        await start(host)
        assert phone.log.reader_count == 1
        host.end()
        await asyncio.sleep(0)
    assert phone.log.reader_count == 0
