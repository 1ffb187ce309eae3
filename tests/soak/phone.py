"""The strict simulated phone with its applications, and what they may expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.soak.stream import Stream, content
from usbmux.testing.device import ConnectionProgressed, ConnectionRequested, DeviceEvent, DeviceMux
from usbmux.testing.device_connection import ConnectionState, DeviceConnection

if TYPE_CHECKING:
    from tests.soak.world import World

OPEN_PORTS: Final = range(10)
CLOSED_PORT: Final = 60000
CALM_WINDOW: Final = 65536
EVERYTHING: Final = 1 << 30


class Phone:
    """The phone's side of a world."""

    mux: DeviceMux

    def __init__(self, world: World) -> None:
        self.violations: Final[list[str]] = []
        """Rules that the host broke since the last rest."""
        self.late: list[Stream] = []
        """Streams whose SYN is answered later."""
        self.is_calm = False
        """Whether every connection is accepted at once, with an open window."""
        self._world = world
        self._by_end: dict[DeviceConnection, Stream] = {}

    def plug_in(self) -> None:
        """A phone that remembers nothing."""
        options, violations = self._world.options, self.violations
        self.mux = DeviceMux(is_open, version=self._world.version, options=options, strict=True, violations=violations)

    def forget_streams(self) -> None:
        """Of a host that is gone."""
        self._by_end.clear()
        self.late.clear()

    # The applications.

    def write(self, stream: Stream, count: int) -> None:
        """What the host's window does not take waits on the phone."""
        assert stream.end is not None
        stream.end.write(content(stream.salt, stream.phone_written, count))
        stream.phone_written += count
        self.take_events()

    def accept(self, stream: Stream) -> None:
        """Answer the SYN, unless it is too late."""
        assert stream.end is not None
        stream.end.accept()
        self.take_events()

    def end(self, stream: Stream, *, at_once: bool) -> None:
        """Close, after everything that was written or at once."""
        assert stream.end is not None
        stream.has_phone_ended = True
        stream.is_refused = stream.is_refused or stream.end.state is ConnectionState.LISTEN
        if at_once:
            stream.end.reset(b"enough")
        else:
            stream.phone_reads(EVERYTHING)
            stream.end.close()
        if stream.end.state is ConnectionState.CLOSED:
            self._forget(stream)

    # What comes from the host.

    def take_events(self) -> None:
        while (event := self.mux.next_event()) is not None:
            self._handle(event)
        self._world.cable.to_host.extend(self.mux.take_packets())

    def _handle(self, event: DeviceEvent) -> None:
        match event:
            case ConnectionRequested(end):
                stream = self._world.stream_at(end.host_port)
                if stream is None or (stream.end is not None and stream.end is not end):
                    assert self._world.is_suspect, "a SYN that nobody sent"
                    end.reset(b"unknown")
                    return
                self._request(stream, end)
            case ConnectionProgressed(end):
                owner = self._by_end.get(end)
                if owner is not None:
                    self._progress(owner, end)

    def _request(self, stream: Stream, end: DeviceConnection) -> None:
        if stream.cause is not None:
            self._world.live.append(stream)  # its client has left before the SYN arrived
        stream.end = end
        stream.phone_isn = end.snd_nxt
        self._by_end[end] = stream
        how = self._world.random.random()
        if self.is_calm:
            end.accept()
            end.set_window(CALM_WINDOW)
        elif how < 0.8:
            end.accept()
        elif how < 0.95:
            self.late.append(stream)
        else:
            self.end(stream, at_once=True)

    def _progress(self, stream: Stream, end: DeviceConnection) -> None:
        if end.state is ConnectionState.CLOSED:
            self._forget(stream)
            return
        if not self._world.is_suspect:
            stream.check_acknowledgement()
        if stream.is_eager and stream.phone_reads(EVERYTHING):
            end.flush()

    def _forget(self, stream: Stream) -> None:
        """This end is closed; what has come can still be read."""
        assert stream.end is not None
        if self._by_end.pop(stream.end, None) is None:
            return
        stream.phone_reads(EVERYTHING)
        if stream.cause is not None:
            self._world.live.remove(stream)


def is_open(port: int) -> bool:
    """Whether something listens there."""
    return port in OPEN_PORTS
