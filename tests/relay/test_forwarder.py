from __future__ import annotations

import asyncio
import logging
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.client.aio import AsyncClient
from usbmux.relay.forwarder import Forwarder
from usbmux.relay.mapping import PortMapping

if TYPE_CHECKING:
    from tests.relay.scripted_daemon import ScriptedDaemon

_ECHO = PortMapping(device_port=7, local_port=0)
_COUNT = PortMapping(device_port=9, local_port=0)
_CLOSED = PortMapping(device_port=10, local_port=0)


def _forwarder(
    daemon: ScriptedDaemon, *mappings: PortMapping, udid: str | None = None, wait_s: float = 10
) -> Forwarder:
    routes = [mapping.route(udid=udid) for mapping in mappings or (_ECHO,)]
    return Forwarder(AsyncClient(daemon.address), routes, wait_s=wait_s)


async def _ask(forwarder: Forwarder, request: bytes, index: int = 0) -> bytes:
    """Send a request through a listening port, end it, and return all of the answer."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[index].port)
        try:
            writer.write(request)
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()


@pytest.mark.asyncio
async def test_phone_attached_connection_is_joined_with_its_port(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon) as forwarder:
        assert await _ask(forwarder, b"hello") == b"hello"


@pytest.mark.asyncio
async def test_program_half_closes_answer_still_arrives(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon, _COUNT) as forwarder:
        assert await _ask(forwarder, bytes(3 << 20)) == b"3145728 bytes"


@pytest.mark.asyncio
async def test_two_mappings_each_listening_port_leads_to_its_own(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon, _ECHO, _COUNT) as forwarder:
        assert [listening.device_port for listening in forwarder.listening_ports] == [7, 9]
        assert {listening.address for listening in forwarder.listening_ports} == {"127.0.0.1"}
        assert await _ask(forwarder, b"hello", 0) == b"hello"
        assert await _ask(forwarder, b"hello", 1) == b"5 bytes"


@pytest.mark.asyncio
async def test_hundred_connections_at_once_keep_their_bytes_apart(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    requests = [b"%d" % number * 5000 for number in range(100)]
    async with _forwarder(daemon) as forwarder:
        assert await asyncio.gather(*(_ask(forwarder, request) for request in requests)) == requests


@pytest.mark.asyncio
async def test_port_refused_closes_that_connection_only_and_says_so(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon, _CLOSED, _ECHO) as forwarder:
        assert await _ask(forwarder, b"", 0) == b""
        assert "A refused the connection to port 10" in caplog.text
        assert await _ask(forwarder, b"hello", 1) == b"hello"


@pytest.mark.asyncio
async def test_several_phones_and_none_named_closes_the_connection_naming_them(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.attach(1, "A")
    daemon.attach(2, "B")
    async with _forwarder(daemon) as forwarder:
        assert await _ask(forwarder, b"") == b""
    assert "several phones are attached: A at 1-4, B at 1-4" in caplog.text


@pytest.mark.asyncio
async def test_several_phones_named_one_is_reached(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.attach(2, "B")
    async with _forwarder(daemon, udid="B") as forwarder:
        assert await _ask(forwarder, b"hello") == b"hello"


@pytest.mark.asyncio
async def test_phone_absent_connection_waits_until_it_comes_without_polling(daemon: ScriptedDaemon) -> None:
    async with _forwarder(daemon, udid="A") as forwarder:
        answer = asyncio.create_task(_ask(forwarder, b"hello"))
        await daemon.wait_listener()
        daemon.attach(1, "B")
        await asyncio.sleep(0)
        daemon.attach(2, "A")
        assert await answer == b"hello"
    assert daemon.requests["Listen"] == 1
    # Once at first, once when watching began, and for each of the two phones at most.
    assert daemon.requests["ListDevices"] <= 5


@pytest.mark.asyncio
async def test_phone_absent_two_connections_wait_on_one_watch(daemon: ScriptedDaemon) -> None:
    async with _forwarder(daemon) as forwarder:
        first = asyncio.create_task(_ask(forwarder, b"first"))
        await daemon.wait_listener()
        second = asyncio.create_task(_ask(forwarder, b"second"))
        await daemon.wait_requests("ListDevices", 4)
        daemon.attach(1, "A")
        assert list(await asyncio.gather(first, second)) == [b"first", b"second"]
    assert daemon.requests["Listen"] == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("wait_s", [0, 0.05])
async def test_phone_absent_wait_over_closes_the_connection_and_says_so(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture, wait_s: float
) -> None:
    async with _forwarder(daemon, wait_s=wait_s) as forwarder:
        assert await _ask(forwarder, b"") == b""
        assert "no phone is attached" in caplog.text
        daemon.attach(1, "A")
        assert await _ask(forwarder, b"hello") == b"hello"


@pytest.mark.asyncio
async def test_phone_replugged_under_another_number_next_connection_reaches_it(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon, udid="A") as forwarder:
        assert await _ask(forwarder, b"before") == b"before"
        daemon.detach(1)
        daemon.attach(2, "A")
        assert await _ask(forwarder, b"after") == b"after"


@pytest.mark.asyncio
async def test_daemon_hangs_up_running_connection_ends_and_forwarder_goes_on(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon) as forwarder:
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[0].port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await daemon.stop()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await daemon.start()
        daemon.attach(1, "A")
        assert await _ask(forwarder, b"hello") == b"hello"


@pytest.mark.asyncio
async def test_daemon_away_connection_waits_until_it_is_back(daemon: ScriptedDaemon) -> None:
    await daemon.stop()
    async with _forwarder(daemon) as forwarder:
        answer = asyncio.create_task(_ask(forwarder, b"hello"))
        await asyncio.sleep(0)
        daemon.attach(1, "A")
        await daemon.start()
        assert await answer == b"hello"


@pytest.mark.asyncio
async def test_daemon_restarts_while_a_connection_waits_the_phone_is_noticed(daemon: ScriptedDaemon) -> None:
    async with _forwarder(daemon, udid="A") as forwarder:
        answer = asyncio.create_task(_ask(forwarder, b"hello"))
        await daemon.wait_listener()
        await daemon.stop()
        await daemon.start()
        await daemon.wait_listener()
        daemon.attach(1, "A")
        assert await answer == b"hello"


@pytest.mark.asyncio
async def test_daemon_away_and_wait_over_closes_the_connection(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    await daemon.stop()
    async with _forwarder(daemon, wait_s=0.05) as forwarder:
        assert await _ask(forwarder, b"") == b""
    assert "no usbmux daemon at" in caplog.text


@pytest.mark.asyncio
async def test_left_ports_and_connections_are_closed_also_waiting_ones(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with _forwarder(daemon) as forwarder:
        port = forwarder.listening_ports[0].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        daemon.detach(1)
        waiting = asyncio.create_task(_ask(forwarder, b""))
        await daemon.wait_listener()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
        assert await waiting == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.asyncio
async def test_port_taken_nothing_stays_bound(daemon: ScriptedDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        free_port, taken_port = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        forwarder = _forwarder(daemon, PortMapping(7, free_port), PortMapping(9, taken_port))
        with pytest.raises(OSError, match=str(taken_port)):
            await forwarder.__aenter__()
        socket.create_server(("127.0.0.1", free_port)).close()


class _LogAwaiter(logging.Filter):
    """Sets an event when a log line contains a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.event = asyncio.Event()
        self._text = text

    def filter(self, record: logging.LogRecord) -> bool:
        if self._text in record.getMessage():
            self.event.set()
        return True


@pytest.mark.asyncio
async def test_out_of_descriptors_accepting_pauses_and_goes_on(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.attach(1, "A")
    logged = _LogAwaiter("Too many open files")
    caplog.handler.addFilter(logged)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with _forwarder(daemon) as forwarder:
        with socket.socket() as program:
            resource.setrlimit(resource.RLIMIT_NOFILE, (program.fileno() + 1, hard))
            try:
                program.connect(("127.0.0.1", forwarder.listening_ports[0].port))
                async with asyncio.timeout(10):
                    await logged.event.wait()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            program.setblocking(False)
            program.send(b"hello")
            async with asyncio.timeout(10):
                assert await asyncio.get_running_loop().sock_recv(program, 100) == b"hello"
