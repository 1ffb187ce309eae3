"""The bus in memory: order, slots, zero-length packets, plugging."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from usbmux.errors import LocalProtocolError, UsbAccessError, UsbDisconnectedError, UsbError
from usbmux.usb.pipe import BulkPipe, UsbCandidate, UsbDeviceInfo
from usbmux.usb.simulated import SimulatedBus

pytestmark = pytest.mark.asyncio


class Function:
    """Writes down what it is told."""

    max_packet_size = 512

    def __init__(self, serial_number: str = "one", log: list[str] | None = None) -> None:
        self.info = UsbDeviceInfo(serial_number, 0x12A8, 0, 480_000_000, "")
        self.log = [] if log is None else log
        self.send: Callable[[bytes], None] | None = None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self.log.append("connected")
        self.send = send

    def bulk_out(self, data: bytes) -> None:
        self.log.append(f"out {len(data)}")

    def disconnected(self) -> None:
        self.log.append("disconnected")

    def send_all(self, *transfers: bytes) -> None:
        assert self.send is not None
        for transfer in transfers:
            self.send(transfer)


@dataclass
class Host:
    """Writes down what the bus and the pipe tell it."""

    log: list[str] = field(default_factory=list)
    candidates: list[UsbCandidate] = field(default_factory=list)
    when_received: Callable[[], None] | None = None
    low: int = 0

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self.log.append(f"arrived {candidate.name}")
        self.candidates.append(candidate)

    def device_left(self, candidate: UsbCandidate) -> None:
        self.log.append(f"left {candidate.name}")

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        self.log += [f"in {bytes(data).decode()}" for data in pieces]
        if self.when_received is not None:
            self.when_received()

    def ran_low(self) -> None:
        self.low += 1

    def slot_freed(self) -> None:
        self.log.append("slot freed")

    def pipe_lost(self, error: UsbError | None) -> None:
        self.log.append(f"lost {type(error).__name__}")


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def plugged(bus: SimulatedBus | None = None) -> tuple[SimulatedBus, Function, Host, BulkPipe]:
    """A function plugged in, opened and started; both sides write into the host's log, cleared before."""
    bus = bus or SimulatedBus()
    host = Host()
    function = Function(log=host.log)
    bus.plug(function)
    await bus.start(host)
    await turns()
    pipe = await host.candidates[-1].open()
    pipe.start(host)
    await turns()
    assert host.log == ["arrived 1-1 (05ac:12a8)", "connected"]
    host.log.clear()
    return bus, function, host, pipe


async def test_started_reports_what_was_plugged_before_and_comes_after() -> None:
    bus, host = SimulatedBus(), Host()
    bus.plug(Function("one"))
    await bus.start(host)
    assert host.log == ["arrived 1-1 (05ac:12a8)"]
    bus.plug(Function("two"))
    assert len(host.log) == 1
    await turns()
    assert host.log == ["arrived 1-1 (05ac:12a8)", "arrived 1-2 (05ac:12a8)"]


async def test_replugged_where_addresses_are_kept_has_the_same_location_and_another_function_has_not() -> None:
    bus, host = SimulatedBus(keeps_addresses=True), Host()
    functions = [Function("one"), Function("two")]
    await bus.start(host)
    locations = []
    for function in [*functions, *functions]:
        bus.plug(function)
        await turns()
        pipe = await host.candidates[-1].open()
        locations.append(pipe.info.location_id)
        bus.unplug(function)
        await turns()
    assert locations == [0x10001, 0x10002, 0x10001, 0x10002]


async def test_replugged_has_same_port_path_and_new_location() -> None:
    bus, host, function = SimulatedBus(), Host(), Function("one")
    await bus.start(host)
    for _ in range(2):
        bus.plug(function)
        await turns()
        pipe = await host.candidates[-1].open()
        assert pipe.info == UsbDeviceInfo("one", 0x12A8, 0x10000 + len(host.candidates), 480_000_000, "1-1")
        bus.unplug(function)
        await turns()


async def test_closed_bus_reports_nothing_and_can_be_started_again() -> None:
    bus, host = SimulatedBus(), Host()
    await bus.start(host)
    bus.plug(Function("one"))
    await bus.close()
    await turns()
    assert host.log == []
    await bus.start(host)
    await turns()
    assert host.log == ["arrived 1-1 (05ac:12a8)"]


async def test_misuse_of_bus_raises() -> None:
    bus, function = SimulatedBus(), Function("one")
    with pytest.raises(LocalProtocolError, match="not plugged in"):
        bus.unplug(function)
    bus.plug(function)
    with pytest.raises(LocalProtocolError, match="already"):
        bus.plug(function)
    await bus.start(Host())
    with pytest.raises(LocalProtocolError, match="already"):
        await bus.start(Host())


async def test_open_twice_raises_until_closed() -> None:
    _, _, host, pipe = await plugged()
    with pytest.raises(UsbAccessError):
        await host.candidates[0].open()
    await pipe.close()
    assert host.log == ["disconnected", "lost NoneType"]
    again = await host.candidates[0].open()
    again.start(host)
    assert host.log[2:] == ["connected"]


async def test_unplugged_open_raises() -> None:
    bus, host, function = SimulatedBus(), Host(), Function("one")
    bus.plug(function)
    await bus.start(host)
    await turns()
    bus.unplug(function)
    with pytest.raises(UsbDisconnectedError):
        await host.candidates[0].open()


async def test_write_is_delivered_later_with_zero_length_packet_where_due() -> None:
    _, _, host, pipe = await plugged()
    for length in (20, 512, 1024, 513):
        pipe.write(bytes(length))
    assert host.log == []
    await turns()
    assert host.log == ["out 20", "out 512", "out 0", "out 1024", "out 0", "out 513"]


async def test_zero_length_packets_off_leaves_them_out() -> None:
    _, _, host, pipe = await plugged(SimulatedBus(zero_length_packets=False))
    pipe.write(bytes(512))
    await turns()
    assert host.log == ["out 512"]


async def test_full_pipe_write_raises_and_slot_freed_follows_once() -> None:
    _, _, host, pipe = await plugged(SimulatedBus(slots=2))
    pipe.write(b"a")
    assert pipe.has_free_slot()
    pipe.write(b"b")
    assert not pipe.has_free_slot()
    with pytest.raises(LocalProtocolError, match="no free slot"):
        pipe.write(b"c")
    await turns()
    assert host.log == ["out 1", "out 1", "slot freed"]
    pipe.write(b"d")
    await turns()
    assert host.log[3:] == ["out 1"]


async def test_send_is_delivered_later_in_order_without_empty_transfers() -> None:
    _, function, host, _ = await plugged()
    function.send_all(b"one", b"", b"two")
    assert host.log == []
    await turns()
    assert host.log == ["in one", "in two"]
    assert host.low == 1


async def test_many_transfers_cross_in_one_turn() -> None:
    _, function, host, _ = await plugged()
    function.send_all(*[b"x"] * 100)
    await turns(1)
    assert len(host.log) == 100


async def test_pipe_before_start_takes_nothing() -> None:
    bus, host = SimulatedBus(), Host()
    bus.plug(Function("one"))
    await bus.start(host)
    await turns()
    pipe = await host.candidates[0].open()
    assert not pipe.has_free_slot()
    with pytest.raises(LocalProtocolError):
        pipe.write(b"early")
    pipe.start(host)
    with pytest.raises(LocalProtocolError, match="started or closed already"):
        pipe.start(host)


async def test_unplug_loses_what_is_under_way_both_ways() -> None:
    bus, function, host, pipe = await plugged()
    pipe.write(b"a")
    function.send_all(b"one")
    bus.unplug(function)
    assert not pipe.has_free_slot()
    function.send_all(b"two")
    await turns()
    assert host.log == ["left 1-1 (05ac:12a8)", "disconnected", "lost UsbDisconnectedError"]
    await pipe.close()
    assert len(host.log) == 3


async def test_unplug_inside_data_received_what_came_meanwhile_is_lost() -> None:
    bus, function, host, _ = await plugged()

    def send_and_unplug() -> None:
        function.send_all(b"three")
        bus.unplug(function)

    host.when_received = send_and_unplug
    function.send_all(b"one", b"two")
    await turns()
    assert host.log == ["in one", "in two", "left 1-1 (05ac:12a8)", "disconnected", "lost UsbDisconnectedError"]


async def test_unplug_before_start_is_reported_at_start() -> None:
    bus, host, function = SimulatedBus(), Host(), Function("one")
    bus.plug(function)
    await bus.start(host)
    await turns()
    pipe = await host.candidates[0].open()
    bus.unplug(function)
    await turns()
    pipe.start(host)
    await turns()
    assert host.log[2:] == ["lost UsbDisconnectedError"]
    assert function.log == []


async def test_close_hands_over_what_was_written_drops_the_rest_and_is_idempotent() -> None:
    _, function, host, pipe = await plugged()
    pipe.write(b"a")
    function.send_all(b"one")
    await pipe.close()
    assert host.log == ["out 1", "disconnected", "lost NoneType"]
    await pipe.close()
    assert len(host.log) == 3


async def test_close_without_start_releases() -> None:
    bus, host = SimulatedBus(), Host()
    bus.plug(Function("one"))
    await bus.start(host)
    await turns()
    await (await host.candidates[0].open()).close()
    await host.candidates[0].open()
    assert host.log == ["arrived 1-1 (05ac:12a8)"]
