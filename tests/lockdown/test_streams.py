"""Streams of both shells, with the phone's end in the hands of the test."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.lockdown.records import record_for
from tests.lockdown.subjects import AnyStream, StreamSubject
from tests.support.unix_sockets import needs_unix_sockets
from usbmux.errors import DeviceResetError, LockdownError, NotPairedError, RemoteProtocolError, RequestTimeoutError
from usbmux.lockdown import operations
from usbmux.lockdown.aio_stream import AsyncStream, SocketStream
from usbmux.lockdown.plist_frame import encode
from usbmux.testing.iphone.certificates import DeviceKey, shared_key
from usbmux.testing.iphone.faults import TlsOptions
from usbmux.testing.iphone.hosts import HostRecord
from usbmux.testing.iphone.tls_context import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

RECORD = record_for()
SHORT_S = 0.2


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, phones = socket.socketpair()
    with ours, phones:
        phones.settimeout(20)
        yield ours, phones


@pytest.fixture
def subject(runner: asyncio.Runner | None, ends: tuple[socket.socket, socket.socket]) -> StreamSubject:
    return StreamSubject(runner, ends[0])


@pytest.fixture
def phone(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    return ends[1]


def accept_tls(phone: socket.socket, knows: HostRecord, then: Callable[[ssl.SSLSocket], object]) -> threading.Thread:
    """A phone that does the handshake, goes on, and ends."""

    def serve() -> None:
        context = server_context(knows, shared_key(), TlsOptions())
        with suppress(OSError), context.wrap_socket(phone, server_side=True) as tls:
            then(tls)
        phone.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def known(key: DeviceKey | None = None) -> HostRecord:
    record = RECORD if key is None else record_for(key)
    return HostRecord.from_properties(record.for_phone() | {"DeviceCertificate": RECORD.device_certificate})


def test_message_that_dribbles_in_is_read_and_nothing_behind_it(subject: StreamSubject, phone: socket.socket) -> None:
    phone.sendall(encode({"a": 1}) + b"more")
    assert subject.call(lambda stream: stream.receive_plist()) == {"a": 1}
    assert subject.call(lambda stream: stream.read(100)) == b"more"


@pytest.mark.parametrize("begun", [b"", b"\0\0", b"\0\0\0\x50<?xml"])
def test_phone_ends_before_a_message_is_whole_is_a_reset(
    subject: StreamSubject, phone: socket.socket, begun: bytes
) -> None:
    phone.sendall(begun)
    phone.close()
    with pytest.raises(DeviceResetError, match="instead of answering"):
        subject.call(lambda stream: stream.receive_plist())
    assert subject.stream.is_closed


@pytest.mark.parametrize("begun", [b"", b"\0\0\0\x50<?xml"])
def test_message_that_does_not_come_in_time_closes_the_stream(
    runner: asyncio.Runner | None, ends: tuple[socket.socket, socket.socket], begun: bytes
) -> None:
    ends[1].sendall(begun)
    subject = StreamSubject(runner, ends[0], SHORT_S)
    with pytest.raises(RequestTimeoutError, match=r"0\.2 s"):
        subject.call(lambda stream: stream.receive_plist())
    assert subject.stream.is_closed
    assert ends[1].recv(1) == b""


def test_time_is_up_before_the_wait_begins_is_a_timeout(
    runner: asyncio.Runner | None, ends: tuple[socket.socket, socket.socket]
) -> None:
    subject = StreamSubject(runner, ends[0], 0.0)
    with pytest.raises(RequestTimeoutError):
        subject.call(lambda stream: stream.receive_plist())


@pytest.mark.parametrize("timeout_s", [None, 30 * 86400.0, 1e10])
def test_no_limit_or_one_later_than_sockets_wait_reads_what_is_there(
    runner: asyncio.Runner | None, ends: tuple[socket.socket, socket.socket], timeout_s: float | None
) -> None:
    subject = StreamSubject(runner, ends[0], timeout_s)
    ends[1].sendall(b"x")
    assert subject.call(lambda stream: stream.read()) == b"x"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="how soon TCP gives up can only be said on Linux")
@pytest.mark.parametrize("timeout_s", [None, 60.0])
def test_tcp_gives_up_is_a_reset(runner: asyncio.Runner | None, timeout_s: float | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        phones, _ = server.accept()
        with phones:  # which reads nothing
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1)
            subject = StreamSubject(runner, ours, timeout_s)
            with pytest.raises(DeviceResetError):
                subject.call(lambda stream: stream.write(bytes(1 << 26)))


def test_message_longer_than_allowed_closes_the_stream(subject: StreamSubject, phone: socket.socket) -> None:
    phone.sendall((1 << 20).to_bytes(4) + b"x")
    subject.stream._max_length = (1 << 20) - 1
    with pytest.raises(RemoteProtocolError, match="1048576 bytes"):
        subject.call(lambda stream: stream.receive_plist())
    assert subject.stream.is_closed


@needs_unix_sockets
def test_write_to_a_phone_that_is_gone_is_a_reset(subject: StreamSubject, phone: socket.socket) -> None:
    phone.close()
    with pytest.raises(DeviceResetError):
        subject.call(lambda stream: stream.write(b"x"))
    assert subject.stream.is_closed


def test_refusal_leaves_the_stream_open(subject: StreamSubject, phone: socket.socket) -> None:
    phone.sendall(encode({"Request": "QueryType", "Error": "Word"}))
    with pytest.raises(LockdownError):
        subject.call(lambda stream: stream.run(operations.query_type()))
    assert not subject.stream.is_closed


def test_answer_to_something_else_closes_the_stream(subject: StreamSubject, phone: socket.socket) -> None:
    phone.sendall(encode({"Request": "Another"}))
    with pytest.raises(RemoteProtocolError):
        subject.call(lambda stream: stream.run(operations.query_type()))
    assert subject.stream.is_closed


def test_streams_are_closed_by_leaving_their_contexts(subject: StreamSubject, phone: socket.socket) -> None:
    async def leave(stream: AsyncStream) -> None:
        async with stream:
            assert not stream.is_closed

    def enter_and_leave(stream: AnyStream) -> object:
        if isinstance(stream, AsyncStream):
            return leave(stream)
        with stream:
            assert not stream.is_closed
        return None

    subject.call(enter_and_leave)
    assert subject.stream.is_closed
    assert phone.recv(1) == b""


def test_tls_ends_where_the_phone_says_so(subject: StreamSubject, phone: socket.socket) -> None:
    thread = accept_tls(phone, known(), lambda tls: tls.sendall(b"last"))
    subject.call(lambda stream: stream.begin_tls(RECORD))
    assert subject.call(lambda stream: stream.read(100)) == b"last"
    assert subject.call(lambda stream: stream.read(100)) == b""
    thread.join()


def test_phone_has_refused_when_we_write_says_why(subject: StreamSubject, phone: socket.socket) -> None:
    """With TLS 1.3 its alert comes behind the handshake, and by then it may read no more."""
    thread = accept_tls(phone, known(DeviceKey()), lambda tls: tls.sendall(b"never"))
    subject.call(lambda stream: stream.begin_tls(RECORD))
    thread.join()
    with pytest.raises(NotPairedError, match="does not accept"):
        subject.call(lambda stream: stream.write(b"x"))
    assert subject.stream.is_closed


@needs_unix_sockets
def test_phone_has_ended_when_we_write_inside_tls_is_a_reset(subject: StreamSubject, phone: socket.socket) -> None:
    thread = accept_tls(phone, known(), lambda tls: tls.sendall(b"x"))
    subject.call(lambda stream: stream.begin_tls(RECORD))
    thread.join()
    with pytest.raises(DeviceResetError):
        subject.call(lambda stream: stream.write(b"x"))


def test_phone_ends_instead_of_tls_is_a_reset(subject: StreamSubject, phone: socket.socket) -> None:
    phone.close()
    with pytest.raises(DeviceResetError):
        subject.call(lambda stream: stream.begin_tls(RECORD))
    assert subject.stream.is_closed


def test_phone_answers_tls_with_something_else_is_told(subject: StreamSubject, phone: socket.socket) -> None:
    phone.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(RemoteProtocolError):
        subject.call(lambda stream: stream.begin_tls(RECORD))
    assert phone.recv(1) == b"\x16"  # what we began with, and behind it an alert


@pytest.mark.asyncio
async def test_wait_that_is_cancelled_closes_the_stream() -> None:
    ours, phones = socket.socketpair()
    ours.setblocking(False)
    with phones:
        stream = AsyncStream(SocketStream(ours), None)
        task = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.is_closed


@pytest.mark.asyncio
async def test_stream_that_another_task_closes_ends_the_wait_and_leaves_the_loop_in_order() -> None:
    ours, phones = socket.socketpair()
    ours.setblocking(False)
    with phones:
        stream = AsyncStream(SocketStream(ours), None)
        waiting = asyncio.create_task(stream.read())
        await asyncio.sleep(0)  # until it waits
        stream.close()
        after, other = socket.socketpair()  # which may be given the number of a descriptor that is closed by now
        after.setblocking(False)
        with after, other:
            async with asyncio.timeout(20):
                receiving = asyncio.create_task(asyncio.get_running_loop().sock_recv(after, 1))
                await asyncio.sleep(0)  # until it waits as well
                other.sendall(b"x")
                assert await receiving == b"x"
                assert await waiting == b""
        assert phones.recv(1) == b""


@pytest.mark.asyncio
async def test_stream_that_another_task_closes_ends_a_write_that_nobody_takes() -> None:
    ours, phones = socket.socketpair()
    ours.setblocking(False)
    with phones:
        stream = AsyncStream(SocketStream(ours), None)
        writing = asyncio.create_task(stream.write(bytes(1 << 24)))
        await asyncio.sleep(0)  # until it waits
        stream.close()
        async with asyncio.timeout(20):
            with pytest.raises(DeviceResetError):
                await writing
        assert ours.fileno() == -1
