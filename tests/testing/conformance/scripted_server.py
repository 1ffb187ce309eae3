"""A server for tests of the suite: it answers as the test says, right or wrong."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from usbmux.control import property_list
from usbmux.control.address import UnixAddress
from usbmux.control.frame import Frame, FrameReader
from usbmux.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def reply(tag: int, properties: Mapping[str, object]) -> bytes:
    return Frame(1, 8, tag, property_list.dump(properties)).encode()


def result(tag: int, number: int) -> bytes:
    return reply(tag, {"MessageType": "Result", "Number": number})


def name_of(frame: Frame) -> str:
    """The MessageType of a request."""
    return str(property_list.load(frame.payload)["MessageType"])


class ScriptedServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves while the context is open.

    Args:
        folder: For its socket.
        answer: What it sends for a request; b"" for nothing, None to hang up.
        greeting: What it sends to everybody who comes.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, answer: Callable[[Frame], bytes | None], *, greeting: bytes = b"") -> None:
        self.address = UnixAddress(str(folder / "scripted"))
        self.answer = answer
        self.greeting = greeting
        super().__init__(self.address.path, _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def vanish(self) -> None:
        """Accept nobody any more."""
        self.socket.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.BaseRequestHandler):
    server: ScriptedServer
    request: socket.socket

    def handle(self) -> None:
        reader = FrameReader(1 << 20)
        with suppress(OSError, RemoteProtocolError):
            self.request.sendall(self.server.greeting)
            while data := self.request.recv(65536):
                reader.receive_data(data)
                while (frame := reader.next_frame()) is not None:
                    answer = self.server.answer(frame)
                    if answer is None:
                        return
                    self.request.sendall(answer)
