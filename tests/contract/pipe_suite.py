"""What every pipe promises (`BulkPipe`, `PipeReceiver`) while it runs, run against each of them.

Imported as a whole by modules that have a fixture `rig`.
"""

from __future__ import annotations

import hashlib
import random

import pytest

from tests.contract.bus_subjects import (
    MOST_SLOTS,
    Phone,
    Receiver,
    Rig,
    fill,
    finish,
    opened,
    started,
    turns,
    until_length,
)
from tests.testing.host_script import HostScript
from tests.usb.usbfs.subjects import until
from usbmux.errors import LocalProtocolError, UsbDisconnectedError
from usbmux.mux.segment import Flags
from usbmux.testing import PhoneOptions, SimulatedPhone, echo
from usbmux.usb.pipe import MAX_WRITE_BYTES

_HEADERS = 36
_LARGEST = 65535
_SIZES = sorted(
    {around + step for around in (512, 1024, 16384, 32768, 49152, _LARGEST) for step in (-1, 0, 1)} - {_LARGEST + 1}
)


# Starting


@pytest.mark.asyncio
async def test_opened_nothing_can_be_written(rig: Rig) -> None:
    _, pipe = await opened(rig, Phone())

    assert not pipe.has_free_slot()
    assert pipe.free_buffer() is None
    with pytest.raises(LocalProtocolError):
        pipe.write(b"early")
    with pytest.raises(LocalProtocolError):
        pipe.write_buffer(5)

    await pipe.close()
    assert pipe.free_buffer() is None


@pytest.mark.asyncio
async def test_started_can_be_written_at_once(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)

    receiver.write(b"first")

    await until(lambda: phone.transfers == [b"first"])
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_start_again_is_refused_and_changes_nothing(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    other = Receiver(pipe)

    with pytest.raises(LocalProtocolError):
        other.start()

    phone.send(b"hello")
    await until(lambda: receiver.data == b"hello")
    await finish(pipe, receiver)
    assert other.calls == []


@pytest.mark.asyncio
@pytest.mark.parametrize("is_unplugged", [False, True])
async def test_closed_start_is_refused(is_unplugged: bool, rig: Rig) -> None:
    phone = Phone()
    _, pipe = await opened(rig, phone)
    if is_unplugged:
        rig.unplug(phone)
    await pipe.close()
    receiver = Receiver(pipe)

    with pytest.raises(LocalProtocolError):
        receiver.start()

    await turns()
    assert receiver.calls == []


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [0, 20])
async def test_unplugged_started_is_lost_afterwards(delay_turns: int, rig: Rig) -> None:
    phone = Phone()
    _, pipe = await opened(rig, phone)
    rig.unplug(phone)
    await turns(delay_turns)
    receiver = Receiver(pipe)

    receiver.start()

    await until(lambda: bool(receiver.losses))
    assert receiver.calls == ["pipe_lost"]
    assert isinstance(receiver.losses[0], UsbDisconnectedError)
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_unplugged_started_and_closed_receiver_hears_before_close_returns(rig: Rig) -> None:
    phone = Phone()
    _, pipe = await opened(rig, phone)
    rig.unplug(phone)
    await turns()
    receiver = Receiver(pipe)

    receiver.start()

    await finish(pipe, receiver)


# Reading


@pytest.mark.asyncio
@pytest.mark.parametrize("max_packet_size", [512, 1024])
async def test_started_phone_sends_all_arrives_in_order(max_packet_size: int, rig: Rig) -> None:
    phone = Phone(max_packet_size=max_packet_size)
    pipe, receiver = await started(rig, phone)
    transfers = [random.Random(size).randbytes(size) for size in (1, *_SIZES)]

    for transfer in transfers:
        phone.send(transfer)

    expected = b"".join(transfers)
    await until(lambda: len(receiver.data) >= len(expected))
    assert receiver.data == expected
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_phone_sends_nothing_receiver_is_not_called(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)

    phone.send(b"", bytes(16384), b"", b"end")

    await until(lambda: receiver.data.endswith(b"end"))
    assert len(receiver.data) == 16387
    await finish(pipe, receiver)


# Writing


@pytest.mark.asyncio
@pytest.mark.parametrize("max_packet_size", [512, 1024])
async def test_started_writes_of_any_size_each_is_one_transfer(max_packet_size: int, rig: Rig) -> None:
    phone = Phone(max_packet_size=max_packet_size)
    pipe, receiver = await started(rig, phone)
    packets = [random.Random(size).randbytes(size) for size in (1, *_SIZES)]

    for packet in packets:
        await receiver.write_when_free(packet)

    await until(lambda: len(phone.transfers) >= len(packets))
    assert phone.transfers == packets
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("max_packet_size", [512, 1024])
async def test_started_strict_phone_is_sent_packets_of_any_size_nothing_is_violated(
    max_packet_size: int, rig: Rig
) -> None:
    phone = SimulatedPhone(ports={7: echo}, options=PhoneOptions(max_packet_size=max_packet_size))
    rig.plug(phone)
    host = HostScript(rig.bus)
    await host.open()
    await host.shake_hands()
    connection = await host.connect(7)

    for size in _SIZES:
        payload = random.Random(size).randbytes(size - _HEADERS)
        await until(host.pipe.has_free_slot)
        connection.send_flags(Flags.ACK, payload)
        assert await connection.read(len(payload)) == payload

    assert phone.violations == []
    await host.pipe.close()
    assert host.lost == [None]


@pytest.mark.asyncio
async def test_started_all_slots_taken_write_is_refused(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)

    count = fill(receiver)

    assert 1 <= count <= MOST_SLOTS
    assert pipe.free_buffer() is None
    with pytest.raises(LocalProtocolError):
        receiver.write(b"one too many")
    with pytest.raises(LocalProtocolError):
        pipe.write_buffer(12)
    await until(lambda: len(phone.transfers) == count)
    assert phone.transfers == [bytes([number]) * 100 for number in range(count)]
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_packets_written_in_place_go_out_in_order_among_others(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    packets = [random.Random(number).randbytes(size) for number, size in enumerate((1, 512, 1000, 20000, 36, 49148))]

    for number, packet in enumerate(packets):
        await until(receiver.has_free_slot)
        (receiver.write_in_place if number % 2 == 0 else receiver.write)(packet)
    for packet in reversed(packets):
        await until(receiver.has_free_slot)
        receiver.write_in_place(packet)

    await until(lambda: len(phone.transfers) == 2 * len(packets))
    assert phone.transfers == packets + packets[::-1]
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_two_of_the_longest_packets_take_all_slots(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    longest = MAX_WRITE_BYTES - 4

    receiver.write(bytes(longest))
    assert receiver.has_free_slot()
    receiver.write(bytes(longest))
    assert not receiver.has_free_slot()

    await until(lambda: receiver.slots_freed == 1)
    assert receiver.has_free_slot()
    await until(lambda: [len(transfer) for transfer in phone.transfers] == [longest, longest])
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_all_slots_taken_slot_freed_comes_once_each_time(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    for times in range(1, 4):
        expected = len(receiver.data) + 100 * fill(receiver)
        assert receiver.slots_freed == times - 1
        await until_length(receiver.data, expected)
        await turns()
        assert receiver.slots_freed == times
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_slots_never_all_taken_slot_freed_does_not_come(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)

    for number in range(20):
        receiver.write(b"x")
        await until_length(receiver.data, number + 1)

    assert receiver.slots_freed == 0
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_writes_only_when_slot_is_freed_never_stop(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    packets = [random.Random(number).randbytes(1 + 997 * number % 2000) for number in range(500)]
    waiting = iter(packets)

    def write_more() -> None:
        while receiver.has_free_slot() and (packet := next(waiting, None)) is not None:
            receiver.write(packet)

    receiver.when_freed = write_more
    write_more()

    await until(lambda: len(phone.transfers) == len(packets))
    assert phone.transfers == packets
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_answers_written_from_inside_data_received_are_sent(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    receiver.when_received = lambda: receiver.write(b"answer")

    phone.send(b"question")

    await until(lambda: phone.transfers == [b"answer"])
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("max_packet_size", [512, 1024])
async def test_started_full_duplex_moves_every_byte(max_packet_size: int, rig: Rig) -> None:
    phone = Phone(max_packet_size=max_packet_size, is_echo=True)
    pipe, receiver = await started(rig, phone)
    source, sent, length = random.Random(max_packet_size), hashlib.sha256(), 0

    for _ in range(150):
        packet = source.randbytes(source.choice([1, 20, 512, 16384, 49152, _LARGEST]))
        sent.update(packet)
        length += len(packet)
        await receiver.write_when_free(packet)

    await until(lambda: len(receiver.data) >= length)
    assert hashlib.sha256(receiver.data).digest() == sent.digest()
    await finish(pipe, receiver)
