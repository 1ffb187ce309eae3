"""The pipe over the real libusb: reading, writing, stalls, loss. Run by tests/usb/test_on_usbfs.py."""

import asyncio
import errno
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from tests.usb.usbfs.device import Call, UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, Received, until, write_all
from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError, UsbStallError
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT
from usbmux.usb.libusb_pipe import TransferSizes
from usbmux.usb.pipe import BulkPipe


@pytest_asyncio.fixture
async def pipe(host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals) -> AsyncIterator[BulkPipe]:
    host.plug(phone)
    opened = await (await arrivals.first()).open()
    yield opened
    await opened.close()
    await until(lambda: phone.open_count == 0)


@pytest.fixture
def received(pipe: BulkPipe) -> Received:
    receiver = Received()
    pipe.start(receiver)
    return receiver


@pytest.mark.asyncio
async def test_started_phone_sends_receiver_gets_it(phone: UsbfsDevice, received: Received) -> None:
    phone.send(b"hello")

    await until(lambda: received.data == b"hello")


@pytest.mark.asyncio
async def test_started_keeps_eight_reads_of_16384_in_flight(phone: UsbfsDevice, received: Received) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)
    assert {read.length for read in phone.reads_waiting} == {16384}

    phone.send(bytes(40000))

    await until(lambda: len(received.data) == 40000)
    await until(lambda: len(phone.reads_waiting) == 8)


@pytest.mark.asyncio
async def test_started_full_read_empty_packet_is_not_reported(phone: UsbfsDevice, received: Received) -> None:
    phone.send(bytes(16384))
    phone.send(b"next")

    await until(lambda: received.transfers == [bytes(16384), b"next"])


@pytest.mark.asyncio
async def test_started_many_transfers_arrive_in_order(phone: UsbfsDevice, received: Received) -> None:
    source = random.Random(1)
    blocks = [source.randbytes(source.randrange(1, 60000)) for _ in range(200)]

    for block in blocks:
        phone.send(block)

    await until(lambda: len(received.data) == sum(map(len, blocks)))
    assert received.data == b"".join(blocks)


@pytest.mark.asyncio
@pytest.mark.parametrize("length", [1, 511, 512, 513, 16384, 32768, 49152, 65535])
async def test_started_write_carries_packet_with_zero_packet_flag(
    length: int, pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    packet = random.Random(length).randbytes(length)

    pipe.write(packet)

    await until(lambda: phone.written == [(packet, True)])


@pytest.mark.asyncio
async def test_started_all_slots_taken_write_is_refused_until_slot_freed(
    pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    phone.holds_writes = True
    slots = TransferSizes().writes
    for number in range(slots):
        pipe.write(bytes([number]))

    assert not pipe.has_free_slot()
    with pytest.raises(LocalProtocolError):
        pipe.write(b"one too many")
    await until(lambda: len(phone.writes_held) == slots)
    assert received.slots_freed == 0
    phone.release_writes()
    await until(pipe.has_free_slot)

    assert received.slots_freed == 1
    await until(lambda: [data for data, _ in phone.written] == [bytes([number]) for number in range(slots)])


class Answering(Received):
    """Writes a packet when data comes, and another one when there is a slot."""

    def __init__(self, pipe: BulkPipe) -> None:
        super().__init__()
        self._pipe = pipe

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        super().data_received(pieces)
        self._pipe.write(b"answer")

    def slot_freed(self) -> None:
        super().slot_freed()
        self._pipe.write(b"waited")


@pytest.mark.asyncio
async def test_started_writes_end_as_data_comes_the_slots_are_first_for_what_the_data_brings_about(
    pipe: BulkPipe, phone: UsbfsDevice
) -> None:
    answering = Answering(pipe)
    pipe.start(answering)
    phone.holds_writes = True
    pipe.write(bytes(TransferSizes().write_bytes))
    assert not pipe.has_free_slot()
    await until(lambda: len(phone.writes_held) == 1)

    phone.release_writes()
    phone.send(b"question")

    await until(lambda: len(phone.written) == 3)
    assert [data for data, _ in phone.written[1:]] == [b"answer", b"waited"]


@pytest.mark.asyncio
async def test_started_full_duplex_moves_all_bytes(pipe: BulkPipe, phone: UsbfsDevice, received: Received) -> None:
    packets = [random.Random(number).randbytes(20000) for number in range(100)]
    phone.on_written = lambda data, _: phone.send(data)

    await write_all(pipe, packets)

    await until(lambda: len(received.data) == 2_000_000)
    assert received.data == b"".join(packets)


@pytest.mark.asyncio
async def test_started_read_stalls_halt_is_cleared_and_data_goes_on(phone: UsbfsDevice, received: Received) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)

    phone.stall(ENDPOINT_IN)
    await until(lambda: (Call.CLEAR_HALT, ENDPOINT_IN) in phone.calls)
    phone.send(b"after")

    await until(lambda: received.data == b"after")
    assert received.losses == []


@pytest.mark.asyncio
async def test_started_read_stalls_again_pipe_is_lost(phone: UsbfsDevice, received: Received) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)

    phone.stall(ENDPOINT_IN, times=9)

    await until(lambda: bool(received.losses))
    assert [type(error) for error in received.losses] == [UsbStallError]


@pytest.mark.asyncio
async def test_started_write_stalls_pipe_is_lost(pipe: BulkPipe, phone: UsbfsDevice, received: Received) -> None:
    phone.holds_writes = True
    for number in range(4):
        pipe.write(bytes([number]) * 1000)
    await until(lambda: len(phone.writes_held) == 4)

    phone.stall(ENDPOINT_OUT)
    phone.holds_writes = False
    phone.submitted(phone.writes_held.popleft())

    await until(lambda: bool(received.losses))
    assert [type(error) for error in received.losses] == [UsbStallError]
    assert (Call.CLEAR_HALT, ENDPOINT_OUT) not in phone.calls
    assert phone.written == []


@pytest.mark.asyncio
async def test_started_write_fails_as_data_comes_the_data_is_delivered_before_the_loss(
    pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)
    phone.holds_writes = True
    pipe.write(b"on its way")
    await until(lambda: len(phone.writes_held) == 1)

    phone.stall(ENDPOINT_OUT)
    phone.holds_writes = False
    phone.submitted(phone.writes_held.popleft())
    phone.send(b"last words")

    await until(lambda: bool(received.losses))
    assert received.data == b"last words"
    assert [type(error) for error in received.losses] == [UsbStallError]
    assert received.calls_after_loss == 0


@pytest.mark.asyncio
async def test_started_halt_cannot_be_cleared_pipe_is_lost(phone: UsbfsDevice, received: Received) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)
    phone.fail(Call.CLEAR_HALT, errno.EPROTO)

    phone.stall(ENDPOINT_IN)

    await until(lambda: len(received.losses) == 1)
    assert isinstance(received.losses[0], UsbError)


@pytest.mark.asyncio
async def test_started_unplugged_pipe_is_lost_once(
    host: UsbfsHost, pipe: BulkPipe, phone: UsbfsDevice, received: Received, arrivals: Arrivals
) -> None:
    phone.holds_writes = True
    pipe.write(b"on its way")
    phone.send(b"last words")
    await until(lambda: received.data == b"last words")

    host.unplug(phone)

    await until(lambda: bool(received.losses) and not arrivals.present)
    await pipe.close()
    assert [type(error) for error in received.losses] == [UsbDisconnectedError]
    assert received.calls_after_loss == 0
    assert not pipe.has_free_slot()


@pytest.mark.asyncio
async def test_started_transfers_fail_without_hotplug_event_pipe_is_lost(
    host: UsbfsHost, pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    host.disconnect(phone)

    await until(lambda: len(received.losses) == 1)
    assert isinstance(received.losses[0], UsbDisconnectedError)
    await pipe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [errno.ENODEV, errno.ENOMEM, errno.EIO])
async def test_started_read_not_taken_again_pipe_is_lost(
    error: int, host: UsbfsHost, pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    await until(lambda: len(phone.reads_waiting) == 8)
    host.fail_submit(phone, error)
    phone.send(b"x")
    await until(lambda: bool(received.losses))

    assert len(received.losses) == 1
    assert received.data == b"x"
    with pytest.raises(LocalProtocolError):
        pipe.write(b"too late")


@pytest.mark.asyncio
async def test_started_closed_receiver_hears_none_and_interface_is_released(
    pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    phone.holds_writes = True
    pipe.write(b"never sent")
    closing = [asyncio.ensure_future(pipe.close()) for _ in range(2)]

    await asyncio.gather(*closing)

    assert received.losses == [None]
    assert phone.calls[-1][0] is Call.RELEASE
    await until(lambda: phone.open_count == 0)
    assert phone.written == []


@pytest.mark.asyncio
async def test_started_closed_amid_a_write_the_write_ends_first(
    pipe: BulkPipe, phone: UsbfsDevice, received: Received
) -> None:
    phone.holds_writes = True
    pipe.write(bytes(20000))
    await until(lambda: len(phone.writes_held) > 0)
    closing = asyncio.ensure_future(pipe.close())
    await asyncio.sleep(0)
    assert not pipe.has_free_slot()
    phone.release_writes()
    await closing

    assert b"".join(data for data, _ in phone.written) == bytes(20000)
    assert received.losses == [None]


@pytest.mark.asyncio
async def test_opened_never_started_close_frees_it(pipe: BulkPipe, phone: UsbfsDevice) -> None:
    assert not pipe.has_free_slot()

    await pipe.close()

    await until(lambda: phone.open_count == 0)


@pytest.mark.asyncio
async def test_closed_phone_can_be_opened_again(phone: UsbfsDevice, arrivals: Arrivals, pipe: BulkPipe) -> None:
    await pipe.close()

    again = await arrivals.present[0].open()
    receiver = Received()
    again.start(receiver)
    phone.send(b"again")

    await until(lambda: receiver.data == b"again")
    await again.close()
