"""A program that came by a kept forward, until it is joined with the phone's port."""

import asyncio
import logging
import socket
from enum import Enum
from typing import Final, Protocol

from usbmux.admin.message import ClientActivity, ConnectionStatus
from usbmux.control.message import normalized_udid
from usbmux.daemon.counts import ConnectResult, Counts
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.device_stream import DeviceStream
from usbmux.daemon.peer import Peer
from usbmux.daemon.registry import DeviceRegistry
from usbmux.errors import LocalProtocolError
from usbmux.farewell import Farewells
from usbmux.mux.events import CloseCause

logger = logging.getLogger("usbmux.daemon.forward")

WAIT_S: Final = 30.0
"""How long a program waits for a phone that is not there."""
AGAIN_S: Final = 0.5
"""After so long it asks again for a phone that is there and could not be asked: its link begins anew."""


class ForwardedState(Enum):
    """Where it stands."""

    WAITING = "waiting"
    """For the phone."""
    CONNECTING = "connecting"
    """For the phone's answer."""
    FINISHED = "finished"
    """Its socket is somebody else's, or closed."""


_EDGES: Final = frozenset(
    {
        (ForwardedState.WAITING, ForwardedState.CONNECTING),
        (ForwardedState.CONNECTING, ForwardedState.WAITING),
        (ForwardedState.CONNECTING, ForwardedState.FINISHED),
        (ForwardedState.WAITING, ForwardedState.FINISHED),
    }
)


class ForwardHost(Protocol):
    """What it needs of the daemon."""

    registry: DeviceRegistry
    farewells: Farewells
    counts: Counts

    def forwarded_client_connected(self, client: "ForwardedClient", sock: socket.socket, stream: DeviceStream) -> None:
        """The program's socket is a stream from now on."""

    def forwarded_client_ended(self, client: "ForwardedClient") -> None:
        """The socket was given up."""


class ForwardedClient:
    """Implements `StreamHandler` and `ClientOwner`.

    Args:
        sock: Of the program; nothing of it is read here.
        udid: Of the phone; None for the only one.
        port: Of the phone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: ForwardHost,
        sock: socket.socket,
        number: int,
        peer: Peer,
        udid: str | None,
        port: int,
    ) -> None:
        self.number: Final = number
        self.peer: Final = peer
        self._loop: Final = loop
        self._host: Final = host
        self._sock: Final = sock
        self._udid: Final = udid
        self._port: Final = port
        self._stream: DeviceStream | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._looking_again: asyncio.TimerHandle | None = None
        self._obstacle: str | None = None
        """Why a phone that is there could not be asked."""
        self._state = ForwardedState.WAITING

    def __str__(self) -> str:
        return f"client {self.number} ({self.peer})"

    @property
    def activity(self) -> ClientActivity:
        """See `ClientOwner`."""
        return ClientActivity.CONNECTING

    def connection(self, client: int, now: float) -> ConnectionStatus | None:
        """See `ClientOwner`."""
        return self._stream.status(client, now) if self._stream is not None else None

    @property
    def traffic(self) -> None:
        """See `ClientOwner`: nothing moves yet."""
        return None

    def start(self) -> None:
        """Connect, or wait for the phone."""
        self._host.registry.call_when_attached(self._look_for_phone)
        self._begin_to_wait()
        self._look_for_phone()

    def _begin_to_wait(self) -> None:
        self._stop_timers()
        self._giving_up = self._loop.call_later(WAIT_S, self._give_up)

    def _look_for_phone(self) -> None:
        if self._state is not ForwardedState.WAITING:
            return
        self._obstacle = None
        links = attached_links(self._host.registry, self._udid)
        if len(links) > 1:
            self._finish("several phones are attached")
        elif links:
            self._connect(links[0])

    def close(self, reason: str) -> None:
        """See `ClientOwner`."""
        self._finish(reason)

    def _connect(self, link: DeviceLink) -> None:
        self._set_state(ForwardedState.CONNECTING)
        try:
            self._stream = DeviceStream(link, self._port, self)
        except LocalProtocolError as error:
            self._obstacle = str(error)
            self._set_state(ForwardedState.WAITING)
            self._look_again_later()

    def _look_again_later(self) -> None:
        self._looking_again = self._loop.call_later(AGAIN_S, self._look_for_phone)

    def _give_up(self) -> None:
        if self._state is not ForwardedState.WAITING:
            return
        if self._obstacle is not None:
            self._host.counts.connects[ConnectResult.NOT_POSSIBLE] += 1
            self._finish(self._obstacle)
        else:
            self._host.counts.connects[ConnectResult.NO_PHONE] += 1
            self._finish(f"the phone was not there within {WAIT_S:g} s")

    # StreamHandler, until the phone has answered

    def stream_established(self) -> None:
        """See `StreamHandler`."""
        stream, self._stream = self._stream, None
        assert stream is not None
        self._host.counts.connects[ConnectResult.ESTABLISHED] += 1
        self._leave()
        self._host.forwarded_client_connected(self, self._sock, stream)

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
        """See `StreamHandler`. With a phone that was pulled, or whose link begins anew, it waits again."""
        self._stream = None
        result = ConnectResult.of(cause)
        self._host.counts.connects[result] += 1
        if self._state is ForwardedState.FINISHED:
            return
        if result is ConnectResult.LOST:
            self._set_state(ForwardedState.WAITING)
            self._begin_to_wait()
            self._look_again_later()
        else:
            self._finish(f"{cause.name.lower()} {text}".rstrip())

    # Endings

    def _finish(self, reason: str) -> None:
        if self._state is ForwardedState.FINISHED:
            return
        logger.info("%s: no connection to port %d: %s", self, self._port, reason, extra={"client": self.number})
        self._leave()
        if self._stream is not None:
            self._stream.abort(reason)
        self._host.farewells.say(self._sock)
        self._host.forwarded_client_ended(self)

    def _leave(self) -> None:
        self._set_state(ForwardedState.FINISHED)
        self._host.registry.call_no_more(self._look_for_phone)
        self._stop_timers()

    def _stop_timers(self) -> None:
        for timer in (self._giving_up, self._looking_again):
            if timer is not None:
                timer.cancel()

    def _set_state(self, state: ForwardedState) -> None:
        assert (self._state, state) in _EDGES, f"{self._state} -> {state}"
        self._state = state


def attached_links(registry: DeviceRegistry, udid: str | None) -> list[DeviceLink]:
    """The ways to the attached phones of that UDID, dashes and case aside; to all for None."""
    if udid is None:
        return [device.link for device in registry]
    wanted = normalized_udid(udid)
    return [device.link for device in registry if normalized_udid(device.record.serial_number) == wanted]
