"""A client's socket that has become a stream to a port of a phone.

Bytes cross in callbacks: input there, read as much as the phone's window takes, queue, transmit; or segments received,
write to the socket, acknowledge what it took. What the socket does not take at once waits here, never more than one
window, because it is not acknowledged (T9).
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from usbmux.admin.message import ClientActivity, ConnectionStatus
from usbmux.daemon.counts import Traffic
from usbmux.daemon.device_stream import DeviceStream
from usbmux.daemon.linger import Linger
from usbmux.daemon.socket_watch import SocketWatch
from usbmux.daemon.stalls import Stalls
from usbmux.farewell import Farewells
from usbmux.mux.events import CloseCause

logger = logging.getLogger("usbmux.daemon.stream")

_UNIX: Final = getattr(socket, "AF_UNIX", None)
_DROPPED: Final = 262144
"""Most that is read at once of what nobody takes any more."""
MAX_PIECES: Final = 512
"""Most that one call hands to the kernel, which takes 1,024."""


class PassThrough:
    """Owns the socket and the stream until both are closed.

    Implements `StreamHandler`, `SocketOwner`, `ClientOwner` and `Traffic`.

    Args:
        packet_size: Most that one packet takes, in bytes.
        greeting: Bytes for the client that go before the phone's: the result of its Connect.
        early: What the client sent behind its Connect.
        linger_s: How long a client that is gone may leave input that the phone does not take.
        on_end: Called once, when the socket is given up, with what the stream has moved.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watch: SocketWatch,
        farewells: Farewells,
        sock: socket.socket,
        stream: DeviceStream,
        *,
        packet_size: int,
        greeting: bytes,
        early: bytes,
        linger_s: float,
        on_end: Callable[[Traffic], None],
    ) -> None:
        self.udid: str = stream.udid
        self.bytes_to_phone = 0
        self.bytes_from_phone = 0
        self.phone_stalls: Stalls = Stalls(time.monotonic)
        self.client_stalls: Stalls = Stalls(time.monotonic)
        self._loop: Final = loop
        self._watch: Final = watch
        self._farewells: Final = farewells
        self._sock: Final = sock
        self._packet_size: Final = packet_size
        self._stream: Final = stream
        self._connection: Final = stream.connection
        self._linger_s: Final = linger_s
        self._on_end: Final = on_end
        self._early = memoryview(early)
        self._backlog: deque[bytes | memoryview] = deque([greeting])
        self._greeting_left = len(greeting)
        self._has_input = False
        """Whether there may be something to read."""
        self._has_input_end = False
        """Whether what there is to read ends."""
        self._waits_for_turn = False
        """Whether there was something to read, and others went first."""
        self._usual_input = packet_size
        """Bytes of the packet that went to the phone last; before the first one it is thought to be a long one."""
        self._wants_room = False
        self._input_ended = False
        self._deaf = False
        """The client takes nothing any more: what comes for it is dropped."""
        self._stream_closed = False
        self._is_gone = False
        """Whether the client has closed both directions."""
        self._ended = False
        self._linger: Linger | None = None
        """Under way when what the client has left may never be taken."""

    @property
    def activity(self) -> ClientActivity:
        """See `ClientOwner`."""
        return ClientActivity.STREAM

    def connection(self, client: int, now: float) -> ConnectionStatus:
        """See `ClientOwner`."""
        return self._stream.status(client, now, self, backlog=sum(map(len, self._backlog)) - self._greeting_left)

    @property
    def traffic(self) -> Traffic:
        """See `ClientOwner`."""
        return self

    def start(self) -> None:
        """Answer the client and begin to move bytes."""
        self._stream.set_handler(self)
        self._watch.add(self._sock, self)
        self._flush_backlog()
        if self._early or not self._connection.send_room:
            self.stream_room_opened()

    def close(self, reason: str) -> None:
        """See `ClientOwner`."""
        if not self._stream_closed:
            self._stream.abort(reason)
        self._backlog.clear()
        self._end()

    # Client to phone

    def stream_established(self) -> None:
        """See `StreamHandler`; it was, before this object took over."""

    def stream_room_opened(self) -> None:
        """See `StreamHandler`."""
        self.phone_stalls.end()
        if self._early and (room := self._connection.send_room):
            chunk, self._early = self._early[:room], self._early[room:]
            self.bytes_to_phone += len(chunk)
            self._stream.send(bytes(chunk))
        if self._early:
            self.phone_stalls.begin()
        else:
            self._pull()

    def stream_turn_came(self) -> None:
        """See `StreamHandler`."""
        self._pull()

    def input_came(self, *, ends: bool) -> None:
        """See `SocketOwner`."""
        if self._stream_closed:
            self._drop_input()
            return
        self._has_input = True
        self._has_input_end = self._has_input_end or ends
        if not self._early:
            self._pull()

    def _pull(self) -> None:
        """Give the phone what the client has sent, as far as the phone's window takes it."""
        while self._has_input:
            if not (limit := self._connection.send_room):
                break
            if limit > self._packet_size:  # not `min`, which takes longer
                limit = self._packet_size
            try:
                count = self._stream.send_from(self._sock, limit)
            except BlockingIOError:
                self._wait_for_input()
                return
            except OSError:
                self._end_input()
                self.hung_up()  # not every system tells of a reset otherwise
                return
            if count is None:
                # It stays where it is, so that nothing but the socket's own bound holds the client up.
                self._waits_for_turn = True
                self.phone_stalls.begin()
                self._stream.offer(self._usual_input)
                return
            if self._waits_for_turn:
                self._waits_for_turn = False
                self.phone_stalls.end()
            if not count:
                self._end_input()
                return
            self._usual_input = count
            self.bytes_to_phone += count
            if count < limit and not self._has_input_end:
                # There is no more. (Descriptors that are passed part what a socket has: who passes some waits longer.)
                self._wait_for_input()
        if not self._connection.send_room and not self._input_ended and not self._stream_closed:
            self.phone_stalls.begin()

    def _wait_for_input(self) -> None:
        self._has_input = False
        self._watch.want_input(self._sock)

    def _end_input(self) -> None:
        self._input_ended = True
        self._has_input = False
        if self._deaf:
            self._stream.close()
        else:
            self._stream.shutdown_write()

    def _drop_input(self) -> None:
        """The phone takes it no more, but a client may read only when it has written all it has."""
        if self._ended:
            return
        try:
            if self._sock.recv(_DROPPED):
                self._loop.call_soon(self._drop_input)  # because a client may write faster than we can drop
        except BlockingIOError:
            self._watch.want_input(self._sock)
        except OSError:
            self.hung_up()

    # Phone to client

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> int:
        """See `StreamHandler`."""
        count = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        self.bytes_from_phone += count
        if self._backlog:
            self._backlog += map(bytes, pieces)
            return 0
        taken = self._write(pieces)
        if self._deaf:
            return count
        if taken < count:
            self._backlog += map(bytes, _behind(pieces, taken))
            self._want_room(True)
            self.client_stalls.begin()
        return taken

    def room_came(self) -> None:
        """See `SocketOwner`."""
        self._flush_backlog()
        if self._stream_closed and not self._backlog:
            self._end()

    def _flush_backlog(self) -> None:
        while self._backlog:
            pieces = [self._backlog.popleft() for _ in range(min(len(self._backlog), MAX_PIECES))]
            taken = self._write(pieces)
            if self._deaf:
                self._acknowledge(sum(map(len, pieces)))
                return
            self._acknowledge(taken)
            if taken < sum(map(len, pieces)):
                self._backlog.extendleft(reversed(_behind(pieces, taken)))
                self._want_room(True)
                return
        if self._wants_room:
            self._want_room(False)
            self.client_stalls.end()

    def _acknowledge(self, count: int) -> None:
        """So many bytes of the backlog have been taken, or dropped; the greeting is not the phone's."""
        greeted = min(count, self._greeting_left)
        self._greeting_left -= greeted
        if count > greeted and not self._stream_closed:
            self._stream.acknowledge(count - greeted)

    def _want_room(self, wanted: bool) -> None:
        if self._wants_room != wanted:
            self._wants_room = wanted
            self._watch.want_room(self._sock, wanted)

    def _write(self, pieces: list[memoryview | bytes]) -> int:
        """Give the client what it takes now; whoever calls acknowledges that to the phone."""
        if self._deaf:
            return 0
        try:
            return self._sock.send(pieces[0]) if len(pieces) == 1 else _send_together(self._sock, pieces[:MAX_PIECES])
        except BlockingIOError:
            return 0
        except OSError:
            self._become_deaf()
            return 0

    def _become_deaf(self) -> None:
        """Nobody reads any more."""
        self._drop_output()
        if not self._stream_closed:
            if self._input_ended:
                self._stream.close()
            elif (
                self._sock.family != _UNIX
            ):  # where a client may have ended its reading only, and tells when it is gone
                self._limit_input()

    def _drop_output(self) -> None:
        self._deaf = True
        self._want_room(False)
        self.client_stalls.end()
        dropped = sum(map(len, self._backlog))
        self._backlog.clear()
        self._acknowledge(dropped)

    def _limit_input(self) -> None:
        """What the client wrote before it went is still in its socket; the phone may be slow to take it (T14)."""
        if self._linger is None:
            self._linger = Linger(self._loop, self._linger_s, self._moved, self._give_up)

    # Endings

    def hung_up(self) -> None:
        """See `SocketOwner`."""
        self._is_gone = True
        if not self._deaf:
            self._drop_output()
        if not self._stream_closed:
            if self._input_ended:
                self._stream.close()
            else:
                self.input_came(ends=True)  # as a rule there is none, and nothing to wait for
            if not self._input_ended and not self._stream_closed:
                self._limit_input()
        if self._stream_closed:
            self._end()

    def _moved(self) -> tuple[int, ...]:
        return self.bytes_to_phone, self.bytes_from_phone, self._connection.snd_una

    def _give_up(self) -> None:
        if not self._stream_closed and not self._input_ended:
            self._stream.abort("the client is gone and its input was not taken")

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """See `StreamHandler`. What the phone sent before is still delivered (T17)."""
        self._stream_closed = True
        self._has_input = False
        self.phone_stalls.end()
        self._log_end(cause, text)
        if self._backlog:
            self._drop_input()
        else:
            self._end()

    def _log_end(self, cause: CloseCause, text: str) -> None:
        level = logging.WARNING if cause is CloseCause.VIOLATED else logging.INFO
        if logger.isEnabledFor(level):
            counts = f"{self.bytes_to_phone} bytes to the phone, {self.bytes_from_phone} from it"
            why = f"{cause.name.lower()} {text}".rstrip()
            logger.log(level, "%s: %s; %s", self._stream, why, counts, extra={"udid": self.udid})

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.phone_stalls.end()
        self.client_stalls.end()
        if self._linger is not None:
            self._linger.end()
        self._watch.remove(self._sock)
        if self._is_gone and self._input_ended:
            self._sock.close()
        else:
            self._farewells.say(self._sock)
        self._on_end(self)


def _join_and_send(sock: socket.socket, pieces: list[memoryview | bytes]) -> int:
    """For Windows, which has no `sendmsg`."""
    return sock.send(b"".join(pieces))


_send_together: Final[Callable[[socket.socket, list[memoryview | bytes]], int]] = getattr(
    socket.socket, "sendmsg", _join_and_send
)


def _behind(pieces: list[memoryview | bytes], taken: int) -> list[memoryview | bytes]:
    """The pieces without the first `taken` bytes."""
    rest: list[memoryview | bytes] = []
    for piece in pieces:
        if taken < len(piece):
            rest.append(memoryview(piece)[taken:] if taken else piece)
        taken = max(taken - len(piece), 0)
    return rest
