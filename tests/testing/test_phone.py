"""The simulated phone on a bus: handlers' lives, streams, ports and faults."""

import asyncio
from contextlib import suppress

import pytest

from tests.testing.host_script import HostConnection, HostScript, plug_in
from usbmux.errors import LocalProtocolError, UsbDisconnectedError
from usbmux.mux.packet import ControlKind, MuxProtocol
from usbmux.mux.segment import Flags
from usbmux.testing import (
    AcceptsLate,
    PhoneOptions,
    PhoneStream,
    PortHandler,
    SimulatedBus,
    SimulatedPhone,
    discard,
    echo,
    pattern,
    source,
)

pytestmark = pytest.mark.asyncio


async def dial(
    handler: PortHandler, *, options: PhoneOptions | None = None, window: int = 131072
) -> tuple[SimulatedPhone, HostScript, HostConnection]:
    """A connection to a port with that handler."""
    phone = SimulatedPhone(ports={5: handler}, options=options)
    host = await plug_in(phone)
    return phone, host, await host.connect(5, window=window)


@pytest.mark.parametrize(
    "options",
    [
        PhoneOptions(max_packet_size=0),
        PhoneOptions(max_segment=0),
        PhoneOptions(initial_sequence=1 << 32),
        PhoneOptions(magic=1 << 32),
        PhoneOptions(magic=-1),
    ],
    ids=["packet size", "segment", "sequence", "magic", "negative"],
)
async def test_phone_that_could_not_send_a_packet_is_not_made(options: PhoneOptions) -> None:
    with pytest.raises(LocalProtocolError, match="expected a whole number from"):
        SimulatedPhone(options=options)


async def test_phone_of_a_version_that_fits_in_no_header_is_not_made() -> None:
    with pytest.raises(LocalProtocolError, match="version"):
        SimulatedPhone(version=1 << 32)


@pytest.mark.parametrize("version", [1, 2])
async def test_handler_that_returns_ends_in_rst_behind_its_data(version: int) -> None:
    async def greet(stream: PhoneStream) -> None:
        await stream.write(b"hello ")
        await stream.write(b"host")

    phone = SimulatedPhone(ports={5: greet}, version=version)
    host = await plug_in(phone)
    connection = await host.connect(5)
    assert await connection.read_to_reset() == (b"hello host", b"")
    assert phone.violations == []


async def test_host_reset_handler_reads_the_rest_then_nothing_and_cannot_write() -> None:
    ready = asyncio.Event()
    seen: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()

    async def read_late(stream: PhoneStream) -> None:
        assert stream.port == 5
        await ready.wait()
        await stream.wait_closed()
        seen.set_result((await stream.read(), await stream.read()))
        with pytest.raises(ConnectionResetError):
            await stream.write(b"too late")
        with pytest.raises(ConnectionResetError):
            await stream.write(b"")

    phone, host, connection = await dial(read_late)
    await connection.send(b"last words")
    connection.reset()
    ready.set()
    assert await seen == (b"last words", b"")
    assert await host.idle() == []
    assert phone.violations == []


async def test_readexactly_joins_pieces_and_tells_what_is_missing() -> None:
    pieces: list[bytes] = []

    async def read_both(stream: PhoneStream) -> None:
        pieces.append(await stream.readexactly(6))
        try:
            await stream.readexactly(6)
        except asyncio.IncompleteReadError as error:
            pieces.append(error.partial)

    _, host, connection = await dial(read_both)
    await connection.send(b"abc")
    await connection.send(b"defgh")
    connection.reset()
    await host.idle()
    assert pieces == [b"abcdef", b"gh"]


async def test_write_waits_for_the_window_and_drain_for_the_acknowledgement() -> None:
    log: list[str] = []

    async def write(stream: PhoneStream) -> None:
        await stream.write(bytes(300))
        log.append("written")
        await stream.drain()
        log.append("drained")
        await stream.read()

    _, host, connection = await dial(write, window=256)
    await host.next_segment()
    await host.idle()
    assert log == []
    start = 0xFFFF0001  # PhoneOptions.initial_sequence and its SYN
    connection.acknowledge(start + 256)
    await host.idle()
    assert log == ["written"]
    connection.acknowledge(start + 300)
    await host.idle()
    assert log == ["written", "drained"]


async def test_drain_after_host_reset_raises() -> None:
    failures: list[Exception] = []

    async def drain(stream: PhoneStream) -> None:
        await stream.write(b"x")
        try:
            await stream.drain()
        except ConnectionResetError as error:
            failures.append(error)

    _, host, connection = await dial(drain)
    await host.next_segment()
    connection.reset()
    await host.idle()
    assert len(failures) == 1


async def test_unplug_wakes_other_tasks_that_wait_for_the_stream() -> None:
    waiting: asyncio.Future[asyncio.Task[bytes]] = asyncio.get_running_loop().create_future()

    async def delegate(stream: PhoneStream) -> None:
        waiting.set_result(asyncio.create_task(stream.read()))
        await stream.wait_closed()

    phone, _, _ = await dial(delegate)
    reader = await waiting
    phone.disconnected()
    assert await asyncio.wait_for(reader, 5.0) == b""


async def test_unplug_cancels_handlers() -> None:
    cancelled = asyncio.Event()

    async def wait(stream: PhoneStream) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    phone = SimulatedPhone(ports={5: wait})
    bus = SimulatedBus()
    bus.plug(phone)
    host = HostScript(bus)
    await host.open()
    await host.shake_hands()
    await host.connect(5)
    await host.idle()
    bus.unplug(phone)
    await cancelled.wait()
    assert [type(error) for error in host.lost] == [UsbDisconnectedError]


async def test_version_again_ends_connections_and_serves_new_ones() -> None:
    _, host, _ = await dial(echo)
    assert await host.shake_hands() == 2
    connection = await host.connect(5)
    await connection.send(b"again")
    assert await connection.read(5) == b"again"


async def test_pipe_closed_and_opened_again_serves() -> None:
    phone = SimulatedPhone(ports={5: echo})
    bus = SimulatedBus()
    bus.plug(phone)
    for _ in range(2):
        host = HostScript(bus)
        await host.open()
        await host.shake_hands()
        connection = await host.connect(5)
        await connection.send(b"x")
        assert await connection.read(1) == b"x"
        await host.pipe.close()
        await bus.close()
    assert phone.violations == []


async def test_ports_can_be_added_and_removed() -> None:
    phone, host, _ = await dial(discard)
    phone.remove_port(5)
    host.send_syn(5)
    assert (await host.next_segment()).payload == b"connection refused"
    phone.add_port(6, echo)
    await host.connect(6)
    assert phone.ports == {6: echo}


async def test_accepts_late_answers_syn_when_it_likes() -> None:
    gate = asyncio.Event()

    async def accept(stream: PhoneStream) -> None:
        await gate.wait()
        stream.accept()
        await echo(stream)

    phone = SimulatedPhone(ports={5: AcceptsLate(accept)})
    host = await plug_in(phone)
    connection = host.send_syn(5)
    assert await host.idle() == []
    gate.set()
    await connection.receive_syn_ack()
    await connection.send(b"x")
    assert await connection.read(1) == b"x"


async def test_accepts_late_refuses_with_a_reason() -> None:
    async def refuse(stream: PhoneStream) -> None:
        stream.reset(b"not today")

    host = await plug_in(SimulatedPhone(ports={5: AcceptsLate(refuse)}))
    host.send_syn(5)
    answer = await host.next_segment()
    assert (answer.flags, answer.ack, bytes(answer.payload)) == (Flags.RST, 1, b"not today")


async def test_accepts_late_host_gives_up_first_handler_sees_the_end() -> None:
    gate = asyncio.Event()
    seen: list[bytes] = []

    async def accept(stream: PhoneStream) -> None:
        await gate.wait()
        stream.accept()
        seen.append(await stream.read())

    phone = SimulatedPhone(ports={5: AcceptsLate(accept)})
    host = await plug_in(phone)
    host.send_syn(5).reset()
    gate.set()
    assert await host.idle() == []
    assert seen == [b""]
    assert phone.violations == []


async def test_accepts_late_returning_without_accept_refuses() -> None:
    async def leave(stream: PhoneStream) -> None:
        assert stream.host_port == 1

    host = await plug_in(SimulatedPhone(ports={5: AcceptsLate(leave)}))
    host.send_syn(5)
    answer = await host.next_segment()
    assert (answer.flags, answer.ack) == (Flags.RST, 1)


async def test_host_gives_up_before_the_handshake_ends_handler_is_not_started() -> None:
    started: list[PhoneStream] = []

    async def start(stream: PhoneStream) -> None:
        started.append(stream)

    phone = SimulatedPhone(ports={5: start})
    host = await plug_in(phone)
    connection = host.send_syn(5)
    connection.reset()
    assert len(await host.idle()) == 1
    assert started == []
    assert phone.violations == []


async def test_handler_is_done_before_the_window_opens_the_rest_still_goes_out() -> None:
    async def write_and_leave(stream: PhoneStream) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await stream.write(bytes(600))

    _, _, connection = await dial(write_and_leave, window=256)
    assert await connection.read_to_reset() == (bytes(600), b"")


async def test_shut_window_keeps_the_host_waiting_until_the_handler_opens_it() -> None:
    gate = asyncio.Event()

    async def open_late(stream: PhoneStream) -> None:
        await gate.wait()
        stream.set_window(256)
        await stream.write(await stream.readexactly(1000))

    phone, _, connection = await dial(open_late, options=PhoneOptions(window=0))
    assert connection.room == 0
    gate.set()
    await connection.send(bytes(1000))
    assert await connection.read(1000) == bytes(1000)
    assert phone.violations == []


@pytest.mark.parametrize("size", [1, 7, 512, 4096, 16384])
@pytest.mark.parametrize("join", [False, True])
async def test_split_and_joined_transfers_carry_the_same_bytes(size: int, join: bool) -> None:
    options = PhoneOptions(split_transfers=size, join_transfers=join)
    _, host, connection = await dial(source, options=options)
    length = min(size * 500, 1 << 20)
    await connection.send(length.to_bytes(8))
    assert await connection.read_to_reset() == (pattern(length), b"")
    assert max(map(len, host.transfers)) == size


async def test_joined_transfers_put_several_packets_in_one() -> None:
    phone, host, _ = await dial(discard, options=PhoneOptions(join_transfers=True))
    host.transfers.clear()
    phone.send_control(ControlKind.INFO, "one")
    phone.send_control(ControlKind.ERROR, "two")
    packets = await host.idle()
    assert [(packet.protocol, packet.payload) for packet in packets] == [
        (MuxProtocol.CONTROL, b"\x07one"),
        (MuxProtocol.CONTROL, b"\x03two"),
    ]
    assert len(host.transfers) == 1


async def test_host_without_zero_length_packets_is_found_out() -> None:
    phone = SimulatedPhone(ports={5: discard})
    bus = SimulatedBus(zero_length_packets=False)
    bus.plug(phone)
    host = HostScript(bus)
    await host.open()
    await host.shake_hands()
    connection = await host.connect(5)
    connection.send_flags(Flags.ACK, bytes(1024 - 36))
    connection.send_flags(Flags.ACK, b"fused")
    await host.idle()
    assert phone.violations == ["transfer: expected one packet of 1024 bytes, received 1065 bytes"]


async def test_violation_resets_the_connection_and_ends_its_handler() -> None:
    seen: list[bytes] = []

    async def read(stream: PhoneStream) -> None:
        seen.append(await stream.read())

    phone, host, connection = await dial(read)
    connection.send_flags(Flags.PSH | Flags.ACK, b"x")
    assert await connection.read_to_reset() == (b"", b"unexpected flags")
    await host.idle()
    assert len(phone.violations) == 1
    assert seen == [b""]


async def test_phone_before_plugging_has_identity_and_takes_no_harm() -> None:
    phone = SimulatedPhone("00008030-001A2B3C4D5E6F01")
    assert (phone.udid, phone.info.product_id, phone.info.connection_speed) == (
        phone.info.serial_number,
        0x12A8,
        480_000_000,
    )
    assert repr(phone) == "SimulatedPhone('00008030-001A2B3C4D5E6F01')"
    phone.send_control(ControlKind.INFO, "nobody listens")
    phone.bulk_out(b"stray")
    phone.disconnected()
    assert phone.violations == []
