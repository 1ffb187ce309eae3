from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import turns
from usbmux.daemon.attendant import DeviceAttendant, Patience
from usbmux.daemon.device_stream import DeviceStream
from usbmux.daemon.registry import DeviceRegistry
from usbmux.errors import UsbAccessError, UsbDisconnectedError
from usbmux.mux.packet import MuxProtocol, Version, encode_v1
from usbmux.mux.segment import RST, Segment
from usbmux.mux.settings import MuxSettings
from usbmux.usb.drain import Drain
from usbmux.usb.pipe import BulkPipe, PipeReceiver, UsbDeviceInfo

if TYPE_CHECKING:
    from usbmux.mux.events import CloseCause

pytestmark = pytest.mark.asyncio

ANSWER = encode_v1(MuxProtocol.VERSION, Version(1, 0).encode())


class SlowPipe:
    """A pipe whose closing takes as long as the test wants."""

    def __init__(self) -> None:
        self.info = UsbDeviceInfo("00008030-001A2B3C4D5E6F01", 0x12A8, 1, 480_000_000, "1-1")
        self.drain = Drain()
        self.may_close = asyncio.Event()
        self.is_closing = False
        self.is_closed = False
        self.written: list[bytes] = []
        self.slots = 1000
        """How many packets it takes in all."""
        self.receiver: PipeReceiver | None = None

    def start(self, receiver: PipeReceiver) -> None:
        self.receiver = receiver

    def has_free_slot(self) -> bool:
        return not self.is_closing and len(self.written) < self.slots

    def write(self, packet: bytes) -> None:
        self.written.append(packet)

    def free_buffer(self) -> memoryview | None:
        return None

    def write_buffer(self, length: int) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.is_closing = True
        await self.may_close.wait()
        assert self.receiver is not None
        self.receiver.pipe_lost(None)
        self.is_closed = True


class Candidate:
    """A device that is opened when the test wants, after as many failures as it wants."""

    name = "1-1 (05ac:12a8)"

    def __init__(self, error: OSError | None = None) -> None:
        self.may_open = asyncio.Event()
        self.pipe = SlowPipe()
        self.error = error
        self.attempts = 0
        self.opened_anew: list[bool] = []
        self.attempted = asyncio.Semaphore(0)

    async def open(self, *, anew: bool = False) -> BulkPipe:
        self.attempts += 1
        self.opened_anew.append(anew)
        self.attempted.release()
        if self.error is not None:
            raise self.error
        await self.may_open.wait()
        return self.pipe

    async def answer(self) -> PipeReceiver:
        """Let it be opened, and answer VERSION."""
        self.may_open.set()
        await turns(5)
        receiver = self.pipe.receiver
        assert receiver is not None
        receiver.data_received([ANSWER])
        return receiver


def _attendant(registry: DeviceRegistry) -> DeviceAttendant:
    return DeviceAttendant(asyncio.get_running_loop(), registry, MuxSettings())


async def _attached() -> tuple[DeviceRegistry, DeviceAttendant, Candidate, PipeReceiver]:
    """An attendant with one phone."""
    registry = DeviceRegistry()
    attendant = _attendant(registry)
    candidate = Candidate()
    attendant.device_arrived(candidate)
    receiver = await candidate.answer()
    await turns(5)
    return registry, attendant, candidate, receiver


async def test_attached_and_left_while_the_pipe_closes_closing_is_not_cut_short() -> None:
    registry, attendant, candidate, receiver = await _attached()
    assert len(registry.records()) == 1
    receiver.pipe_lost(UsbDisconnectedError("unplugged"))
    await turns(5)
    assert not registry.records()
    attendant.device_left(candidate)
    await turns(5)
    candidate.pipe.may_close.set()
    await attendant.close()
    assert candidate.pipe.is_closed


async def test_attached_and_daemon_ends_pipe_is_closed_first() -> None:
    registry = DeviceRegistry()
    attendant = _attendant(registry)
    candidate = Candidate()
    attendant.device_arrived(candidate)
    await candidate.answer()
    closing = asyncio.create_task(attendant.close())
    await turns(5)
    assert not closing.done()
    candidate.pipe.may_close.set()
    await closing
    assert candidate.pipe.is_closed
    assert not registry.records()


class Handler:
    """Of a stream that is never established."""

    def stream_established(self) -> None:
        raise NotImplementedError

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> int:
        raise NotImplementedError

    def stream_room_opened(self) -> None:
        raise NotImplementedError

    def stream_turn_came(self) -> None:
        raise NotImplementedError

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        pass


async def _ending(streams: int) -> tuple[asyncio.Task[None], SlowPipe, PipeReceiver]:
    """A daemon that ends with that many streams to a phone that takes nothing for now."""
    registry, attendant, candidate, receiver = await _attached()
    (device,) = registry
    for _ in range(streams):
        DeviceStream(device.link, 7, Handler())
    pipe = candidate.pipe
    pipe.slots = len(pipe.written)
    closing = asyncio.create_task(attendant.close())
    await turns(5)
    pipe.may_close.set()
    return closing, pipe, receiver


async def test_attached_and_daemon_ends_pipe_is_full_every_connection_is_reset_before_it_closes() -> None:
    closing, pipe, receiver = await _ending(streams=100)
    before = pipe.slots
    for _ in range(100):
        assert not pipe.is_closing
        pipe.slots += 1
        receiver.slot_freed()
        await turns(5)
    assert pipe.is_closing
    await closing
    resets = [Segment.decode(packet[8:]) for packet in pipe.written[before:]]
    assert {(segment.flags, segment.source_port) for segment in resets} == {(RST, port) for port in range(1, 101)}


async def test_attached_and_daemon_ends_phone_vanishes_with_resets_due_pipe_is_closed_at_once() -> None:
    closing, pipe, receiver = await _ending(streams=1)
    assert not pipe.is_closing
    receiver.pipe_lost(UsbDisconnectedError("unplugged"))
    await turns(5)
    assert pipe.is_closed
    await closing


@pytest.mark.slow
async def test_attached_and_daemon_ends_phone_takes_nothing_pipe_is_closed_after_half_a_second() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    closing, pipe, _receiver = await _ending(streams=1)
    await closing
    assert pipe.is_closed
    assert 0.4 < loop.time() - before < 5


async def test_attached_and_daemon_ends_cancelled_with_resets_due_pipe_is_closed_all_the_same() -> None:
    closing, pipe, _receiver = await _ending(streams=1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await turns(5)
    assert pipe.is_closed


async def test_in_handshake_daemon_ends_and_answer_comes_all_the_same_nothing_happens() -> None:
    registry = DeviceRegistry()
    attendant = _attendant(registry)
    candidate = Candidate()
    attendant.device_arrived(candidate)
    candidate.may_open.set()
    await turns(5)
    closing = asyncio.create_task(attendant.close())
    await turns(5)
    await candidate.answer()
    assert not registry.records()
    candidate.pipe.may_close.set()
    await closing


async def test_being_opened_and_left_attempt_is_ended() -> None:
    attendant = _attendant(DeviceRegistry())
    candidate = Candidate()
    attendant.device_arrived(candidate)
    await turns(5)
    attendant.device_left(candidate)
    await attendant.wait_settled(5)
    await attendant.close()
    assert candidate.attempts == 1


async def test_cannot_be_opened_is_tried_again_then_quarantined_and_then_opened_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = Patience(open_for_s=0.05, open_step_s=0.01, quarantine_s=0.01)
    registry = DeviceRegistry()
    attendant = DeviceAttendant(asyncio.get_running_loop(), registry, MuxSettings(), patience)
    candidate = Candidate(UsbAccessError("somebody else has it"))
    attendant.device_arrived(candidate)
    await attendant.wait_settled(5)
    assert candidate.attempts > 1
    assert not any(candidate.opened_anew)
    assert caplog.text.count("1-1 (05ac:12a8): somebody else has it") == 1
    candidate.error = None
    candidate.may_open.set()
    while not candidate.opened_anew[-1]:
        await candidate.attempted.acquire()
    await candidate.answer()
    await turns(5)
    assert len(registry.records()) == 1
    candidate.pipe.may_close.set()
    await attendant.close()


async def test_no_memory_to_open_is_tried_again_after_a_rest(caplog: pytest.LogCaptureFixture) -> None:
    patience = Patience(quarantine_s=0)
    attendant = DeviceAttendant(asyncio.get_running_loop(), DeviceRegistry(), MuxSettings(), patience)
    candidate = Candidate(OSError(errno.ENOMEM, "no memory"))
    attendant.device_arrived(candidate)
    for _ in range(3):
        await asyncio.wait_for(candidate.attempted.acquire(), 5)
    assert caplog.text.count("1-1 (05ac:12a8): [Errno 12] no memory; looking again in 0 s") == 1
    await attendant.close()


async def test_silent_phone_is_tried_again_after_growing_rests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    patience = Patience(quarantine_s=0.01, longest_quarantine_s=0.02)
    settings = MuxSettings(handshake_timeout_s=0.01)
    attendant = DeviceAttendant(asyncio.get_running_loop(), DeviceRegistry(), settings, patience)
    candidate = Candidate()
    candidate.may_open.set()
    candidate.pipe.may_close.set()
    attendant.device_arrived(candidate)
    for _ in range(4):
        await candidate.attempted.acquire()
    await attendant.close()
    assert "no answer to VERSION within 0.01 s; looking again in 0.01 s" in caplog.text
    assert "looking again in 0.02 s" in caplog.text
    assert "looking again in 0.04 s" not in caplog.text


async def test_link_that_fails_while_the_phone_stays_is_made_again() -> None:
    registry = DeviceRegistry()
    settings = MuxSettings(handshake_timeout_s=0.05)
    attendant = DeviceAttendant(asyncio.get_running_loop(), registry, settings, Patience(quarantine_s=0.01))
    candidate = Candidate()
    candidate.pipe.may_close.set()
    attendant.device_arrived(candidate)
    receiver = await candidate.answer()
    await turns(5)
    receiver.data_received([bytes(8)])  # no packet has this length, and the new VERSION is not answered
    for _ in range(2):
        await candidate.attempted.acquire()
    (await candidate.answer()).data_received([b""])
    await turns(5)
    assert [record.device_id for record in registry.records()] == [2]
    await attendant.close()


async def test_said_to_be_gone_but_stays_is_opened_after_a_rest() -> None:
    registry = DeviceRegistry()
    attendant = DeviceAttendant(
        asyncio.get_running_loop(), registry, MuxSettings(), Patience(open_for_s=0, quarantine_s=0.01)
    )
    candidate = Candidate(UsbDisconnectedError("it leaves, to come back in mode 4"))
    attendant.device_arrived(candidate)
    await candidate.attempted.acquire()
    candidate.error = None
    await candidate.attempted.acquire()
    await candidate.answer()
    await turns(5)
    assert len(registry.records()) == 1
    candidate.pipe.may_close.set()
    await attendant.close()


async def test_said_to_be_gone_again_and_again_is_looked_for_until_the_bus_says_so() -> None:
    patience = Patience(open_for_s=0, quarantine_s=0)
    attendant = DeviceAttendant(asyncio.get_running_loop(), DeviceRegistry(), MuxSettings(), patience)
    candidate = Candidate(UsbDisconnectedError("it is gone"))
    attendant.device_arrived(candidate)
    for _ in range(5):
        await candidate.attempted.acquire()
    assert len(attendant.statuses()) == 1
    attendant.device_left(candidate)
    await turns(5)
    assert attendant.statuses() == ()
    await attendant.close()


async def test_quarantined_and_left_is_not_tried_again() -> None:
    patience = Patience(open_for_s=0, quarantine_s=0.01)
    attendant = DeviceAttendant(asyncio.get_running_loop(), DeviceRegistry(), MuxSettings(), patience)
    candidate = Candidate(UsbAccessError("somebody else has it"))
    attendant.device_arrived(candidate)
    await attendant.wait_settled(5)
    attendant.device_left(candidate)
    attempts = candidate.attempts
    await asyncio.sleep(0.05)
    assert candidate.attempts == attempts
    await attendant.close()


async def test_nothing_arrived_is_settled() -> None:
    attendant = _attendant(DeviceRegistry())
    await attendant.wait_settled(5)


async def test_being_opened_and_no_patience_left_wait_settled_returns() -> None:
    attendant = _attendant(DeviceRegistry())
    attendant.device_arrived(Candidate())
    await attendant.wait_settled(0.01)
    await attendant.close()
