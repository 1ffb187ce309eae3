"""The service over a stream."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.testing.iphone.afc.afc_host import HEADER, AfcHost, numbers, packet
from tests.testing.iphone.afc.afc_stream import ask, opened, read_answer
from tests.testing.iphone.services.scene import Phone, Values, served
from usbmux.testing.iphone.afc.codec import HEADER_LENGTH, Operation, Status
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.file_tree import LockKind, OpenMode
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.service import AfcService
from usbmux.testing.ports import pattern

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Modelled(Phone):
    """A phone that knows its model."""

    identity: Values = field(default_factory=lambda: Values({(None, "ProductType"): "iPhone14,5"}))


@pytest.mark.asyncio
async def test_new_phone_has_the_directories_of_a_phone_and_its_model() -> None:
    async with served(AfcService(), Modelled()) as host:
        assert "DCIM" in (await ask(host, Operation.READ_DIRECTORY, b"/")).texts
        assert (await ask(host, Operation.DEVICE_INFO)).pairs["Model"] == "iPhone14,5"


@pytest.mark.asyncio
@pytest.mark.parametrize("window", [1, 100, 65536])
async def test_file_written_and_read_through_any_window_is_the_same(window: int) -> None:
    data = bytes(pattern(20 * window if window < 65536 else 3 * MEGABYTE))
    async with served(AfcService(), window=window) as host:
        handle = await opened(host, b"/f", OpenMode.READ_TRUNCATE)
        assert (await ask(host, Operation.WRITE, numbers(handle), data)).status is Status.OK
        assert (await ask(host, Operation.SEEK, numbers(handle, 0, 0))).status is Status.OK
        assert (await ask(host, Operation.READ, numbers(handle, len(data)))).data == data


@pytest.mark.asyncio
@pytest.mark.slow
async def test_64_megabytes_in_one_packet_each_way_keep_their_digest(tmp_path: Path) -> None:
    piece, digest = bytes(pattern(MEGABYTE)), hashlib.sha256()
    async with served(AfcService(DirectoryTree(tmp_path))) as host:
        handle = await opened(host, b"/f", OpenMode.READ_TRUNCATE)
        length = HEADER_LENGTH + 8 + 64 * MEGABYTE
        await host.write(HEADER.pack(b"CFA6LPAA", length, 48, 1, Operation.WRITE) + numbers(handle))
        for _ in range(64):
            digest.update(piece)
            await host.write(piece)
        assert (await read_answer(host)).status is Status.OK
        await ask(host, Operation.SEEK, numbers(handle, 0, 0))
        await host.write(packet(Operation.READ, numbers(handle, 1 << 40)))
        header = await host.readexactly(HEADER_LENGTH)
        assert HEADER.unpack(header)[1] == HEADER_LENGTH + 64 * MEGABYTE
        back, missing = hashlib.sha256(), 64 * MEGABYTE
        while missing:
            data = await host.read()
            back.update(data)
            missing -= len(data)
        assert back.digest() == digest.digest()


@pytest.mark.asyncio
async def test_host_that_does_not_read_stops_the_phone_and_nothing_is_lost() -> None:
    tree = MemoryTree({"f": bytes(pattern(MEGABYTE))})
    async with served(AfcService(tree), window=1000) as host:
        handle = await opened(host, b"/f", OpenMode.READ)
        await host.write(packet(Operation.READ, numbers(handle, MEGABYTE)))
        for number in range(20):
            await host.write(packet(Operation.DEVICE_INFO, number=number))
        assert (await read_answer(host)).data == pattern(MEGABYTE)
        assert [(await read_answer(host)).packet_number for _ in range(20)] == list(range(20))


@pytest.mark.asyncio
async def test_host_that_leaves_gives_up_its_locks() -> None:
    service = AfcService(MemoryTree({"f": b""}))
    async with served(service) as first:
        handle = await opened(first, b"/f", OpenMode.READ)
        assert (await ask(first, Operation.LOCK, numbers(handle, LockKind.EXCLUSIVE))).status is Status.OK
    other = AfcHost(service.tree)
    assert other.handle_status(Operation.LOCK, other.open("/f"), LockKind.EXCLUSIVE) is Status.OK


@pytest.mark.asyncio
async def test_two_hosts_see_the_same_files() -> None:
    service = AfcService()
    async with served(service) as first, served(service) as second:
        await ask(first, Operation.MAKE_DIRECTORY, b"/shared")
        assert "shared" in (await ask(second, Operation.READ_DIRECTORY, b"/")).texts


@pytest.mark.asyncio
async def test_host_that_speaks_something_else_is_left() -> None:
    async with served(AfcService()) as host:
        await host.write(b"GET / HTTP/1.0\r\n\r\n")
        assert await host.is_left()
    assert host.blames == ["no AFC packet"]


@pytest.mark.asyncio
async def test_faults_concern_the_connections_to_come() -> None:
    service = AfcService()
    async with served(service) as before:
        await ask(before, Operation.DEVICE_INFO)
        service.faults = AfcFaults(packet_number_offset=1)
        async with served(service) as after:
            assert (await ask(before, Operation.DEVICE_INFO)).packet_number == 1
            assert (await ask(after, Operation.DEVICE_INFO)).packet_number == 2
