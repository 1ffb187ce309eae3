"""Recordings of a daemon, replayed to a fresh one; and what a host does otherwise is told."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.capture.serving import (
    CLOSED,
    DIGEST,
    ECHO,
    HARD,
    SENT,
    SOURCE,
    SOURCE_LENGTH,
    ask,
    phone,
    serving,
    use_every_port,
)
from usbmux.capture.output import open_output
from usbmux.capture.recording import RecordedLink, Recorder, read_recording
from usbmux.errors import PortRefusedError, UsbmuxError
from usbmux.mux.packet import HEADER_LENGTH
from usbmux.testing import PhoneOptions, ReplayedDevice, SimulatedPhone, pattern

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from usbmux import AsyncClient
    from usbmux.mux.segment import Segment

pytestmark = pytest.mark.asyncio

versions = pytest.mark.parametrize("version", [1, 2])
FACES = PhoneOptions(magic=0xFACEFACE, acknowledge="received", split_transfers=700)


async def record(
    folder: Path, what: Callable[[AsyncClient], Awaitable[None]], simulated: SimulatedPhone
) -> list[RecordedLink]:
    path = folder / "recording"
    output = open_output(str(path))
    async with serving(folder, simulated, Recorder(output)) as client:
        await what(client)
    output.close()
    assert not simulated.violations
    return read_recording(path)


async def replay(folder: Path, what: Callable[[AsyncClient], Awaitable[None]], device: ReplayedDevice) -> None:
    async with serving(folder, device) as client:
        await what(client)


async def echo_a_word(client: AsyncClient) -> None:
    assert await ask(client, ECHO, b"word", 4) == b"word"


@versions
@pytest.mark.parametrize("options", [None, HARD, FACES], ids=["plain", "hard", "faces"])
async def test_client_does_the_same_gets_the_same(tmp_path: Path, version: int, options: PhoneOptions | None) -> None:
    device = ReplayedDevice(await record(tmp_path, use_every_port, phone(version, options)))
    await replay(tmp_path, use_every_port, device)
    assert device.departures == []
    assert device.waits_for is None


@versions
async def test_client_uses_ports_in_another_order_gets_what_belongs_to_each(tmp_path: Path, version: int) -> None:
    async def at_once(client: AsyncClient) -> None:
        echoed, digested = await asyncio.gather(
            ask(client, ECHO, SENT, len(SENT)), ask(client, DIGEST, len(SENT).to_bytes(8) + SENT, 32)
        )
        assert echoed == SENT
        assert digested == hashlib.sha256(SENT).digest()

    async def the_other_way_round(client: AsyncClient) -> None:
        digested, echoed = await asyncio.gather(
            ask(client, DIGEST, len(SENT).to_bytes(8) + SENT, 32), ask(client, ECHO, SENT, len(SENT))
        )
        assert echoed == SENT
        assert digested == hashlib.sha256(SENT).digest()

    links = await record(tmp_path, at_once, phone(version))
    device = ReplayedDevice(links)
    await replay(tmp_path, the_other_way_round, device)
    assert device.departures == []


async def test_client_reads_slowly_phone_keeps_to_its_window(tmp_path: Path) -> None:
    async def at_once(client: AsyncClient) -> None:
        assert await ask(client, SOURCE, SOURCE_LENGTH.to_bytes(8), SOURCE_LENGTH) == pattern(SOURCE_LENGTH)

    async def slowly(client: AsyncClient) -> None:
        reader, writer = await client.connect(None, SOURCE)
        writer.write(SOURCE_LENGTH.to_bytes(8))
        received = bytearray()
        while data := await reader.read(999):
            received += data
            await asyncio.sleep(0)
        assert bytes(received) == pattern(SOURCE_LENGTH)
        writer.close()

    device = ReplayedDevice(await record(tmp_path, at_once, phone()))
    await replay(tmp_path, slowly, device)
    assert device.departures == []


async def test_client_sends_other_data_it_is_told_where_and_reset(tmp_path: Path) -> None:
    async def another_word(client: AsyncClient) -> None:
        reader, writer = await client.connect(None, ECHO)
        writer.write(b"worse")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(5)
        writer.close()
        await echo_a_word(client)

    async def two_words(client: AsyncClient) -> None:
        await echo_a_word(client)
        await echo_a_word(client)

    device = ReplayedDevice(await record(tmp_path, two_words, phone()))
    await replay(tmp_path, another_word, device)
    assert device.departures == ["on a connection to port 7 the host sent b'se' at byte 3 of its stream, expected b'd'"]


async def test_client_sends_more_it_is_told_how_much(tmp_path: Path) -> None:
    async def a_longer_word(client: AsyncClient) -> None:
        reader, writer = await client.connect(None, ECHO)
        writer.write(b"words!")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(6)
        writer.close()

    device = ReplayedDevice(await record(tmp_path, echo_a_word, phone()))
    await replay(tmp_path, a_longer_word, device)
    assert device.departures == ["on a connection to port 7 the host sent 2 bytes more than the 4 that were recorded"]


@versions
async def test_client_connects_to_another_port_is_refused_and_told(tmp_path: Path, version: int) -> None:
    async def elsewhere_first(client: AsyncClient) -> None:
        with pytest.raises(PortRefusedError):
            await client.connect(None, CLOSED)
        await echo_a_word(client)

    device = ReplayedDevice(await record(tmp_path, echo_a_word, phone(version)))
    await replay(tmp_path, elsewhere_first, device)
    assert device.departures == [
        "the host connected once more: the recording has no further connection to port 8",
    ]
    assert device.waits_for is None


async def test_client_leaves_early_it_is_told_what_it_left(tmp_path: Path) -> None:
    async def the_whole(client: AsyncClient) -> None:
        assert len(await ask(client, SOURCE, SOURCE_LENGTH.to_bytes(8), SOURCE_LENGTH)) == SOURCE_LENGTH

    async def nothing_of_it(client: AsyncClient) -> None:
        _reader, writer = await client.connect(None, SOURCE)
        writer.close()
        await writer.wait_closed()

    device = ReplayedDevice(await record(tmp_path, the_whole, phone()))
    await replay(tmp_path, nothing_of_it, device)
    (departure,) = device.departures
    assert departure.startswith("the host reset its connection to port 19 (")
    assert departure.endswith(") with 8 bytes still to send")


async def test_client_does_nothing_it_is_told_what_is_missing(tmp_path: Path) -> None:
    async def nothing(client: AsyncClient) -> None:
        assert len(await client.devices()) == 1

    device = ReplayedDevice(await record(tmp_path, echo_a_word, phone()))
    assert device.waits_for == "the host to open the pipe"
    await replay(tmp_path, nothing, device)
    assert device.departures == []
    assert device.waits_for is not None
    assert device.waits_for.endswith(" of the recording waits for the host to connect to port 7")


async def test_phone_that_sent_rubbish_before_its_answer_does_so_again(tmp_path: Path) -> None:
    (link,) = await record(tmp_path, echo_a_word, phone())
    offer, answer, *rest = link.transfers
    rubbish = replace(answer, data=b"\xff" * 600)
    device = ReplayedDevice([RecordedLink(link.info, [offer, rubbish, answer, *rest])])
    await replay(tmp_path, echo_a_word, device)
    assert device.departures == []
    assert device.waits_for is None


def one_byte_ahead(segment: Segment) -> Segment:
    return segment._replace(seq=segment.seq + 1) if segment.payload else segment


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (PhoneOptions(tamper=one_byte_ahead), "expected seq"),
        (PhoneOptions(max_segment=65_508), "mux packet with impossible length"),
    ],
    ids=["wrong sequence", "lost framing"],
)
async def test_phone_that_broke_a_rule_breaks_it_again(
    tmp_path: Path, options: PhoneOptions, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def in_vain(client: AsyncClient) -> None:
        reader, writer = await client.connect(None, SOURCE)
        writer.write((80_000).to_bytes(8))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(80_000)
        writer.close()

    def complaints() -> list[str]:
        return [record.getMessage() for record in caplog.records if complaint in record.getMessage()]

    path = tmp_path / "recording"
    output = open_output(str(path))
    async with serving(tmp_path, phone(2, options), Recorder(output)) as client:
        await in_vain(client)
    output.close()
    recorded = complaints()
    caplog.clear()
    device = ReplayedDevice.load(path)
    await replay(tmp_path, in_vain, device)
    assert recorded
    assert complaints() == recorded
    assert device.departures == []


async def test_pipe_opened_once_more_is_told(tmp_path: Path) -> None:
    (link,) = await record(tmp_path, echo_a_word, phone())
    device = ReplayedDevice([link])
    for _ in range(2):
        device.connected(lambda data: None)
        device.bulk_out(b"x")
        device.disconnected()
    assert device.departures[-1] == "the host opened the pipe once more than in the recording"
    assert device.waits_for is None


async def test_recording_was_edited_segment_of_the_host_cannot_be_read_it_is_refused(tmp_path: Path) -> None:
    (link,) = await record(tmp_path, echo_a_word, phone(1))
    index = next(index for index, transfer in enumerate(link.transfers) if transfer.data.endswith(b"word"))
    data_offset = HEADER_LENGTH[1] + 12
    broken = link.transfers[index].data[:data_offset] + b"\0" + link.transfers[index].data[data_offset + 1 :]
    link.transfers[index] = replace(link.transfers[index], data=broken)
    with pytest.raises(UsbmuxError, match=f"link 0, transfer {index}: the host's TCP header with data offset 0"):
        ReplayedDevice([link])


async def test_recording_of_two_phones_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    output = open_output(str(path))
    recorder = Recorder(output)
    info = phone().info
    recorder.link_opened(info, 0)
    recorder.link_opened(replace(info, serial_number="other", connection_speed=5_000_000_000), 0)
    with pytest.raises(UsbmuxError, match="expected the links of one phone, found 00008030-001A2B3C4D5E6F01, other"):
        ReplayedDevice.load(path)
    with pytest.raises(UsbmuxError, match="found none"):
        ReplayedDevice.load(path, "nobody")
    assert ReplayedDevice.load(path, "other").max_packet_size == 1024
    assert ReplayedDevice.load(path, info.serial_number).max_packet_size == 512
