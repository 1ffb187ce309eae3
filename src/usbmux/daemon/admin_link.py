"""A client of the admin socket: asks, or takes the packets of a capture."""

import asyncio
import logging
import socket
from enum import Enum
from typing import Final, Protocol, assert_never

from usbmux import __version__
from usbmux.admin.codec import decode_request, encode_answer
from usbmux.admin.forward import ForwardAddRequest, ForwardListRequest, ForwardRemoveRequest, Forwards
from usbmux.admin.line_reader import MAX_REQUEST_LENGTH, LineReader
from usbmux.admin.message import (
    Answer,
    CaptureBegun,
    CaptureFormat,
    CaptureRequest,
    Kicked,
    KickRequest,
    Refused,
    Status,
    StatusRequest,
)
from usbmux.capture.json_lines import JsonLines
from usbmux.capture.lines import LineTrace, TextLines
from usbmux.capture.pcapng_trace import PcapngTrace
from usbmux.capture.selected_phone import SelectedPhone
from usbmux.capture.trace_hub import TraceHub, TraceSink
from usbmux.daemon.forward_listener import in_words
from usbmux.daemon.kept_forwards import KeptForwards
from usbmux.daemon.peer import peer_of
from usbmux.errors import RemoteProtocolError, UsbmuxError
from usbmux.farewell import Farewells
from usbmux.readiness import Readiness

logger = logging.getLogger("usbmux.daemon.admin")

_READ_SIZE: Final = 65536


class AdminState(Enum):
    """What a connection is for."""

    ASKING = "asking"
    CAPTURING = "capturing"
    ENDING = "ending"
    """What is there still goes out."""
    CLOSED = "closed"


_EDGES: Final = frozenset(
    {
        (AdminState.ASKING, AdminState.CAPTURING),
        (AdminState.ASKING, AdminState.ENDING),
        (AdminState.CAPTURING, AdminState.ENDING),
        (AdminState.ENDING, AdminState.CLOSED),
    }
)


class AdminHost(Protocol):
    """What a connection needs of the server."""

    hub: TraceHub
    farewells: Farewells
    forwards: KeptForwards
    backlog: int
    """How many bytes of a capture may wait for its reader."""

    def status(self, request: StatusRequest) -> Status:
        """The daemon as it is now, as far as that is wanted."""

    def kick(self, request: KickRequest) -> Kicked:
        """End a client."""

    def link_closed(self, link: "AdminLink") -> None:
        """The connection is over."""


class AdminLink:
    """One connection. Implements `Output`: the socket takes records when the loop has time for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: AdminHost, sock: socket.socket, number: int) -> None:
        self._loop: Final = loop
        self._host: Final = host
        self._sock: Final = sock
        self._name: Final = f"admin client {number}"
        self._reader: Final = LineReader(MAX_REQUEST_LENGTH)
        self._readiness: Final = Readiness(loop, sock, on_readable=self._on_readable, on_writable=self._flush)
        self._output = bytearray()
        self._sink: TraceSink | None = None
        self._changing: asyncio.Task[None] | None = None
        """What it asked for and takes its time."""
        self._state = AdminState.ASKING

    def start(self) -> None:
        """Begin to read requests."""
        self._readiness.read(True)

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        """See `Output`."""
        if len(self._output) + len(record) > self._host.backlog and not is_vital:
            return False
        self._output += record
        self._readiness.write(True)
        return True

    def refuse(self, reason: str) -> None:
        """End it before it begins."""
        self._answer(Refused(reason))
        self.close()

    def close(self) -> None:
        """End now. What the client's socket takes at once still goes out."""
        if self._changing is not None:
            self._changing.cancel()
        self._end()
        self._flush()
        if self._state is not AdminState.CLOSED:
            self._close()

    # Requests

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data and self._state is AdminState.ASKING:
            self._reader.receive_data(data)
            self._serve()
        else:  # whatever comes during a capture ends it
            if self._state is AdminState.ASKING and self._reader.take_rest():
                self._answer(Refused("a request ends with a newline"))
            self._end()
            self._go_on()

    def _serve(self) -> None:
        """Answer one request after the other, each when the client has taken the answer before."""
        try:
            while not self._is_busy() and (line := self._reader.next_line()) is not None:
                self._serve_request(line)
        except RemoteProtocolError as error:
            logger.info("%s: refused: %s", self._name, error)
            self._answer(Refused(str(error)))
            self._end()
        else:
            self._readiness.read(self._state is AdminState.CAPTURING or not self._is_busy())

    def _is_busy(self) -> bool:
        return self._state is not AdminState.ASKING or bool(self._output) or self._changing is not None

    def _serve_request(self, line: bytes) -> None:
        request = decode_request(line)
        match request:
            case StatusRequest():
                self._answer(self._host.status(request))
            case CaptureRequest():
                self._answer(CaptureBegun())
                self._begin_capture(request)
            case KickRequest(client):
                logger.warning("%s (%s): ends client %d", self._name, peer_of(self._sock), client)
                self._answer(self._host.kick(request))
            case ForwardListRequest():
                self._answer(Forwards(self._host.forwards.statuses()))
            case ForwardAddRequest() | ForwardRemoveRequest():
                self._changing = self._loop.create_task(self._change_forwards(request))
            case _:
                assert_never(request)

    async def _change_forwards(self, request: ForwardAddRequest | ForwardRemoveRequest) -> None:
        forwards = self._host.forwards
        answer: Answer
        try:
            if isinstance(request, ForwardAddRequest):
                answer = Forwards(await forwards.add(request.forwards))
            else:
                answer = Forwards(await forwards.remove(request.listen))
        except (UsbmuxError, OSError) as error:
            answer = Refused(in_words(error))
        logger.info("%s: %s: %s", self._name, request, answer)
        self._changing = None
        self._answer(answer)
        if isinstance(answer, Refused):
            self._end()

    def _answer(self, answer: Answer) -> None:
        self.write(encode_answer(answer), is_vital=True)

    def _begin_capture(self, request: CaptureRequest) -> None:
        logger.info("%s: captures %s", self._name, request.udid or "all phones")
        self._set_state(AdminState.CAPTURING)
        sink: TraceSink
        match request.format:
            case CaptureFormat.PCAPNG:
                sink = PcapngTrace(self, f"usbmuxd {__version__}")
            case CaptureFormat.LINES:
                sink = LineTrace(self, TextLines())
            case CaptureFormat.JSON:
                sink = LineTrace(self, JsonLines())
            case _:
                assert_never(request.format)
        self._sink = sink if request.udid is None else SelectedPhone(sink, request.udid)
        self._host.hub.add(self._sink)
        if self._reader.take_rest():  # it came already
            self._end()

    # The socket

    def _flush(self) -> None:
        try:
            del self._output[: self._sock.send(self._output)]
        except BlockingIOError:
            return
        except OSError:
            self._end()
            self._output.clear()
        self._go_on()

    def _go_on(self) -> None:
        """Do what comes after everything has gone out."""
        self._readiness.write(bool(self._output))
        if self._output:
            return
        match self._state:
            case AdminState.ASKING:
                self._serve()
            case AdminState.ENDING:
                self._close()
            case AdminState.CAPTURING | AdminState.CLOSED:
                pass
            case _:
                assert_never(self._state)

    def _end(self) -> None:
        """Take nothing more from the client, and let it have what there is."""
        if self._state in (AdminState.ENDING, AdminState.CLOSED):
            return
        if self._sink is not None:
            logger.info("%s: the capture ends", self._name)
            self._host.hub.remove(self._sink)
        self._set_state(AdminState.ENDING)
        self._readiness.read(False)

    def _close(self) -> None:
        self._set_state(AdminState.CLOSED)
        self._readiness.end()
        self._host.farewells.say(self._sock)
        self._host.link_closed(self)

    def _set_state(self, state: AdminState) -> None:
        assert (self._state, state) in _EDGES, f"{self._state} -> {state}"
        self._state = state
