"""Captures of a running daemon: begun, ended and not read while phones are being used."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import CAPTURE_BACKLOG, OTHER_UDID, UDID, some_bytes, until
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.testing import SimulatedPhone, echo, pattern, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness, RawClient

pytestmark = pytest.mark.asyncio

ECHO, SOURCE = 7, 19
PCAPNG = b'{"command": "capture"}\n'
LINES = b'{"command": "capture", "udid": null, "format": "lines"}\n'
JSON = b'{"command": "capture", "format": "json"}\n'
SECTION_HEADER = b"\n\r\r\n"


def phone(udid: str = UDID) -> SimulatedPhone:
    return SimulatedPhone(udid, ports={ECHO: echo, SOURCE: source})


async def capture(harness: Harness, request: bytes = LINES) -> RawClient:
    """A client whose capture has begun."""
    admin = await harness.admin()
    await admin.send(request)
    assert await admin.receive_line() == b'{"ok": true}\n'
    return admin


async def finish(admin: RawClient) -> list[str]:
    """Ask for the end and return the lines of the capture, without their times."""
    admin.shut_down_writing()
    return without_times(await admin.receive_to_end())


def without_times(data: bytes) -> list[str]:
    return [line[27:] for line in data.decode().splitlines()]


async def use_echo(harness: Harness, word: bytes, device_id: int = 1) -> None:
    client = await harness.stream(ECHO, device_id=device_id)
    await client.send(word)
    assert await client.receive_exactly(len(word)) == word


async def use_source(harness: Harness, length: int) -> None:
    client = await harness.stream(SOURCE)
    await client.send(length.to_bytes(8))
    assert await client.receive_exactly(length) == pattern(length)


async def test_phone_used_before_and_meanwhile_the_capture_has_the_rest(serve: Serve) -> None:
    harness = await serve(phone())
    await use_echo(harness, b"before")
    admin = await capture(harness)
    await use_echo(harness, b"mean while")
    lines = await finish(admin)
    assert lines[0] == f"{UDID} --  link joined while under way at 1-1, 480000000 bit/s"
    assert [line for line in lines if " length 10 " in line]
    assert not [line for line in lines if " length 6 " in line]
    await harness.quiet()


async def test_one_phone_chosen_the_other_is_left_out(serve: Serve) -> None:
    harness = await serve(phone(), phone(OTHER_UDID))
    await harness.attached()
    admin = await capture(harness, LINES.replace(b"null", b'"' + OTHER_UDID.encode() + b'"'))
    for device_id in (1, 2):
        await use_echo(harness, b"word", device_id)
    lines = await finish(admin)
    assert lines
    assert all(line.startswith(OTHER_UDID) for line in lines)


async def test_phones_come_and_go_meanwhile_their_links_are_told(serve: Serve) -> None:
    first, second = phone(), phone(OTHER_UDID)
    harness = await serve(first)
    await harness.attached()
    admin = await capture(harness)
    harness.bus.unplug(first)
    await harness.attached(0)
    harness.bus.plug(second)
    await harness.attached(1)
    harness.bus.plug(first)
    await harness.attached(2)
    lines = await finish(admin)
    assert [line for line in lines if " --  " in line] == [
        f"{UDID} --  link joined while under way at 1-1, 480000000 bit/s",
        f"{UDID} --  link ended: 1-1 (05ac:12a8) was unplugged",
        f"{OTHER_UDID} --  link opened at 1-2, 480000000 bit/s",
        f"{UDID} --  link opened at 1-1, 480000000 bit/s",
    ]


async def test_two_captures_each_has_what_crossed_while_it_was_on(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    first = await capture(harness)
    await use_echo(harness, b"1")
    second = await capture(harness)
    await use_echo(harness, b"22")
    first_lines = await finish(first)
    await use_echo(harness, b"333")
    second_lines = await finish(second)

    def lengths(lines: list[str]) -> list[str]:
        return [length for line in lines for length in re.findall(r" out .* length ([1-9])", line)]

    assert lengths(first_lines) == ["1", "2"]
    assert lengths(second_lines) == ["2", "3"]


async def test_pcapng_is_asked_for_stream_is_whole_blocks_from_header_to_statistics(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    admin = await capture(harness, PCAPNG)
    await use_echo(harness, some_bytes(50_000))
    admin.shut_down_writing()
    data = await admin.receive_to_end()
    assert data.startswith(SECTION_HEADER)
    reader = PcapngReader()
    assert reader.receive_data(data) == data
    assert reader.packets > 4
    assert reader.dropped == 0
    assert int.from_bytes(data[-52:-48], "little") == 5


async def test_json_is_asked_for_every_line_is_an_object_and_tells_what_the_lines_tell(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    lines, objects = await capture(harness), await capture(harness, JSON)
    await use_echo(harness, some_bytes(50_000))
    told = await finish(lines)
    objects.shut_down_writing()
    found = [json.loads(line) for line in (await objects.receive_to_end()).splitlines()]
    assert len(found) >= len(told) > 4
    assert (found[0]["what"], found[0]["udid"]) == ("link_joined", UDID)
    for line, each in zip(told[1:], found[1:], strict=False):
        assert line.startswith(f"{UDID} {each['direction']:3} {each['source_port']} > {each['destination_port']}: ")
        assert f" seq {each['seq']}" in line
        assert f" ack {each['ack']} win {each['window']} length {each['length']}" in line
        assert f"(tx {each['tx_seq']} rx {each['rx_seq']})" in line


async def test_json_is_not_read_the_missing_objects_are_counted(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    sleeping, awake = await capture(harness, JSON), await capture(harness, JSON)
    reading = asyncio.create_task(awake.receive_to_end())
    client = await harness.stream(ECHO)
    for _ in range(1500):  # at least two objects each time, of 300 bytes
        await client.send(b"word")
        await client.receive_exactly(4)
    for admin in (sleeping, awake):
        admin.shut_down_writing()
    kept, everything = [
        [json.loads(line) for line in data.splitlines()] for data in (await sleeping.receive_to_end(), await reading)
    ]

    def dropped(objects: list[dict[str, object]]) -> list[int]:
        return [int(str(each["count"])) for each in objects if each["what"] == "lines_dropped"]

    def crossed(objects: list[dict[str, object]]) -> int:
        return len(objects) - len(dropped(objects)) + sum(dropped(objects))

    assert sum(dropped(kept)) > 0
    assert crossed(kept) == crossed(everything)
    await harness.quiet()


async def test_capture_gets_another_request_it_ends(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    admin = await capture(harness)
    await admin.send(PCAPNG)
    assert len(without_times(await admin.receive_to_end())) == 1
    await harness.quiet()


@pytest.mark.parametrize("more", [PCAPNG, b"{"])
async def test_more_came_with_the_request_the_capture_ends_and_has_nothing_else_in_it(
    serve: Serve, more: bytes
) -> None:
    harness = await serve(phone())
    await harness.attached()
    admin = await capture(harness, PCAPNG + more)
    data = await admin.receive_to_end()
    assert PcapngReader().receive_data(data) == data
    await harness.quiet()


async def test_capture_is_not_read_streams_go_on_and_the_missing_packets_are_counted(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    sleeping, awake = await capture(harness, PCAPNG), await capture(harness, PCAPNG)
    received = bytearray()

    async def read() -> None:
        received.extend(await awake.receive_to_end())

    reading = asyncio.create_task(read())
    await use_source(harness, 8 * CAPTURE_BACKLOG)
    for admin in (sleeping, awake):
        admin.shut_down_writing()
    await reading
    kept = await sleeping.receive_to_end()
    assert len(kept) < 4 * CAPTURE_BACKLOG
    readers = [PcapngReader(), PcapngReader()]
    for reader, data in zip(readers, (kept, bytes(received)), strict=True):
        assert reader.receive_data(data) == data
    assert readers[0].dropped > 0
    assert readers[0].packets + readers[0].dropped == readers[1].packets + readers[1].dropped
    await harness.quiet()


async def test_capture_is_not_read_and_its_client_is_gone_the_other_one_goes_on(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    gone, staying = await capture(harness, PCAPNG), await capture(harness)
    await use_source(harness, 4 * CAPTURE_BACKLOG)
    gone.close()
    await use_echo(harness, b"word")
    lines = await finish(staying)
    assert [line for line in lines if " length 4 " in line]
    await harness.quiet()


async def test_client_is_gone_before_anything_crossed_the_next_packet_finds_no_listener(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    admin = await capture(harness)
    admin.close()
    await until(lambda: not harness.daemon.hub._sinks)
    await use_echo(harness, b"word")
    await harness.quiet()


async def test_daemon_ends_capture_tells_how_the_links_did(serve: Serve) -> None:
    harness = await serve(phone())
    await harness.attached()
    lines, blocks = await capture(harness), await capture(harness, PCAPNG)
    await harness.daemon.close()
    assert without_times(await lines.receive_to_end())[-1] == f"{UDID} --  link ended: closed by us"
    reader = PcapngReader()
    data = await blocks.receive_to_end()
    assert reader.receive_data(data) == data
    assert (reader.packets, reader.dropped) == (2, 0)
