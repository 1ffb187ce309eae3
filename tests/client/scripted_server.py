"""A daemon that says what the test wrote down, on a real socket, in one thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.control.message import DeviceRecord, Result, ResultCode
from usbmux.control.server import RequestReceived, ServerSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from usbmux.control.message import Notification, Reply, Request

OK = Result(ResultCode.OK)
RED = DeviceRecord(1, "00008030-0000000000000001", 0x12A8, 0x10001, 480_000_000)
BLUE = DeviceRecord(2, "00008030-0000000000000002", 0x12A8, 0x10002, 480_000_000)
STEP_S = 10.0
"""Turns a hang of either side into a failure."""


class Peer:
    """The daemon's end of one connection."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.session = ServerSession()
        self.is_kept = False
        """Whether the connection outlives its script, up to the end of the test."""

    def next_request(self) -> Request:
        while (event := self.session.next_event()) is None:
            data = self.stream.recv(65536)
            assert data, "the client hung up where a request was due"
            self.session.receive_data(data)
        assert isinstance(event, RequestReceived), event
        return event.request

    def answer(self, request: Request, reply: Reply, *notifications: Notification, payload: bytes = b"") -> None:
        """Expects the request; reply, notifications and payload go out in one write."""
        received = self.next_request()
        assert received == request
        data = self.session.reply(reply)
        self.stream.sendall(data + b"".join(map(self.session.notify, notifications)) + payload)

    def notify(self, *notifications: Notification) -> None:
        self.stream.sendall(b"".join(map(self.session.notify, notifications)))

    def receive_exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.stream.recv(length - len(data))
            assert more, f"the client hung up after {data!r}"
            data += more
        return data

    def expect_hang_up(self) -> None:
        try:
            data = self.stream.recv(1)
        except ConnectionResetError:  # it left something unread
            return
        assert data == b"", "the client sent more than the script has"


class ScriptedServer:
    """Serves one connection after the other, each by the next script."""

    def __init__(self, listener: socket.socket, address: Address) -> None:
        self.address = address
        self._listener = listener
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._streams = contextlib.ExitStack()

    @classmethod
    def on_unix(cls, folder: Path) -> ScriptedServer:
        path = str(folder / "usbmuxd")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        return cls(listener, UnixAddress(path))

    @classmethod
    def on_tcp(cls) -> ScriptedServer:
        listener = socket.create_server(("127.0.0.1", 0))
        return cls(listener, TcpAddress("127.0.0.1", listener.getsockname()[1]))

    def play(self, *scripts: Callable[[Peer], None]) -> None:
        assert self._thread is None, "one play a test"
        self._thread = threading.Thread(target=self._run, args=(scripts,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits for the end of the last script; raises what a script raised."""
        if self._thread is not None:
            self._thread.join(STEP_S)
            assert not self._thread.is_alive(), "the script did not come to its end"
        self._listener.close()
        self._streams.close()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, scripts: tuple[Callable[[Peer], None], ...]) -> None:
        self._listener.settimeout(STEP_S)
        try:
            for script in scripts:
                stream, _ = self._listener.accept()
                self._streams.enter_context(stream)
                stream.settimeout(STEP_S)
                peer = Peer(stream)
                script(peer)
                if not peer.is_kept:
                    stream.close()
        except BaseException as failure:  # finish() raises it in the test's thread
            self._failure = failure
            self._streams.close()


def answer(request: Request, reply: Reply, payload: bytes = b"") -> Callable[[Peer], None]:
    """A script: one request, its reply, and the client is expected to hang up."""

    def script(peer: Peer) -> None:
        peer.answer(request, reply, payload=payload)
        peer.expect_hang_up()

    return script


def raw_answer(data: bytes) -> Callable[[Peer], None]:
    """A script: whatever is asked, these bytes and the end."""

    def script(peer: Peer) -> None:
        peer.next_request()
        peer.stream.sendall(data)

    return script


def silence(peer: Peer) -> None:
    peer.next_request()
    peer.expect_hang_up()
