"""A client's socket joined to its `ServerSession`, until it becomes a stream or ends."""

import asyncio
import logging
import socket
from typing import Final, Protocol

from usbmux.admin.message import ClientActivity, ConnectionStatus
from usbmux.control.message import Attached, ClientIdentity, Connect, Listen, Notification, Reply, Result, ResultCode
from usbmux.control.server import RequestReceived, ServerSession, ServerState
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.counts import ConnectResult, Counts
from usbmux.daemon.device_stream import DeviceStream
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.patience import Patience
from usbmux.daemon.peer import Peer
from usbmux.daemon.policy import View
from usbmux.daemon.registry import DeviceRegistry
from usbmux.daemon.requests import Answerable, LaterReply, RequestAnswerer
from usbmux.daemon.socket_watch import SocketWatch
from usbmux.daemon.unread import Unread
from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.farewell import Farewells
from usbmux.mux.events import CloseCause

logger = logging.getLogger("usbmux.daemon.client")

READ_SIZE: Final = 65536
REQUEST_TIMEOUT_S: Final = 30.0
"""How long a request may take to arrive, and the first one to begin."""
REQUESTS_A_TURN: Final = 2
"""Of one client: then the loop looks after the phones and the others."""


class ClientHost(Protocol):
    """What a client link needs of the daemon."""

    registry: DeviceRegistry
    answerer: RequestAnswerer
    watch: SocketWatch
    patience: Patience
    farewells: Farewells
    counts: Counts
    complaints: Complaints
    unread: Unread
    moderation: Moderation

    def client_connected(
        self, client: "ClientLink", sock: socket.socket, stream: DeviceStream, greeting: bytes, early: bytes
    ) -> None:
        """The client's socket is a stream from now on; the link is finished. The watch may still tell the link."""

    def client_ended(self, client: "ClientLink") -> None:
        """The link has given up its socket."""


class ClientLink:
    """One client in the request phase or listening.

    Implements `Subscriber`, `Asker`, `SocketOwner`, `StreamHandler` and `ClientOwner`.
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
        self.number = number
        self.peer = peer
        self.view = view
        self._loop = loop
        self._host = host
        self._sock = sock
        self._session = ServerSession()
        self._output = bytearray()
        """What the client has not taken."""
        self._stream: DeviceStream | None = None
        self._answering: asyncio.Task[None] | None = None
        self._going_on: asyncio.Handle | None = None
        self._is_watched = False
        self._has_input = True
        """Whether there may be something to read."""
        self._has_input_end = False
        """Whether what there is to read ends."""
        self._input_ended = False
        self._is_gone = False
        """Whether the client has closed both directions."""
        self._is_new = True
        """Whether it has not asked anything yet."""
        self._is_waited_for = False
        self._is_finished = False

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

    def start(self) -> None:
        """Begin to read requests. Most clients have asked already when they are accepted."""
        self._receive()
        self._serve()

    def notify(self, message: Notification) -> None:
        """See `Subscriber`."""
        self._send(self._session.notify(message))

    def complain(self, text: str, *arguments: object) -> None:
        """See `Asker`."""
        self._host.complaints.warn(self.peer, f"%s: {text}", self, *arguments, client=self.number)

    def close(self, reason: str) -> None:
        """See `ClientOwner`."""
        self._finish()
        if self._stream is not None:
            self._stream.abort(reason)
        if self._answering is not None:
            self._answering.cancel()

    # Requests

    def _serve(self) -> None:
        """Answer what has been asked, one request after the other, as long as the client takes the answers."""
        served = 0
        try:
            while not self._is_busy():
                if (event := self._session.next_event()) is None:
                    if self._has_input and self._receive():
                        continue
                    break
                served += 1
                if served == REQUESTS_A_TURN:
                    self._going_on = self._loop.call_soon(self._go_on)
                self._is_new = False
                self._end_patience()  # the next request has a time of its own
                if isinstance(event, RequestReceived):
                    self._serve_request(event.request)
                else:
                    self._log("answered %d: %s", event.code, event.reason)
                    self._reply(Result(event.code))
        except RemoteProtocolError as error:
            self._log("closed: %s", error)
            self._finish()
        if not self._is_finished:
            self._wait()

    def _go_on(self) -> None:
        self._going_on = None
        self._serve()

    def _receive(self) -> bool:
        """Read some of what the client has sent; whether that was anything."""
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            self._has_input = False
            return False
        except OSError:
            self._finish()
            return False
        if not data:
            self._input_ended = True
            self._has_input = False
            return False
        if len(data) < READ_SIZE and not self._has_input_end:
            self._has_input = False  # there is no more, see `PassThrough._pull`
        self._session.receive_data(data)
        return True

    def _serve_request(self, request: Listen | Connect | Answerable) -> None:
        self._log("%s", request)
        if isinstance(request, Connect):
            self._connect(request)
        elif isinstance(request, Listen):
            self._listen()
        else:
            answer = self._host.answerer.answer(request, self)
            if isinstance(answer, Reply):
                self._reply(answer)
            else:
                self._answering = self._loop.create_task(self._reply_later(answer))

    async def _reply_later(self, answer: LaterReply) -> None:
        self._reply(await answer())
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
            self._stream = DeviceStream(link, request.port, self)
        except LocalProtocolError as error:
            self.complain("%s", error)
            self._reply_to_connect(ConnectResult.NOT_POSSIBLE)

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
        self._release_socket()
        self._host.counts.connects[ConnectResult.ESTABLISHED] += 1
        self._host.client_connected(self, self._sock, stream, greeting, early)

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> int:
        """See `StreamHandler`; data comes to the `PassThrough` that has taken over."""
        raise AssertionError("data before the connection was established")

    def stream_room_opened(self) -> None:
        """See `StreamHandler`."""
        raise AssertionError("room before the connection was established")

    def stream_turn_came(self) -> None:
        """See `StreamHandler`."""
        raise AssertionError("a turn before the connection was established")

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """See `StreamHandler`."""
        stream, self._stream = self._stream, None
        result = ConnectResult.of(cause)
        if self._is_finished:
            self._host.counts.connects[result] += 1
            return
        self._log("%s: %s %s", stream, cause.name.lower(), text)
        self._reply_to_connect(result)
        self._serve()

    # SocketOwner

    def input_came(self, *, ends: bool) -> None:
        """See `SocketOwner`."""
        self._host.moderation.begin_anew()
        self._has_input = True
        self._has_input_end = self._has_input_end or ends
        if not self._is_busy():
            self._receive()
            self._serve()

    def room_came(self) -> None:
        """See `SocketOwner`."""
        self._flush()
        self._serve()

    def hung_up(self) -> None:
        """See `SocketOwner`. What it has asked before is still done; the end of its input is told as well."""
        self._is_gone = True

    # The socket

    def _is_busy(self) -> bool:
        """Whether something comes before the next request: an answer, that the client reads the last, a turn."""
        is_answering = self._stream is not None or self._answering is not None
        return is_answering or bool(self._output) or self._going_on is not None or self._is_finished

    def _wait(self) -> None:
        """For what comes next, if anything does."""
        is_busy = self._is_busy()
        if not is_busy and (self._input_ended or self._session.state is ServerState.CLOSING):
            self._finish()
            return
        if not is_busy and (self._is_new or self._session.is_amid_request):
            # A request that has begun must come to its end; between requests a client may take its time.
            self._is_waited_for = True
            self._host.patience.begin(self)
        else:
            self._end_patience()
        if not is_busy:
            self._watch_input()

    def _watch_input(self) -> None:
        if self._is_watched:
            self._host.watch.want_input(self._sock)
        else:
            self._is_watched = True
            self._host.watch.add(self._sock, self)

    def _send(self, data: bytes) -> None:
        if self._is_finished:
            return
        if not self._output:
            taken = self._offer(data)
            if taken == len(data) or self._is_finished:
                return
            data = data[taken:]
            if not self._is_watched:
                self._watch_input()
            self._host.watch.want_room(self._sock, True)
        self._output += data
        self._host.unread.add(self.peer.uid, len(data))
        if self._host.unread.is_too_much(self.peer.uid, len(self._output)):
            self.complain("cut off: %d bytes unread", len(self._output))
            self._finish()

    def _flush(self) -> None:
        taken = self._offer(self._output)
        if self._is_finished:
            return
        del self._output[:taken]
        self._host.unread.add(self.peer.uid, -taken)
        if not self._output:
            self._host.watch.want_room(self._sock, False)

    def _offer(self, data: bytes | bytearray) -> int:
        """Write what the client takes now; how much that was."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._finish()
            return 0

    def _end_patience(self) -> None:
        if self._is_waited_for:
            self._is_waited_for = False
            self._host.patience.end(self)

    def give_up(self) -> None:
        """See `Awaited`."""
        self._is_waited_for = False
        self._log("closed: no whole request within %g s", REQUEST_TIMEOUT_S)
        self._finish()

    def _finish(self) -> None:
        if self._is_finished:
            return
        self._release_socket()
        if self._is_watched:
            self._host.watch.remove(self._sock)
        if self._is_gone and self._input_ended:
            self._sock.close()
        else:
            self._host.farewells.say(self._sock)
        self._host.client_ended(self)

    def _release_socket(self) -> None:
        self._is_finished = True
        self._end_patience()
        if self._going_on is not None:
            self._going_on.cancel()
            self._going_on = None
        if self._output:
            self._host.unread.add(self.peer.uid, -len(self._output))
            self._output.clear()
        self._host.registry.unsubscribe(self)

    def _log(self, text: str, *arguments: object) -> None:
        if logger.isEnabledFor(logging.INFO):
            logger.info(f"%s: {text}", self, *arguments, extra={"client": self.number, "peer": self.peer})
