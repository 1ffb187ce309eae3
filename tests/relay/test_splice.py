"""Names: `program` is the far end of the local socket, `daemon` the far end of the device socket."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from usbmux.relay import flow
from usbmux.relay.pipe import Pipe
from usbmux.relay.splice import Splice

_BUFFER_SIZE = 4096
_NEVER_S = 3600.0
_MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True, params=["pipes", "copies"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How many bytes at once are moved."""
    if not hasattr(os, "splice") and request.param == "pipes":
        pytest.skip("only Linux moves bytes between sockets")
    monkeypatch.setattr(flow, "_UNIX", None)  # as if these were sockets of another kind
    if request.param == "copies":
        monkeypatch.delattr(os, "splice", raising=False)
    return str(request.param)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes went into pipes, each time."""
    counts: list[int] = []
    fill = Pipe.fill

    def noted_fill(pipe: Pipe, source: socket.socket) -> int:
        counts.append(fill(pipe, source))
        return counts[-1]

    monkeypatch.setattr(Pipe, "fill", noted_fill)
    return counts


@dataclass
class Rig:
    program: socket.socket
    daemon: socket.socket
    splice: Splice
    task: asyncio.Task[None]

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self.task


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


@asynccontextmanager
async def _rig(*, linger_s: float = _NEVER_S, tcp: bool = False) -> AsyncIterator[Rig]:
    local, program = _tcp_pair() if tcp else socket.socketpair()
    device, daemon = socket.socketpair()
    splice = Splice(local, device, bytearray(_BUFFER_SIZE), linger_s=linger_s)
    task = asyncio.create_task(splice.run())
    with program, daemon:
        program.setblocking(False)
        daemon.setblocking(False)
        yield Rig(program, daemon, splice, task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert local.fileno() == device.fileno() == -1


async def _read(stream: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    async with asyncio.timeout(10):
        while len(data) < count:
            piece = await loop.sock_recv(stream, min(count - len(data), _MEBIBYTE))
            if not piece:
                break
            data += piece
    return data


async def _read_to_end(stream: socket.socket) -> bytes:
    return await _read(stream, 1 << 40)


async def _write(stream: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(10):
        await asyncio.get_running_loop().sock_sendall(stream, data)


def _fill(stream: socket.socket) -> int:
    """Write until the kernel takes no more."""
    count = 0
    while True:
        try:
            count += stream.send(bytes(65536))
        except BlockingIOError:
            return count


def _reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _noise(length: int) -> bytes:
    return bytes(range(251)) * (length // 251 + 1)


@pytest.mark.asyncio
async def test_open_bytes_each_way_arrive_and_are_counted() -> None:
    async with _rig() as rig:
        await _write(rig.program, b"question")
        assert await _read(rig.daemon, 8) == b"question"
        await _write(rig.daemon, b"the answer")
        assert await _read(rig.program, 10) == b"the answer"
        assert (rig.splice.bytes_to_device, rig.splice.bytes_to_local) == (8, 10)


@pytest.mark.asyncio
async def test_open_local_half_close_is_passed_on_and_the_answer_still_arrives() -> None:
    async with _rig() as rig:
        await _write(rig.program, b"request")
        rig.program.shutdown(socket.SHUT_WR)
        assert await _read_to_end(rig.daemon) == b"request"
        await _write(rig.daemon, b"late answer")
        assert await _read(rig.program, 11) == b"late answer"
        rig.daemon.close()
        assert await _read_to_end(rig.program) == b""
        await rig.ended()


@pytest.mark.asyncio
async def test_open_device_end_is_passed_on_and_ends_the_splice_when_the_program_closes() -> None:
    async with _rig() as rig:
        await _write(rig.daemon, b"last words")
        rig.daemon.close()
        assert await _read_to_end(rig.program) == b"last words"
        assert not rig.task.done()
        rig.program.close()
        await rig.ended()


@pytest.mark.asyncio
async def test_open_device_end_with_silent_program_ends_the_splice_after_the_linger() -> None:
    async with _rig(linger_s=0.01) as rig:
        rig.daemon.close()
        await rig.ended()
        assert await _read_to_end(rig.program) == b""


@pytest.mark.asyncio
async def test_device_ended_program_sends_more_it_is_thrown_away() -> None:
    async with _rig() as rig:
        rig.daemon.shutdown(socket.SHUT_WR)
        assert await _read_to_end(rig.program) == b""
        await _write(rig.program, b"too late")
        rig.program.close()
        await rig.ended()
        assert await _read_to_end(rig.daemon) == b""
        assert rig.splice.bytes_to_device == 0


@pytest.mark.asyncio
async def test_device_ended_program_still_sends_and_reads_everything_without_a_reset() -> None:
    """Closing with unread input would reset the connection and destroy what the program has not read yet."""
    data = _noise(64 * 1024)
    async with _rig(tcp=True) as rig:
        await _write(rig.daemon, data)
        rig.daemon.close()
        await _turns()
        await _write(rig.program, bytes(256 * 1024))
        assert await _read_to_end(rig.program) == data
        rig.program.close()
        await rig.ended()


@pytest.mark.asyncio
@pytest.mark.parametrize("towards_device", [True, False])
async def test_open_many_bytes_to_slow_reader_arrive_whole_after_the_writer_closed(towards_device: bool) -> None:
    data = _noise(4 * _MEBIBYTE)
    async with _rig() as rig:
        writer, reader = (rig.program, rig.daemon) if towards_device else (rig.daemon, rig.program)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write_and_close(writer, data))
            received = b""
            while piece := await _read(reader, 100_000):
                received += piece
                await _turns(2)
            assert received == data
            reader.close()
        await rig.ended()


async def _write_and_close(stream: socket.socket, data: bytes) -> None:
    await _write(stream, data)
    stream.close()


@pytest.mark.asyncio
async def test_reader_absent_writer_is_held_back_with_one_chunk_waiting() -> None:
    async with _rig() as rig:
        taken = 0
        while more := _fill(rig.daemon):
            taken += more
            await _turns()
        held_by_kernel = _fill_of_fresh_pair()
        assert taken <= 2 * held_by_kernel + _BUFFER_SIZE
        assert rig.splice.bytes_to_local < taken
        assert len(await _read(rig.program, taken)) == taken


def _fill_of_fresh_pair() -> int:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        return _fill(near) + 65536


@pytest.mark.asyncio
async def test_one_direction_blocked_other_direction_flows() -> None:
    async with _rig() as rig:
        while _fill(rig.daemon):
            await _turns()
        await _write(rig.program, b"still")
        assert await _read(rig.daemon, 5) == b"still"


@pytest.mark.asyncio
async def test_program_resets_after_writing_device_gets_what_was_read_then_the_end() -> None:
    async with _rig(tcp=True, linger_s=0.01) as rig:
        await _write(rig.program, b"before the reset")
        assert await _read(rig.daemon, 16) == b"before the reset"
        _reset(rig.program)
        assert await _read_to_end(rig.daemon) == b""
        await rig.ended()


@pytest.mark.asyncio
async def test_program_reset_daemon_keeps_sending_splice_ends_after_the_linger() -> None:
    async with _rig(tcp=True, linger_s=0.05) as rig:
        _reset(rig.program)
        with pytest.raises(BrokenPipeError):
            await _write(rig.daemon, bytes(1 << 30))
        await rig.ended()


@pytest.mark.asyncio
async def test_program_closed_early_with_bytes_on_the_way_device_gets_them_all() -> None:
    """The phone answers meanwhile, so that writing to the program fails before its last bytes are passed on."""
    data = _noise(2 * _MEBIBYTE)
    async with _rig() as rig:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write_and_close(rig.program, data))
            received = await _read(rig.daemon, 100_000)
            await _write(rig.daemon, b"an answer that nobody reads")
            await _turns()
            while len(received) < len(data) and (piece := await _read(rig.daemon, 100_000)):
                received += piece
                await _write(rig.daemon, b".")
            assert received == data
        assert await _read_to_end(rig.daemon) == b""
        rig.daemon.close()
        await rig.ended()


@pytest.mark.asyncio
async def test_daemon_closed_with_unread_input_program_gets_the_rest_of_the_answer() -> None:
    data = _noise(64 * 1024)
    async with _rig() as rig:
        await _write(rig.program, bytes(20_000))
        await _write(rig.daemon, data)
        await _turns(2)
        rig.daemon.close()
        assert await _read_to_end(rig.program) == data
        rig.program.close()
        await rig.ended()


@pytest.mark.asyncio
async def test_both_sides_blocked_device_end_lets_the_writing_program_go_on_to_its_answer() -> None:
    """A program that reads only after it has written everything must not hang when the phone ends early."""
    async with _rig() as rig:
        while _fill(rig.program):
            await _turns()
        await _write(rig.daemon, b"error: stop sending")
        rig.daemon.close()
        await _write(rig.program, bytes(4 * _MEBIBYTE))
        rig.program.shutdown(socket.SHUT_WR)
        assert await _read_to_end(rig.program) == b"error: stop sending"
        await rig.ended()


@pytest.mark.asyncio
async def test_open_cancelled_closes_both_sides() -> None:
    async with _rig() as rig:
        await _write(rig.program, b"x")
        assert await _read(rig.daemon, 1) == b"x"
        rig.task.cancel()
        assert await _read_to_end(rig.daemon) == b""
        assert await _read_to_end(rig.program) == b""


@pytest.mark.asyncio
async def test_open_many_bytes_at_once_go_through_pipes_and_all_descriptors_are_given_back(
    way: str, filled: list[int]
) -> None:
    before = len(os.listdir("/dev/fd"))
    async with _rig() as rig:
        writing = asyncio.create_task(_write(rig.program, _noise(_MEBIBYTE)))
        assert await _read(rig.daemon, _MEBIBYTE) == _noise(_MEBIBYTE)[:_MEBIBYTE]
        await writing
    assert (sum(filled) > _MEBIBYTE // 2) == (way == "pipes")
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.asyncio
@pytest.mark.parametrize("source", ["program", "daemon"])
async def test_open_many_bytes_of_a_unix_socket_are_copied(
    way: str, monkeypatch: pytest.MonkeyPatch, filled: list[int], source: str
) -> None:
    monkeypatch.setattr(flow, "_UNIX", socket.AF_UNIX)
    async with _rig(tcp=True) as rig:
        writer, reader = (rig.program, rig.daemon) if source == "program" else (rig.daemon, rig.program)
        writing = asyncio.create_task(_write(writer, _noise(_MEBIBYTE)))
        assert await _read(reader, _MEBIBYTE) == _noise(_MEBIBYTE)[:_MEBIBYTE]
        await writing
    assert (sum(filled) > _MEBIBYTE // 2) == (way == "pipes" and source == "program")


@pytest.mark.asyncio
async def test_open_many_bytes_wait_sink_breaks_nothing_stays() -> None:
    before = len(os.listdir("/dev/fd"))
    async with _rig() as rig:
        _fill(rig.daemon)
        await _turns()
        rig.program.close()
        rig.daemon.close()
        await rig.ended()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.asyncio
async def test_splices_sharing_a_scratch_buffer_keep_their_bytes_apart() -> None:
    scratch = bytearray(_BUFFER_SIZE)
    pairs = [(socket.socketpair(), socket.socketpair()) for _ in range(8)]
    splices = [Splice(local[0], device[0], scratch) for local, device in pairs]
    tasks = [asyncio.create_task(splice.run()) for splice in splices]
    contents = [bytes([number]) * _MEBIBYTE for number in range(len(pairs))]
    for local, device in pairs:
        local[1].setblocking(False)
        device[1].setblocking(False)
    writers = [
        asyncio.create_task(_write_and_close(device[1], content))
        for (_, device), content in zip(pairs, contents, strict=True)
    ]
    await _turns(400)  # until every chunk waits
    received = await asyncio.gather(*(_read_to_end(local[1]) for local, _ in pairs))
    assert received == contents
    for local, _ in pairs:
        local[1].close()
    await asyncio.gather(*writers, *tasks)
