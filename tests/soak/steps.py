"""The random steps: what clients, applications on the phone, the cable and the clock may do at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.soak.phone import CLOSED_PORT, EVERYTHING, OPEN_PORTS
from tests.soak.stream import LONGEST_PIECE, Stream
from usbmux.mux.session import SessionState
from usbmux.testing.device_connection import ConnectionState

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tests.soak.world import World

WINDOWS: Final = (0, 256, 1000, 5000, 65536, 131072)
MOST_UNSENT: Final = 200_000
MOST_PACKETS_A_WRITE: Final = 50
WEIGHTS: Final = {
    "transfer_in": 200,
    "transfer_out": 180,
    "packets_out": 180,
    "client_writes": 60,
    "client_offers": 40,
    "client_takes": 80,
    "phone_writes": 90,
    "phone_reads": 90,
    "phone_flushes": 20,
    "little_time": 70,
    "connect": 20,
    "phone_resizes": 6,
    "phone_accepts": 5,
    "phone_closes": 4,
    "client_closes": 4,
    "client_shuts_down": 3,
    "much_time": 2,
    "phone_resets": 1,
    "client_aborts": 1,
}


class Steps:
    """Takes one step after the other.

    Args:
        journal: Where each step is noted, with its numbers.
        slots: Transfers to the phone that may be under way at once.
        most_streams: How many connections may be open at once.
        fault_rate: Faults a step, between 0 and 1.
    """

    def __init__(
        self,
        world: World,
        journal: deque[tuple[object, ...]],
        slots: int,
        most_streams: int,
        fault_rate: float,
    ) -> None:
        self._world = world
        self._random = world.random
        self._journal = journal
        self._slots = slots
        self._most_streams = most_streams
        self._has_acted = False
        self.fault_rate = fault_rate
        self._choices: list[Callable[[], None]] = []
        for name, weight in WEIGHTS.items():
            self._choices += [getattr(self, f"_{name}")] * weight

    def take(self) -> None:
        """One step; what finds nothing to do is no step."""
        random = self._random.random
        if random() < self.fault_rate:
            self._fault()
        self._has_acted = False
        while not self._has_acted:
            self._choices[int(random() * len(self._choices))]()

    def _note(self, *what: object) -> None:
        self._journal.append(what)
        self._has_acted = True

    def _stream(self) -> Stream | None:
        live = self._world.live
        return live[int(self._random.random() * len(live))] if live else None

    def _size(self) -> int:
        """Mostly small, sometimes more than any window."""
        how = self._random.random()
        most = 100 if how < 0.6 else 3000 if how < 0.9 else 20000 if how < 0.99 else LONGEST_PIECE
        return 1 + int(self._random.random() * most)

    # The cable and the clock.

    def _transfer_in(self) -> None:
        if self._world.cable.to_host:
            transfer = self._world.cable.take_transfer()
            self._note("transfer in", len(transfer))
            self._world.give_to_host(transfer)

    def _transfer_out(self) -> None:
        if self._world.cable.to_phone:
            self._note("transfer out", len(self._world.cable.to_phone[0]))
            self._world.give_to_phone()

    def _packets_out(self) -> None:
        count = 0
        while len(self._world.cable.to_phone) < self._slots and self._world.pull_packet():
            count += 1
        if count:
            self._note("packets out", count)

    def _little_time(self) -> None:
        milliseconds = self._random.randrange(1, 10)
        self._note("time passes", milliseconds)
        self._world.pass_time(milliseconds / 1000)

    def _much_time(self) -> None:
        deadline = self._world.session.deadline
        if deadline is None or self._random.random() < 0.2:
            seconds = float(self._random.randrange(1, 40))
        else:
            seconds = deadline - self._world.now
        self._note("much time passes", seconds)
        self._world.pass_time(seconds)

    def _fault(self) -> None:
        how = self._random.random()
        if how > 0.02:
            self._world.cable.go_wrong()
            self._note("fault", *self._world.cable.faults)
        elif how > 0.01:
            self.unplug()
        else:
            self.kill()

    def unplug(self) -> None:
        """The cable is drawn and put in again."""
        self._note("unplugged")
        self._world.counts["unplugged"] += 1
        self._world.fail_session()
        self._world.plug_in()

    def kill(self) -> None:
        """The host dies without a word, and another begins amid whatever is under way."""
        self._note("killed")
        self._world.counts["killed"] += 1
        self._world.cable.give_beginning_to_phone(self._world.phone.mux)
        self._world.begin_session_again()

    # The clients.

    def _connect(self) -> None:
        world = self._world
        if world.session.state is SessionState.FAILED:
            self._note("begins a new session")
            world.begin_session_again()
        elif world.session.state is SessionState.READY and len(world.live) < self._most_streams:
            port = CLOSED_PORT if self._random.random() < 0.02 else self._random.choice(OPEN_PORTS)
            stream = world.connect(port)
            self._note("connects", stream.number, stream.connection.local_port, port)

    def _client_writes(self) -> None:
        if (stream := self._stream()) is not None:
            count = self._world.client_writes(stream, self._size())
            if count:
                self._note("client writes", stream.number, count)

    def _client_offers(self) -> None:
        if (
            (stream := self._stream()) is not None
            and (count := self._size())
            and self._world.client_offers(stream, count)
        ):
            self._note("client offers", stream.number, count)

    def _client_takes(self) -> None:
        if (stream := self._stream()) is not None:
            count = min(self._size(), stream.received - stream.taken)
            if count and stream.cause is None and not stream.is_gone:
                self._note("client takes", stream.number, count)
                self._world.client_takes(stream, count)

    def _client_shuts_down(self) -> None:
        if (stream := self._stream()) is not None and stream.cause is None:
            self._note("client shuts down", stream.number)
            self._world.client_shuts_down(stream)

    def _client_closes(self) -> None:
        if (stream := self._stream()) is not None and stream.cause is None:
            self._note("client closes", stream.number)
            self._world.client_closes(stream)

    def _client_aborts(self) -> None:
        if (stream := self._stream()) is not None and stream.cause is None:
            self._note("client aborts", stream.number)
            self._world.client_aborts(stream)

    # The applications on the phone.

    def _phone_writes(self) -> None:
        stream = self._stream()
        if stream is None or stream.has_phone_ended or not stream.is_phone_open:
            return
        assert stream.end is not None
        if stream.end.unsent_length < MOST_UNSENT and stream.end.state is not ConnectionState.LISTEN:
            count = min(self._size(), MOST_PACKETS_A_WRITE * self._world.options.max_segment)
            self._note("phone writes", stream.number, count)
            self._world.phone.write(stream, count)

    def _phone_reads(self) -> None:
        stream = self._stream()
        if stream is not None and stream.end is not None:
            count = stream.phone_reads(self._size() if self._random.random() < 0.7 else EVERYTHING)
            if count:
                self._note("phone reads", stream.number, count)
                if self._random.random() < 0.7:
                    self._flush(stream)

    def _phone_flushes(self) -> None:
        stream = self._stream()
        if stream is not None and stream.is_phone_open:
            self._note("phone flushes", stream.number)
            self._flush(stream)

    def _flush(self, stream: Stream) -> None:
        if stream.end is not None:
            stream.end.flush()
            self._world.phone.take_events()

    def _phone_resizes(self) -> None:
        stream = self._stream()
        if stream is not None and stream.end is not None and stream.is_phone_open:
            window = self._random.choice(WINDOWS)
            self._note("phone sets window", stream.number, window)
            stream.end.set_window(window)
            self._world.phone.take_events()

    def _phone_accepts(self) -> None:
        if self._world.phone.late:
            stream = self._world.phone.late.pop(0)
            self._note("phone accepts", stream.number)
            self._world.phone.accept(stream)

    def _phone_closes(self) -> None:
        self._phone_ends(at_once=False)

    def _phone_resets(self) -> None:
        self._phone_ends(at_once=True)

    def _phone_ends(self, *, at_once: bool) -> None:
        stream = self._stream()
        if stream is not None and stream.is_phone_open and not stream.has_phone_ended:
            self._note("phone resets" if at_once else "phone closes", stream.number)
            self._world.phone.end(stream, at_once=at_once)
            self._world.phone.take_events()
