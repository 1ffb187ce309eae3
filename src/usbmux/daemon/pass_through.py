"""A client's socket that has become a stream to a port of a phone.

Bytes cross in callbacks: socket ready, read as much as the phone's window takes, queue, transmit; or segment
received, write to the socket, acknowledge what it took. What the socket does not take at once waits here, never
more than one window, because it is not acknowledged (T9).
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from usbmux.admin.message import ClientActivity, ConnectionStatus
from usbmux.daemon.counts import Traffic
from usbmux.daemon.device_link import DeviceStream
from usbmux.daemon.farewell import Farewells
from usbmux.daemon.hangup import HangupWatch
from usbmux.daemon.readiness import Readiness
from usbmux.daemon.stalls import Stalls
from usbmux.mux.events import CloseCause

logger = logging.getLogger("usbmux.daemon.stream")

READ_SIZE: Final = 65536
"""Most that is read from a client at once; the phone's window is the other limit."""


class PassThrough:
    """Owns the socket and the stream until both are closed. Implements `StreamHandler`, `ClientOwner` and `Traffic`.

    Args:
        greeting: Bytes for the client that go before the phone's: the result of its Connect.
        early: What the client sent behind its Connect.
        linger_s: How long a client that is gone may leave input that the phone does not take.
        on_end: Called once, when the socket is given up.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watch: HangupWatch,
        farewells: Farewells,
        sock: socket.socket,
        stream: DeviceStream,
        *,
        greeting: bytes,
        early: bytes,
        linger_s: float,
        on_end: Callable[[], None],
    ) -> None:
        self.udid: str = stream.udid
        self.bytes_to_phone = 0
        self.bytes_from_phone = 0
        self.phone_stalls: Stalls = Stalls(loop.time)
        self.client_stalls: Stalls = Stalls(loop.time)
        self._loop: Final = loop
        self._watch: Final = watch
        self._farewells: Final = farewells
        self._sock: Final = sock
        self._stream: Final = stream
        self._linger_s: Final = linger_s
        self._on_end: Final = on_end
        self._early = memoryview(early)
        self._backlog: deque[bytes | memoryview] = deque([greeting])
        self._greeting_left = len(greeting)
        self._readiness: Final = Readiness(loop, sock, on_readable=self._on_readable, on_writable=self._on_writable)
        self._input_ended = False
        self._deaf = False
        """The client takes nothing any more: what comes for it is dropped."""
        self._stream_closed = False
        self._ended = False
        self._giving_up: asyncio.TimerHandle | None = None

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
        self._watch.add(self._sock, self._on_hangup)
        self._flush_backlog()
        if self._stream.send_room:
            self.stream_room_opened()
        else:
            self._wait_for_room()

    def close(self, reason: str) -> None:
        """End both sides now, whatever is under way."""
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
        if self._early and (room := self._stream.send_room):
            chunk, self._early = self._early[:room], self._early[room:]
            self._send_to_phone(bytes(chunk))
        if not self._early and self._stream.send_room and not self._input_ended and not self._stream_closed:
            self._readiness.read(True)

    def _on_readable(self) -> None:
        room = self._stream.send_room
        if not room:
            self._wait_for_room()
            return
        try:
            data = self._sock.recv(min(room, READ_SIZE))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._send_to_phone(data)
        else:
            self._end_input()

    def _send_to_phone(self, data: bytes) -> None:
        self.bytes_to_phone += len(data)
        self._stream.send(data)
        if not self._stream.send_room:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        self._readiness.read(False)
        self.phone_stalls.begin()

    def _end_input(self) -> None:
        self._input_ended = True
        self._readiness.read(False)
        if self._deaf:
            self._stream.close()
        else:
            self._stream.shutdown_write()

    # Phone to client

    def stream_data_received(self, data: memoryview | bytes) -> None:
        """See `StreamHandler`."""
        self.bytes_from_phone += len(data)
        if self._deaf:
            self._stream.acknowledge(len(data))
        elif self._backlog:
            self._backlog.append(bytes(data))
        elif (taken := self._write(data)) < len(data) and not self._deaf:
            self._backlog.append(bytes(data[taken:]))
            self._readiness.write(True)
            self.client_stalls.begin()

    def _on_writable(self) -> None:
        self._flush_backlog()
        if self._stream_closed and not self._backlog:
            self._end()

    def _flush_backlog(self) -> None:
        while self._backlog:
            chunk = self._backlog.popleft()
            taken = self._write(chunk)
            if self._deaf:
                return
            if taken < len(chunk):
                self._backlog.appendleft(memoryview(chunk)[taken:])
                self._readiness.write(True)
                return
        self._readiness.write(False)
        self.client_stalls.end()

    def _write(self, data: memoryview | bytes) -> int:
        """Give the client what it takes now, and acknowledge that to the phone."""
        try:
            taken = self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._become_deaf(len(data))
            return 0
        greeted = min(taken, self._greeting_left)
        self._greeting_left -= greeted
        if taken > greeted and not self._stream_closed:
            self._stream.acknowledge(taken - greeted)
        return taken

    def _become_deaf(self, in_hand: int = 0) -> None:
        """Nobody reads any more; `in_hand` bytes were taken off the backlog already."""
        self._deaf = True
        self._readiness.write(False)
        self.client_stalls.end()
        dropped = in_hand + sum(len(chunk) for chunk in self._backlog) - self._greeting_left
        self._backlog.clear()
        self._greeting_left = 0
        if self._stream_closed:
            return
        self._stream.acknowledge(dropped)
        if self._input_ended:
            self._stream.close()
        else:
            # What the client wrote before it went is still in its socket; the phone may be slow to take it.
            self._giving_up = self._loop.call_later(self._linger_s, self._give_up, self._moved_bytes())

    # Endings

    def _on_hangup(self) -> None:
        if not self._deaf:
            self._become_deaf()
        if self._stream_closed:
            self._end()

    def _give_up(self, moved_before: int) -> None:
        if self._stream_closed or self._input_ended:
            return
        if self._moved_bytes() == moved_before:
            self._stream.abort("the client is gone and its input was not taken")
        else:
            self._giving_up = self._loop.call_later(self._linger_s, self._give_up, self._moved_bytes())

    def _moved_bytes(self) -> int:
        return self.bytes_to_phone + self.bytes_from_phone

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """See `StreamHandler`. What the phone sent before is still delivered (T17)."""
        self._stream_closed = True
        self._readiness.read(False)
        self.phone_stalls.end()
        level = logging.WARNING if cause is CloseCause.VIOLATED else logging.INFO
        counts = f"{self.bytes_to_phone} bytes to the phone, {self.bytes_from_phone} from it"
        logger.log(level, "%s: %s %s; %s", self._stream, cause.name.lower(), text, counts, extra={"udid": self.udid})
        if not self._backlog:
            self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.phone_stalls.end()
        self.client_stalls.end()
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._readiness.end()
        self._watch.remove(self._sock)
        self._farewells.say(self._sock)
        self._on_end()
