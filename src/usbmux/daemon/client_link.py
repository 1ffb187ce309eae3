"""A client's socket joined to its `ServerSession`, until it becomes a stream or ends."""

import asyncio
import logging
import socket
from collections.abc import Awaitable
from typing import Final, Protocol, assert_never

from usbmux.admin.message import ClientActivity, ConnectionStatus
from usbmux.control.message import Attached, ClientIdentity, Connect, Listen, Notification, Reply, Result, ResultCode
from usbmux.control.server import RequestInvalid, RequestReceived, ServerSession, ServerState
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.counts import ConnectResult, Counts
from usbmux.daemon.device_link import DeviceStream
from usbmux.daemon.farewell import Farewells
from usbmux.daemon.peer import Peer
from usbmux.daemon.policy import View
from usbmux.daemon.readiness import Readiness
from usbmux.daemon.registry import DeviceRegistry
from usbmux.daemon.requests import Answerable, RequestAnswerer
from usbmux.daemon.unread import Unread
from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.mux.events import CloseCause

logger = logging.getLogger("usbmux.daemon.client")

READ_SIZE: Final = 65536
REQUEST_TIMEOUT_S: Final = 30.0
"""How long a request may take to arrive, and the first one to begin."""
REQUESTS_A_TURN: Final = 2
"""Of one client: then the loop looks after the phones and the others."""
_CONNECT_RESULTS: Final = {
    CloseCause.REFUSED: ConnectResult.REFUSED,
    CloseCause.UNANSWERED: ConnectResult.UNANSWERED,
    CloseCause.LOST: ConnectResult.LOST,
}
"""Other ends of a connection that the phone has not answered are ours."""


class ClientHost(Protocol):
    """What a client link needs of the daemon."""

    registry: DeviceRegistry
    answerer: RequestAnswerer
    farewells: Farewells
    counts: Counts
    complaints: Complaints
    unread: Unread

    def client_connected(
        self, client: "ClientLink", sock: socket.socket, stream: DeviceStream, greeting: bytes, early: bytes
    ) -> None:
        """The client's socket is a stream from now on; the link is finished."""

    def client_ended(self, client: "ClientLink") -> None:
        """The link has given up its socket."""


class ClientLink:
    """One client in the request phase or listening.

    Implements `Subscriber`, `Asker`, `StreamHandler` and `ClientOwner`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: ClientHost,
        sock: socket.socket,
        number: int,
        peer: Peer,
        view: View,
    ) -> None:
        self.number: Final = number
        self.peer: Final = peer
        self.view: Final = view
        self._log: Final = logging.LoggerAdapter(logger, {"client": number, "peer": peer})
        self._loop: Final = loop
        self._host: Final = host
        self._sock: Final = sock
        self._session: Final = ServerSession()
        self._output = bytearray()
        self._stream: DeviceStream | None = None
        self._answering: asyncio.Task[None] | None = None
        self._going_on: asyncio.Handle | None = None
        self._readiness: Final = Readiness(loop, sock, on_readable=self._on_readable, on_writable=self._on_writable)
        self._input_ended = False
        self._finished = False
        self._patience: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return f"client {self.number} ({self.peer})"

    @property
    def identity(self) -> ClientIdentity:
        """See `Subscriber`."""
        return self._session.identity

    @property
    def activity(self) -> ClientActivity:
        """See `ClientOwner`."""
        if self._stream is not None:
            return ClientActivity.CONNECTING
        is_listening = self._session.state is ServerState.LISTENING
        return ClientActivity.LISTENING if is_listening else ClientActivity.REQUEST

    def connection(self, client: int, now: float) -> ConnectionStatus | None:
        """See `ClientOwner`."""
        return self._stream.status(client, now) if self._stream is not None else None

    @property
    def traffic(self) -> None:
        """See `ClientOwner`: nothing moves yet."""
        return None

    def start(self) -> None:
        """Begin to read requests."""
        self._readiness.read(True)
        self._patience = self._loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def notify(self, message: Notification) -> None:
        """See `Subscriber`."""
        self._send(self._session.notify(message))

    def complain(self, text: str, *arguments: object) -> None:
        """See `Asker`."""
        self._host.complaints.warn(self.peer, f"%s: {text}", self, *arguments, client=self.number)

    def close(self) -> None:
        """Give up the client now."""
        self._finish()
        if self._stream is not None:
            self._stream.close()
        if self._answering is not None:
            self._answering.cancel()

    # Requests

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._finish()
            return
        if not data:
            self._input_ended = True
            self._readiness.read(False)
        else:
            self._session.receive_data(data)
        self._serve()

    def _serve(self) -> None:
        """Answer what has been asked, one request after the other, as long as the client takes the answers."""
        served = 0
        try:
            while not self._busy() and (event := self._session.next_event()) is not None:
                served += 1
                if served == REQUESTS_A_TURN:
                    self._going_on = self._loop.call_soon(self._go_on)
                self._end_patience()  # the next request has a time of its own
                match event:
                    case RequestInvalid(code, reason):
                        self._log.info("%s: answered %d: %s", self, code, reason)
                        self._reply(Result(code))
                    case RequestReceived(request):
                        self._serve_request(request)
                    case _:
                        assert_never(event)
        except RemoteProtocolError as error:
            self._log.info("%s: closed: %s", self, error)
            self._finish()
        self._finish_if_done()
        self._limit_patience()

    def _go_on(self) -> None:
        self._going_on = None
        self._serve()

    def _serve_request(self, request: Listen | Connect | Answerable) -> None:
        self._log.info("%s: %s", self, request)
        match request:
            case Listen():
                self._listen()
            case Connect():
                self._connect(request)
            case _:
                answer = self._host.answerer.answer(request, self)
                if isinstance(answer, Reply):
                    self._reply(answer)
                else:
                    self._answering = self._loop.create_task(self._reply_later(answer))

    async def _reply_later(self, answer: Awaitable[Reply]) -> None:
        self._reply(await answer)
        self._answering = None
        self._serve()

    def _reply(self, reply: Reply) -> None:
        self._send(self._session.reply(reply))
        if self._session.state is ServerState.CLOSING:
            self._host.registry.unsubscribe(self)

    def _listen(self) -> None:
        """The result and what is attached go out in one write: some clients allow 10 ms for it (C28)."""
        output = self._session.reply(Result(ResultCode.OK))
        for record in self._host.registry.records(self.view):
            output += self._session.notify(Attached(record))
        self._host.registry.subscribe(self)
        self._send(output)

    def _connect(self, request: Connect) -> None:
        link = self._host.registry.link(request.device_id, self.view)
        if link is None:
            self._reply_to_connect(ConnectResult.NO_PHONE)
            return
        if not self.view.allows_port(request.port):
            self.complain("may not connect to port %d", request.port)
            self._reply_to_connect(ConnectResult.NOT_ALLOWED)
            return
        try:
            self._stream = link.connect(request.port, self)
        except LocalProtocolError as error:
            self.complain("%s", error)
            self._reply_to_connect(ConnectResult.NOT_POSSIBLE)
            return
        self._readiness.read(False)

    def _reply_to_connect(self, failure: ConnectResult) -> None:
        self._host.counts.connects[failure] += 1
        has_no_phone = failure in (ConnectResult.NO_PHONE, ConnectResult.LOST)
        self._reply(Result(ResultCode.BAD_DEVICE if has_no_phone else ResultCode.CONNECTION_REFUSED))

    # StreamHandler, until the phone has answered

    def stream_established(self) -> None:
        """See `StreamHandler`."""
        assert self._stream is not None
        stream, self._stream = self._stream, None
        greeting = self._session.reply(Result(ResultCode.OK))
        early = self._session.take_trailing_data()
        self._detach_socket()
        self._host.counts.connects[ConnectResult.ESTABLISHED] += 1
        self._host.client_connected(self, self._sock, stream, greeting, early)

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> None:
        """See `StreamHandler`; data comes to the `PassThrough` that has taken over."""
        raise AssertionError("data before the connection was established")

    def stream_room_opened(self) -> None:
        """See `StreamHandler`."""
        raise AssertionError("room before the connection was established")

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """See `StreamHandler`."""
        stream, self._stream = self._stream, None
        result = _CONNECT_RESULTS.get(cause, ConnectResult.ENDED)
        if self._finished:
            self._host.counts.connects[result] += 1
            return
        self._log.info("%s: %s: %s %s", self, stream, cause.name.lower(), text)
        self._reply_to_connect(result)
        self._serve()

    # The socket

    def _busy(self) -> bool:
        """Whether something comes before the next request: an answer, that the client reads the last, a turn."""
        is_answering = self._stream is not None or self._answering is not None
        return self._finished or is_answering or self._going_on is not None or bool(self._output)

    def _send(self, data: bytes) -> None:
        if self._finished:
            return
        self._output += data
        self._host.unread.add(self.peer.uid, len(data))
        if not self._readiness.is_writing:
            self._flush()
        if self._host.unread.is_too_much(self.peer.uid, len(self._output)):
            self.complain("cut off: %d bytes unread", len(self._output))
            self._finish()

    def _flush(self) -> None:
        try:
            taken = self._sock.send(self._output)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._finish()
            return
        del self._output[:taken]
        self._host.unread.add(self.peer.uid, -taken)
        if self._output:
            self._readiness.write(True)
        else:
            self._readiness.write(False)

    def _on_writable(self) -> None:
        self._flush()
        self._serve()

    def _limit_patience(self) -> None:
        """A request that has begun must come to its end; between requests a client may take its time."""
        is_waited_for = self._session.is_amid_request and not self._busy()
        if not is_waited_for:
            self._end_patience()
        elif self._patience is None:
            self._patience = self._loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        self._log.info("%s: closed: no whole request within %g s", self, REQUEST_TIMEOUT_S)
        self._finish()

    def _finish_if_done(self) -> None:
        if self._finished or self._busy():
            self._readiness.read(False)
        elif self._input_ended or self._session.state is ServerState.CLOSING:
            self._finish()
        else:
            self._readiness.read(True)

    def _finish(self) -> None:
        if not self._finished:
            self._detach_socket()
            self._host.farewells.say(self._sock)
            self._host.client_ended(self)

    def _detach_socket(self) -> None:
        self._finished = True
        self._end_patience()
        if self._going_on is not None:
            self._going_on.cancel()
            self._going_on = None
        self._host.unread.add(self.peer.uid, -len(self._output))
        self._output.clear()
        self._readiness.end()
        self._host.registry.unsubscribe(self)
