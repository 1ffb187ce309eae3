"""The wrapper: what passes through it is what passed without it, and a sink is no risk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.capture.outputs import INFO, START_NS
from usbmux.capture.trace_hub import LinkSink, TraceHub, TraceSink
from usbmux.capture.traced_bus import TracedBus
from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError
from usbmux.testing import SimulatedBus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usbmux.usb.pipe import BulkPipe, UsbCandidate, UsbDeviceInfo

pytestmark = pytest.mark.asyncio


class EchoFunction:
    """Sends back whatever comes."""

    info = INFO
    max_packet_size = 512

    def connected(self, send: object) -> None:
        assert callable(send)
        self.send = send

    def bulk_out(self, data: bytes) -> None:
        if data:
            self.send(data)

    def disconnected(self) -> None:
        pass


@dataclass(slots=True)
class Listener:
    arrived: list[UsbCandidate] = field(default_factory=list)
    left: list[UsbCandidate] = field(default_factory=list)

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self.arrived.append(candidate)

    def device_left(self, candidate: UsbCandidate) -> None:
        self.left.append(candidate)


@dataclass(slots=True)
class Receiver:
    log: list[str]
    freed: int = 0
    low: int = 0

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        self.log += [f"receiver got {bytes(data)!r}" for data in pieces]

    def ran_low(self) -> None:
        self.low += 1

    def slot_freed(self) -> None:
        self.freed += 1

    def pipe_lost(self, error: UsbError | None) -> None:
        self.log.append(f"receiver lost: {error}")


@dataclass(slots=True)
class LogSink:
    """Writes into the receiver's log; fails at the given call."""

    log: list[str]
    fails_at: str = ""
    is_indifferent: bool = False

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink | None:
        how = "joined" if is_under_way else "opened"
        self._tell("opened", f"{how} {info.serial_number} at {info.port_path}", time_ns)
        return None if self.is_indifferent else self

    def trace_ended(self, time_ns: int) -> None:
        self._tell("trace ended", "trace ended", time_ns)

    def sent(self, packet: bytes, time_ns: int) -> None:
        self._tell("sent", f"sent {packet!r}", time_ns)

    def received(self, data: bytes | memoryview, time_ns: int) -> None:
        self._tell("received", f"received {bytes(data)!r}", time_ns)

    def ended(self, reason: str, time_ns: int) -> None:
        self._tell("ended", f"ended: {reason}", time_ns)

    def _tell(self, call: str, text: str, time_ns: int) -> None:
        if call == self.fails_at:
            raise ZeroDivisionError
        self.log.append(f"{time_ns - START_NS}: {text}")


class Clock:
    def __init__(self) -> None:
        self.now = START_NS

    def __call__(self) -> int:
        self.now += 1
        return self.now


def hub_with(*sinks: TraceSink) -> TraceHub:
    hub = TraceHub(clock_ns=Clock())
    for sink in sinks:
        hub.add(sink)
    return hub


async def use(
    sink: TraceSink, log: list[str], *, hub: TraceHub | None = None
) -> tuple[SimulatedBus, EchoFunction, Listener, BulkPipe]:
    """Plug in, open, start, and echo a packet."""
    bus, function, listener = SimulatedBus(slots=1), EchoFunction(), Listener()
    bus.plug(function)
    traced = TracedBus(bus, hub or hub_with(sink))
    await traced.start(listener)
    pipe = await listener.arrived[0].open()
    pipe.start(Receiver(log))
    assert pipe.has_free_slot()
    await echo_once(pipe, b"one")
    return bus, function, listener, pipe


async def echo_once(pipe: BulkPipe, packet: bytes) -> None:
    """Through the only slot."""
    pipe.write(packet)
    assert not pipe.has_free_slot()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_packet_written_in_place_sink_hears_it_and_the_phone_gets_it() -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log), log)
    log.clear()
    buffer = pipe.free_buffer()
    assert buffer is not None
    buffer[:7] = b"place.."
    pipe.write_buffer(5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["4: sent b'place'", "5: received b'place'", "receiver got b'place'"]
    await pipe.close()


async def test_link_used_and_closed_sink_hears_everything_before_the_receiver() -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log), log)
    await pipe.close()
    assert log == [
        f"1: opened {INFO.serial_number} at 1-1",
        "2: sent b'one'",
        "3: received b'one'",
        "receiver got b'one'",
        "4: ended: closed by us",
        "receiver lost: None",
    ]


async def test_link_unplugged_both_hear_why_and_the_candidate_is_known_again() -> None:
    log: list[str] = []
    bus, function, listener, _pipe = await use(LogSink(log), log)
    bus.unplug(function)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log[-2:] == ["4: ended: 1-1 (05ac:12a8) was unplugged", "receiver lost: 1-1 (05ac:12a8) was unplugged"]
    (arrived,) = listener.arrived
    assert listener.left == [arrived]
    assert {arrived: "task"}[listener.left[0]] == "task"
    with pytest.raises(UsbDisconnectedError):
        await arrived.open(anew=True)


@pytest.mark.parametrize("call", ["opened", "sent", "received", "ended"])
async def test_sink_raises_the_link_goes_on_untold(call: str, caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log, fails_at=call), log)
    await pipe.close()
    assert [line for line in log if line.startswith("receiver")] == ["receiver got b'one'", "receiver lost: None"]
    assert caplog.messages == [f"{INFO.serial_number}: its trace ends here: ZeroDivisionError()"]


async def test_write_without_free_slot_is_refused_and_not_told() -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log), log)
    pipe.write(b"two")
    with pytest.raises(LocalProtocolError):
        pipe.write(b"three")
    await pipe.close()
    assert not [line for line in log if "three" in line]


async def test_pipe_started_again_is_refused_and_the_link_stays_one() -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log), log)
    with pytest.raises(LocalProtocolError):
        pipe.start(Receiver(log))
    await pipe.close()
    assert len([line for line in log if "opened" in line]) == 1
    assert len([line for line in log if "ended" in line]) == 1


async def test_two_traces_of_one_bus_hear_the_same() -> None:
    inner: list[str] = []
    outer: list[str] = []
    bus, function, listener = SimulatedBus(), EchoFunction(), Listener()
    bus.plug(function)
    await TracedBus(bus, hub_with(LogSink(inner), LogSink(outer))).start(listener)
    pipe = await listener.arrived[0].open()
    pipe.start(Receiver([]))
    pipe.write(b"one")
    await asyncio.sleep(0)
    await pipe.close()
    assert [line.partition(":")[2] for line in inner] == [line.partition(":")[2] for line in outer]
    assert len(inner) == 4


async def test_link_under_way_sink_added_it_hears_from_now_on_and_is_told_so() -> None:
    log: list[str] = []
    hub = hub_with()
    _bus, _function, _listener, pipe = await use(LogSink([]), [], hub=hub)
    hub.add(LogSink(log))
    await echo_once(pipe, b"two")
    await pipe.close()
    assert log == [
        "1: joined 00008030-001A2B3C4D5E6F01 at 1-1",
        "2: sent b'two'",
        "3: received b'two'",
        "4: ended: closed by us",
    ]


async def test_link_under_way_one_of_two_sinks_removed_it_hears_no_more_and_the_other_does() -> None:
    leaving: list[str] = []
    staying: list[str] = []
    sink = LogSink(leaving)
    hub = hub_with(sink, LogSink(staying))
    bus, _function, listener, pipe = await use(sink, [], hub=hub)
    hub.remove(sink)
    told = len(leaving)
    assert leaving[-1].endswith(": trace ended")
    await echo_once(pipe, b"two")
    bus.plug(EchoFunction())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (await listener.arrived[1].open()).start(Receiver([]))
    await pipe.close()
    assert len(leaving) == told
    assert [line.partition(": ")[2] for line in staying][-4:] == [
        "sent b'two'",
        "received b'two'",
        "opened 00008030-001A2B3C4D5E6F01 at 1-2",
        "ended: closed by us",
    ]


async def test_no_sink_nothing_is_called_for_a_transfer() -> None:
    hub = hub_with()
    _bus, _function, _listener, pipe = await use(LogSink([]), [], hub=hub)
    now = hub.clock_ns()
    await echo_once(pipe, b"two")
    assert hub.clock_ns() == now + 1  # nobody has looked at the clock meanwhile


async def test_sink_does_not_want_the_link_it_is_told_nothing_of_it() -> None:
    log: list[str] = []
    _bus, _function, _listener, pipe = await use(LogSink(log, is_indifferent=True), [])
    await pipe.close()
    assert log == ["1: opened 00008030-001A2B3C4D5E6F01 at 1-1"]


async def test_sink_removed_raises_at_its_end_nobody_minds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = LogSink([], fails_at="trace ended")
    hub = hub_with(sink)
    hub.remove(sink)
    assert caplog.messages == ["a trace did not end well: ZeroDivisionError()"]
