"""com.apple.syslog_relay over a stream in memory."""

import pytest

from tests.testing.iphone.services.scene import Host, Phone, Values, served, settle
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel
from usbmux.testing.iphone.services.syslog_line import encode
from usbmux.testing.iphone.services.syslog_relay import syslog_relay


@pytest.mark.asyncio
async def test_entries_posted_lines_in_order() -> None:
    phone = Phone()
    entries = [LogEntry(f"number {index}") for index in range(100)]
    async with served(syslog_relay, phone) as host:
        await settle()
        for entry in entries:
            phone.log.post(entry)
        expected = b"".join(encode(entry, "Ann's iPhone") for entry in entries)
        assert await host.readexactly(len(expected)) == expected


@pytest.mark.asyncio
async def test_entries_below_notice_not_sent() -> None:
    phone = Phone()
    async with served(syslog_relay, phone) as host:
        await settle()
        for level in LogLevel:
            phone.log.post(LogEntry(level.name, level))
        await settle()
        words = [line.split(b": ")[1] for line in (await host.read()).split(b"\n\0")[:-1]]
    assert words == [b"NOTICE", b"ERROR", b"FAULT"]


@pytest.mark.asyncio
async def test_phone_without_name_called_iphone() -> None:
    phone = Phone(identity=Values({}))
    async with served(syslog_relay, phone) as host:
        await settle()
        phone.log.post(LogEntry("x"))
        assert (await host.read()).split()[3] == b"iPhone"


@pytest.mark.asyncio
async def test_host_that_talks_and_ends_mailbox_closed() -> None:
    phone = Phone()
    async with served(syslog_relay, phone) as host:
        await host.write(b"watch\n")
        await settle()
        assert phone.log.reader_count == 1
    assert phone.log.reader_count == 0


@pytest.mark.asyncio
async def test_slow_host_loses_lines_and_is_told() -> None:
    phone = Phone(log=Hub(capacity=10))
    async with served(syslog_relay, phone, window=64) as host:
        await settle()
        phone.log.post(LogEntry("the first"))
        await settle()  # it fills the window, so the relay waits for the host
        for index in range(100):
            phone.log.post(LogEntry(f"number {index}"))
        lines: list[bytes] = []
        while not lines or not lines[-1].endswith(b"number 99"):
            lines.append(await read_line(host))
    assert lines[0].endswith(b"the first")
    assert b"logd[31] <Fault>: 90 messages lost" in lines[1]
    assert [line.rsplit(b" ", 1)[1] for line in lines[2:]] == [b"%d" % index for index in range(90, 100)]


@pytest.mark.asyncio
async def test_slow_host_ends_while_a_line_is_sent_relay_ends() -> None:
    phone = Phone()
    async with served(syslog_relay, phone, window=8):
        await settle()
        phone.log.post(LogEntry("longer than the window"))
        await settle()
    assert phone.log.reader_count == 0


async def read_line(host: Host) -> bytes:
    line = b""
    while not line.endswith(b"\n\0"):
        line += await host.readexactly(1)
    return line[:-2]
