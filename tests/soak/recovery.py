"""After the last fault: everything that can arrive arrives, everything ends, and a new connection works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.soak.cable import Fault
from tests.soak.footprint import footprint
from tests.soak.phone import CALM_WINDOW, EVERYTHING
from usbmux.mux.session import SessionState
from usbmux.testing.device import MuxState

if TYPE_CHECKING:
    from tests.soak.stream import Stream
    from tests.soak.world import World

MOST_TURNS: Final = 20_000
MOST_PACKETS_A_TURN: Final = 200_000
SHORT_WAIT_S: Final = 0.05
"""Longer deadlines are not waited for while things settle."""
ATTEMPTS: Final = 3
"""Connections that may fail on a cable on which something was lost: the first ones may be what shows it."""
PROBE_LENGTH: Final = 3000
IDLE_FOOTPRINT: Final = 1 << 20
"""Bytes that a session without connections may hold, and a phone too; ports in quarantine are most of it."""
NEED_REPLUG: Final = frozenset({Fault.LOST_OUT, Fault.DOUBLED_OUT, Fault.CUT_OUT, Fault.JOINED_OUT})
"""What a phone may answer with silence, or a host may wait behind for a rest that never comes."""


class Recovery:
    """Brings a world to rest."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self) -> None:
        world = self._world
        world.phone.is_calm = True
        self._open_windows()
        self._shake_hands()
        if not world.is_suspect:
            self._check_streams()
        self._end_streams()
        self._prove_health()
        self._become_silent()
        world.rest()
        for subject in (world.session, world.phone.mux):
            size = footprint(subject)
            assert size <= IDLE_FOOTPRINT, f"{type(subject).__name__} at rest holds {size} bytes"
        world.phone.is_calm = False

    def _open_windows(self) -> None:
        while self._world.phone.late:
            self._world.phone.accept(self._world.phone.late.pop())
        for stream in self._world.live:
            if stream.end is not None and stream.is_phone_open:
                stream.end.set_window(CALM_WINDOW)
        self._world.phone.take_events()

    def _settle(self) -> None:
        """Everybody does what there is to do, until there is nothing."""
        for _ in range(MOST_TURNS):
            if not self._turn():
                return
        raise AssertionError("it never becomes quiet")

    def _turn(self) -> bool:
        world = self._world
        for stream in list(world.live):
            world.client_takes(stream, EVERYTHING)
            if stream.end is not None:
                stream.phone_reads(EVERYTHING)
                stream.end.flush()
        world.phone.take_events()
        has_moved = False
        for _ in range(MOST_PACKETS_A_TURN):
            if not world.pull_packet():
                break
            world.give_to_phone()
            has_moved = True
        if world.cable.to_phone:
            world.give_to_phone()
            has_moved = True
        if world.cable.to_host:
            world.give_to_host(world.cable.take_all())
            has_moved = True
        return has_moved or self._wait_shortly()

    def _wait_shortly(self) -> bool:
        deadline = self._world.session.deadline
        if deadline is None or deadline > self._world.now + self._longest_wait_s():
            return False
        self._world.pass_time(deadline - self._world.now)
        return True

    def _longest_wait_s(self) -> float:
        """A phone that does not say that its window has opened is asked at growing intervals."""
        world = self._world
        if world.is_suspect or world.options.announce_window:
            return SHORT_WAIT_S
        has_to_ask = any(stream.waits_for_window for stream in world.live)
        return world.settings.longest_zero_window_probe_s if has_to_ask else SHORT_WAIT_S

    def _shake_hands(self) -> None:
        world = self._world
        for _ in range(30):
            self._settle()
            if world.session.state is SessionState.READY:
                return
            if world.session.state is SessionState.FAILED:
                if world.cable.faults & NEED_REPLUG or world.is_framing_suspect:
                    world.plug_in()
                else:
                    world.begin_session_again()
            elif (deadline := world.session.deadline) is not None:
                world.pass_time(deadline - world.now)
        raise AssertionError("the handshake is never done")

    def _check_streams(self) -> None:
        """On a sound cable everything has arrived by now."""
        for stream in self._world.live:
            assert stream.cause is None, "the phone was not told of the end"
            assert not stream.has_phone_ended, "the client was not told of the end"
            assert not stream.is_gone, "the client is gone and everything has arrived, but it does not end"
            stream.check_complete()

    def _end_streams(self) -> None:
        world = self._world
        is_suspect = world.is_suspect
        for stream in list(world.live):
            if is_suspect or world.random.random() < 0.5:
                if stream.cause is None:
                    world.client_closes(stream)
            else:
                world.phone.end(stream, at_once=False)
        self._settle()
        if is_suspect:
            self._wait_for_ends()
        assert not world.live, f"{len(world.live)} connections do not end"

    def _wait_for_ends(self) -> None:
        """What was lost may keep an end open; then the host gives up after its linger time, and the phone's user."""
        world = self._world
        for _ in range(3):
            world.pass_time(world.settings.linger_s)
            self._settle()
        for stream in list(world.live):
            assert stream.cause is not None, "the client has closed and the linger time is over, but it does not end"
            if stream.is_phone_open:
                world.phone.end(stream, at_once=True)
        world.phone.take_events()
        self._settle()

    def _prove_health(self) -> None:
        world = self._world
        for _ in range(ATTEMPTS if world.is_suspect else 1):
            if self._try_connection():
                return
        may_replug = world.is_framing_suspect or bool(world.cable.faults & NEED_REPLUG)
        assert may_replug, f"no connection works any more after {world.cable.faults}"
        why = "the phone is silent" if world.phone.mux.state is MuxState.SILENT else "the host waits for a lost rest"
        world.counts[f"plugged in anew: {why}"] += 1
        world.fail_session()
        world.plug_in()
        assert self._try_connection(), "no connection works on a new phone"

    def _try_connection(self) -> bool:
        """Whether a new connection carries bytes both ways and ends."""
        world = self._world
        self._shake_hands()
        stream = world.connect(0)
        self._settle()
        if stream.may_write:
            left = PROBE_LENGTH
            while left and (count := world.client_writes(stream, left)):
                left -= count
                self._settle()
            if stream.end is not None and stream.is_phone_open:
                world.phone.write(stream, PROBE_LENGTH)
                self._settle()
            has_arrived = (stream.phone_read, stream.received) == (PROBE_LENGTH, PROBE_LENGTH)
        else:
            has_arrived = False
        self._end_probe(stream)
        return has_arrived

    def _end_probe(self, stream: Stream) -> None:
        world = self._world
        if stream.is_phone_open:
            world.phone.end(stream, at_once=False)
            world.phone.take_events()
            self._settle()
        if stream.cause is None:
            world.client_closes(stream)
            self._settle()
            world.pass_time(world.settings.linger_s)
            self._settle()
        assert stream.cause is not None, "a connection that does not end"

    def _become_silent(self) -> None:
        """Without connections there is nothing to send and, in the end, nothing to wait for."""
        world = self._world
        self._shake_hands()
        while (deadline := world.session.deadline) is not None:
            world.pass_time(max(deadline - world.now, 0.0))
            assert not world.pull_packet(), "a packet that nobody needs"
        assert not world.live
