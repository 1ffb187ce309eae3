"""A short run of every kind of trouble, and proof that the long one would find a broken engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.soak import Soak, SoakFailedError
from usbmux.mux.arrivals import Arrivals
from usbmux.mux.connection import TcpConnection
from usbmux.mux.events import DataReceived, Event, SendRoomOpened
from usbmux.mux.port_allocator import PortAllocator
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.send_buffer import SendBuffer
from usbmux.mux.session import MuxSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEPS = 20_000
STEPS_TO_FIND_A_FAULT = 60_000
"""Three times what the slowest of them took with any of eight seeds."""


def test_soak_many_steps_break_no_rule() -> None:
    soak = Soak(seed=1)
    soak.run(STEPS)
    assert soak.steps == STEPS
    assert soak.counts["rounds with faults"] > 0
    assert soak.counts["rounds without faults"] > 0


def test_soak_same_seed_takes_the_same_steps() -> None:
    runs = []
    for _ in range(2):
        soak = Soak(seed=2)
        soak.run(3000)
        runs.append((soak.lives, soak.counts))
    assert runs[0] == runs[1]


def test_soak_enough_ends_after_a_life() -> None:
    soak = Soak(seed=1)
    soak.run(STEPS, lambda: soak.lives == 1)
    assert soak.lives == 1
    assert 0 < soak.steps < STEPS


def swap_two_bytes(patch: pytest.MonkeyPatch) -> None:
    take = SendBuffer.take

    def swapping(self: SendBuffer, count: int) -> bytes:
        data = bytes(take(self, count))
        return data[1::-1] + data[2:]

    patch.setattr(SendBuffer, "take", swapping)


def acknowledge_everything(patch: pytest.MonkeyPatch) -> None:
    acknowledge = TcpConnection.acknowledge

    def generous(self: TcpConnection, _count: int, now: float) -> None:
        acknowledge(self, (self.rcv_nxt - self.rcv_taken) % 2**32, now)

    patch.setattr(TcpConnection, "acknowledge", generous)


def acknowledge_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TcpConnection, "acknowledge", lambda *_: None)


def overrun_the_window(patch: pytest.MonkeyPatch) -> None:
    receive = TcpConnection.receive_segment

    def hopeful(self: TcpConnection, segment: Segment, now: float) -> None:
        receive(self, segment._replace(window=segment.window + 256), now)

    patch.setattr(TcpConnection, "receive_segment", hopeful)


def lose_a_byte(patch: pytest.MonkeyPatch) -> None:
    next_event = Arrivals.next

    def losing(self: Arrivals) -> Event | None:
        event = next_event(self)
        if isinstance(event, DataReceived) and len(event.pieces[-1]) > 1:
            return event._replace(pieces=[*event.pieces[:-1], event.pieces[-1][:-1]])
        return event

    patch.setattr(Arrivals, "next", losing)


def keep_open_windows_secret(patch: pytest.MonkeyPatch) -> None:
    next_event = Arrivals.next

    def silent(self: Arrivals) -> Event | None:
        while isinstance(event := next_event(self), SendRoomOpened):
            pass
        return event

    patch.setattr(Arrivals, "next", silent)


def reset_instead_of_draining(patch: pytest.MonkeyPatch) -> None:
    def closing(self: MuxSession, connection: TcpConnection, now: float) -> None:
        self.abort(connection, "", now)

    patch.setattr(MuxSession, "close", closing)


def use_a_port_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PortAllocator, "allocate", lambda *_: 7)


def use_port_0(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PortAllocator, "allocate", lambda *_: 0)


def sleep_through_deadlines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MuxSession, "handle_timer", lambda *_: None)


def hoard_what_comes(patch: pytest.MonkeyPatch) -> None:
    receive = MuxSession.receive_pieces
    hoards: dict[int, list[bytes]] = {}

    def hoarding(self: MuxSession, pieces: Sequence[bytes], now: float) -> None:
        hoard = hoards.setdefault(id(self), [])
        hoard += [bytes(100 * len(piece)) for piece in pieces]
        vars(self)["hoard"] = hoard
        receive(self, pieces, now)

    patch.setattr(MuxSession, "receive_pieces", hoarding)


def never_say_no(patch: pytest.MonkeyPatch) -> None:
    control_segment = TcpConnection.control_segment

    def polite(self: TcpConnection) -> Segment | None:
        segment = control_segment(self)
        return None if segment is not None and segment.flags == Flags.RST else segment

    patch.setattr(TcpConnection, "control_segment", polite)


@pytest.mark.parametrize(
    ("break_it", "finding"),
    [
        (swap_two_bytes, "wrong bytes from"),
        (acknowledge_everything, "acknowledged what the client has not taken"),
        (acknowledge_nothing, "bytes for the client stuck|no connection works|client was not told of the end"),
        (overrun_the_window, "window: expected at most"),
        (lose_a_byte, "wrong bytes for the client|lost what came before|bytes for the client stuck"),
        (keep_open_windows_secret, "nobody told the client that it may write|no connection works"),
        (reset_instead_of_draining, "cut off instead of finished"),
        (use_a_port_twice, "a source port that is in use"),
        (use_port_0, "port 0"),
        (sleep_through_deadlines, "a deadline that has passed already"),
        (hoard_what_comes, "MuxSession.* holds"),
        (never_say_no, "the phone was not told of the end"),
    ],
)
def test_soak_broken_engine_is_found(
    break_it: Callable[[pytest.MonkeyPatch], None], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    with pytest.raises(SoakFailedError, match=finding):
        Soak(seed=1).run(STEPS_TO_FIND_A_FAULT)


def test_soak_failure_tells_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    swap_two_bytes(monkeypatch)
    with pytest.raises(SoakFailedError) as first:
        Soak(seed=3).run(STEPS)
    words = str(first.value).splitlines()[-1].split()
    seed, life, steps = (int(words[words.index(name) + 1]) for name in ("--seed", "--life", "--steps"))
    with pytest.raises(SoakFailedError) as second:
        Soak(seed, life).run(steps)
    assert str(second.value) == str(first.value)
