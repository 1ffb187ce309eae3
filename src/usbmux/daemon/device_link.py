"""A phone's pipe joined to its `MuxSession`: bytes in, events out, transmit, re-arm one timer.

No rule of the protocol stands here; see docs/architecture.md for the data path.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, assert_never

from usbmux.daemon.counts import Counts
from usbmux.daemon.log_budget import LogBudget
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.receive_window import at_speed
from usbmux.errors import UsbDisconnectedError, UsbError
from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    ConnectionEstablished,
    DataReceived,
    DeviceMessage,
    HandshakeCompleted,
    PacketIgnored,
    RareEvent,
    ResynchronisationBegun,
    SendRoomOpened,
    SessionFailed,
)
from usbmux.mux.packet import ControlKind
from usbmux.mux.session import MuxSession, SessionState
from usbmux.mux.settings import MuxSettings
from usbmux.usb.pipe import BulkPipe, UsbDeviceInfo

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

logger = logging.getLogger("usbmux.daemon.device")


class StreamHandler(Protocol):
    """What becomes of a stream. Called from the link's turn; may call the stream at once."""

    def stream_established(self) -> None:
        """The phone accepted."""

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> int:
        """The phone sent data, valid during the call.

        Returns:
            How many bytes were taken. Owed: `DeviceStream.acknowledge` for the others.
        """

    def stream_room_opened(self) -> None:
        """`connection.send_room` is not 0 any more."""

    def stream_turn_came(self) -> None:
        """`DeviceStream.send_from` sends now, once, what was told of by `DeviceStream.offer`."""

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """It is over, or was never established. The last call."""


class DeviceLink:
    """One phone. Implements `PipeReceiver`.

    Args:
        counts: Gets what is to be counted.
        moderation: Is told what moves.
    """

    def __init__(
        self,
        pipe: BulkPipe,
        settings: MuxSettings,
        loop: asyncio.AbstractEventLoop,
        counts: Counts,
        moderation: Moderation,
    ) -> None:
        self.info: Final[UsbDeviceInfo] = pipe.info
        self.now: Final = time.monotonic  # the clock of the loop, without the loop's own call around it
        self.session: Final = MuxSession(time.monotonic(), at_speed(settings, pipe.info.connection_speed))
        self.handlers: Final[dict[TcpConnection, StreamHandler]] = {}
        self.ready: Final[asyncio.Future[bool]] = loop.create_future()
        """Resolves to whether the handshake succeeded."""
        self.ended: Final[asyncio.Future[str]] = loop.create_future()
        """Resolves to why the link ended."""
        self.detach: Callable[[], None] | None = None
        """Called when the link ends. If it is lost, its connections hear of it later: clients ask again at once."""
        self.is_gone = False
        """Whether it ended because the phone left the bus."""
        self.pipe: Final = pipe
        self.has_free_slot: Final = pipe.has_free_slot
        self.moderation: Final = moderation
        self.ran_low: Final = moderation.ran_low
        """See `PipeReceiver`."""
        self._loop: Final = loop
        self._counts: Final = counts
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._in_turn = False
        self._all_sent: asyncio.Future[None] | None = None
        """Resolves when nothing waits for the pipe any more, if somebody wants to know."""
        self._logger: Final = logging.LoggerAdapter(logger, {"udid": pipe.info.serial_number})
        self._log_budget: Final = LogBudget()

    def start(self) -> None:
        """Begin to read and offer the handshake."""
        self.pipe.start(self)
        self.turn(self.now())

    def shut_down(self, reason: str) -> None:
        """Reset every connection and call the link ended. What the pipe does not take at once goes out later."""
        for connection in list(self.handlers):
            self.session.abort(connection, reason, self.now())
        self.turn(self.now())
        self._end(reason)

    async def wait_sent(self, timeout_s: float) -> None:
        """Wait until the pipe has taken all that is due, or is lost, but not longer than that."""
        if self.session.state is SessionState.READY and self.session.egress.may_have_packet:
            self._all_sent = self._loop.create_future()
            await asyncio.wait([self._all_sent], timeout=timeout_s)

    # PipeReceiver

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        """See `PipeReceiver`."""
        now = self.now()
        self.session.receive_pieces(pieces, now)
        self.turn(now)

    def slot_freed(self) -> None:
        """See `PipeReceiver`."""
        if self.session.egress.may_have_packet:
            self.turn(self.now())
        if self._all_sent is not None and not self.session.egress.may_have_packet:
            self._wait_no_more()

    def pipe_lost(self, error: UsbError | None) -> None:
        """See `PipeReceiver`."""
        self.is_gone = isinstance(error, UsbDisconnectedError)
        now = self.now()
        self.session.fail(str(error) if error else "closed by us", now)
        self.turn(now)

    # Inside

    def turn(self, now: float) -> None:
        """Hand out what happened, then transmit. A call from inside a handler is served by the turn under way."""
        if self._in_turn:
            return
        self._in_turn = True
        session = self.session
        try:
            if session.waiting_events:
                self._hand_out(now)
            while session.egress.may_have_packet and self.has_free_slot():
                if (packet := session.packet_to_send(now)) is not None:
                    self.pipe.write(packet)
                elif (connection := session.egress.granted) is not None:
                    try:
                        self.handlers[connection].stream_turn_came()
                    finally:
                        session.egress.granted = None
                    if session.waiting_events:
                        self._hand_out(now)
                else:
                    break
        finally:
            self._in_turn = False
        if session.deadline_moved:
            self._arm_timer()

    def _hand_out(self, now: float) -> None:
        session = self.session
        while (event := session.next_event()) is not None:
            if isinstance(event, DataReceived):  # nearly all are
                connection, pieces = event
                taken = self.handlers[connection].stream_data_received(pieces)
                if taken:
                    session.acknowledge(connection, taken, now)
                    self.moderation.came(connection, taken, len(pieces[-1]), now)
                else:
                    self.moderation.client_fell_behind()
            elif isinstance(event, SendRoomOpened):  # most others
                self.handlers[event.connection].stream_room_opened()
            else:
                self._dispatch(event)

    def _arm_timer(self) -> None:
        """Too early does no harm: deadlines move away with nearly every packet, and timers cost more than they do."""
        self.session.deadline_moved = False
        deadline = self.session.deadline
        if deadline is None or (self._timer is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = self._loop.call_at(deadline, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        now = self.now()
        self.session.handle_timer(now)
        self.turn(now)

    def _dispatch(self, event: RareEvent) -> None:
        match event:
            case ConnectionEstablished(connection):
                self.handlers[connection].stream_established()
            case ConnectionClosed(connection, cause, text):
                self.handlers.pop(connection).stream_closed(cause, text)
            case SendRoomOpened(connection):
                self.handlers[connection].stream_room_opened()
            case HandshakeCompleted(version):
                self._logger.info("%s: mux version %d", self.info.serial_number, version)
                if not self.ready.done():
                    self.ready.set_result(True)
            case ResynchronisationBegun(reason):
                self._counts.resynchronisations += 1
                self._logger.error("%s: beginning anew: %s", self.info.serial_number, reason)
            case SessionFailed(reason):
                self._end(reason)
            case DeviceMessage(kind, text):
                level = logging.INFO if kind == ControlKind.INFO else logging.WARNING
                self._log(level, f"says (kind {kind}): {text}")
            case PacketIgnored(reason):
                self._counts.ignored_packets += 1
                self._log(logging.DEBUG, f"ignored {reason}")
            case _:
                assert_never(event)

    def _log(self, level: int, text: str) -> None:
        """Write down what the phone causes at will."""
        if not self._logger.isEnabledFor(level) or not self._log_budget.take(self.now()):
            return
        if withheld := self._log_budget.take_withheld():
            self._logger.warning("%s: %d lines about it were withheld", self.info.serial_number, withheld)
        self._logger.log(level, "%s: %s", self.info.serial_number, text)

    def _end(self, reason: str) -> None:
        if self._timer is not None:  # it may be one that has nothing to do any more; nor shall it keep the link alive
            self._timer.cancel()
            self._timer = None
        self._wait_no_more()
        if not self.ready.done():
            self.ready.set_result(False)
        if not self.ended.done():
            self.ended.set_result(reason)
        detach, self.detach = self.detach, None
        if detach is not None:
            detach()

    def _wait_no_more(self) -> None:
        all_sent, self._all_sent = self._all_sent, None
        if all_sent is not None and not all_sent.done():
            all_sent.set_result(None)
