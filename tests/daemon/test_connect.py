"""From Connect to a stream, or to the reason why not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import OTHER_UDID, UDID, HeldPort, connect_request, encode, some_bytes, turns, until
from usbmux.control.address import TcpAddress
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.settings import MuxSettings
from usbmux.testing import AcceptsLate, PhoneOptions, PhoneStream, SimulatedPhone, discard, echo

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("version", [1, 2])
async def test_phone_accepts_stream_carries_bytes_both_ways(serve: Serve, version: int) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, version=version))
    client = await harness.stream(7)
    for length in (1, 100, 49112, 49113, 60000):
        data = some_bytes(length)
        await client.send(data)
        assert await client.receive_exactly(length) == data
    await harness.quiet()


@pytest.mark.parametrize("version", [1, 2])
async def test_nothing_listens_on_port_connect_is_answered_3(serve: Serve, version: int) -> None:
    harness = await serve(SimulatedPhone(UDID, version=version))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7, tag=5))
    await client.expect_result(3, tag=5)
    await harness.quiet()


async def test_unknown_device_connect_is_answered_2(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    await harness.attached()
    client = await harness.client()
    for device_id in (0, 2, 0xFFFFFFFF):
        await client.send(connect_request(device_id, 7))
        await client.expect_result(2)


async def test_port_0_and_65535_are_ports(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={0: echo, 65535: echo}))
    for port in (0, 65535):
        client = await harness.stream(port)
        await client.send(b"ping")
        assert await client.receive_exactly(4) == b"ping"
    await harness.quiet()


async def test_syn_never_answered_connect_is_answered_3_in_time(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False))
    harness = await serve(phone, mux=MuxSettings(syn_timeout_s=0.1))
    await harness.attached()
    client = await harness.client()
    began = time.monotonic()
    await client.send(connect_request(1, 7) + encode({"MessageType": "ListListeners"}))
    await client.expect_result(3)
    assert 0.1 <= time.monotonic() - began < 1
    await client.receive_properties(1)  # the connection can be used again
    await harness.quiet()


async def test_default_syn_timeout_leaves_clients_their_answer_within_4_s() -> None:
    assert MuxSettings().syn_timeout_s < 4


async def test_syn_answered_after_the_timeout_phone_is_told_and_daemon_goes_on(serve: Serve) -> None:
    may_accept = asyncio.Event()
    ended = asyncio.Event()

    async def accept_late(stream: PhoneStream) -> None:
        await may_accept.wait()
        stream.accept()
        await stream.wait_closed()
        ended.set()

    phone = SimulatedPhone(UDID, ports={7: AcceptsLate(accept_late), 8: echo})
    harness = await serve(phone, mux=MuxSettings(syn_timeout_s=0.05))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7))
    await client.expect_result(3)
    may_accept.set()
    await asyncio.wait_for(ended.wait(), 5)
    await client.connect(8)
    await harness.quiet()


@pytest.mark.parametrize("asks_before", [False, True])
async def test_client_goes_while_it_waits_for_the_phone_phone_is_told_once_it_accepts(
    serve: Serve, asks_before: bool
) -> None:
    may_accept, ended, heard = asyncio.Event(), asyncio.Event(), bytearray()

    async def accept_late(stream: PhoneStream) -> None:
        await may_accept.wait()
        stream.accept()
        heard.extend(await stream.read(100))
        await stream.wait_closed()
        ended.set()

    harness = await serve(SimulatedPhone(UDID, ports={7: AcceptsLate(accept_late)}))
    await harness.attached()
    client = await harness.client()
    if asks_before:
        await client.send(encode({"MessageType": "ListListeners"}))
        await client.receive_properties(1)
    await client.send(connect_request(1, 7))
    link = harness.daemon.registry.link(1)
    assert link is not None
    await until(lambda: link.handlers)
    await client.send(b"last words")
    client.close()
    await turns()
    may_accept.set()
    await asyncio.wait_for(ended.wait(), 5)
    assert heard == b"last words"
    await until(lambda: not harness.daemon.client_count)
    await harness.quiet()


@pytest.mark.parametrize("length", [1, 1000, 65536, 500_000])
async def test_bytes_right_behind_connect_reach_the_phone_first(serve: Serve, length: int) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=PhoneOptions(window=8192)))
    await harness.attached()
    client = await harness.client()
    data = some_bytes(length)
    sending = asyncio.create_task(client.send(connect_request(1, 7) + data + b"and more"))
    await client.expect_result(0)
    assert await client.receive_exactly(length + 8) == data + b"and more"
    await sending
    await harness.quiet()


async def test_early_bytes_and_window_of_phone_shut_they_wait_for_it(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=0)))
    await harness.attached()
    client = await harness.client()
    data = some_bytes(50_000)
    await client.send(connect_request(1, 7) + data)
    client.shut_down_writing()
    await client.expect_result(0)
    stream = await port.stream()
    await turns()
    assert stream.unread_length == 0
    stream.set_window(4096)
    assert await stream.readexactly(len(data)) == data
    port.end()
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_early_bytes_look_like_requests_they_are_not_read_as_such(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    await harness.attached()
    client = await harness.client()
    request = encode({"MessageType": "Listen"}, 2)
    await client.send(connect_request(1, 7) + request)
    await client.expect_result(0)
    assert await client.receive_exactly(len(request)) == request
    await harness.quiet()


async def test_connecting_phone_is_unplugged_connect_is_answered_2_and_the_phone_not_listed(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False))
    harness = await serve(phone)
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7) + connect_request(1, 7) + encode({"MessageType": "ListDevices"}))
    await turns(20)
    harness.bus.unplug(phone)
    await client.expect_result(2)
    await client.expect_result(2)
    assert await client.receive_properties(1) == {"DeviceList": []}
    await harness.quiet()


@pytest.mark.parametrize("answers", [True, False])
async def test_connecting_client_goes_daemon_lets_go_of_both_sides(serve: Serve, answers: bool) -> None:
    phone = SimulatedPhone(UDID, ports={7: discard}, options=PhoneOptions(answer_syn=answers))
    harness = await serve(phone, mux=MuxSettings(syn_timeout_s=0.1, linger_s=0.1))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7))
    client.close()
    await harness.quiet()


async def test_phone_resets_together_with_its_answer_client_sees_success_and_end(serve: Serve) -> None:
    async def refuse_late(stream: PhoneStream) -> None:
        stream.accept()
        stream.reset(b"changed my mind")

    options = PhoneOptions(join_transfers=True)
    harness = await serve(SimulatedPhone(UDID, ports={7: AcceptsLate(refuse_late)}, options=options))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7) + bytes(1000))
    await client.expect_result(0)
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_phone_answers_syn_with_nonsense_connect_is_answered_3(serve: Serve) -> None:
    def tamper(segment: Segment) -> Segment:
        return Segment(segment.source_port, segment.destination_port, 0, 77, Flags.ACK, 0)

    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=PhoneOptions(tamper=tamper)))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7))
    await client.expect_result(3)
    await harness.quiet()


async def test_handshake_never_answered_phone_is_invisible_and_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    dumb = SimulatedPhone(OTHER_UDID, options=PhoneOptions(answer_version=False))
    harness = await serve(SimulatedPhone(UDID), dumb, mux=MuxSettings(handshake_timeout_s=0.1))
    await harness.daemon.wait_settled(5)
    assert [record.serial_number for record in harness.daemon.registry.records()] == [UDID]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["1-2 (05ac:12a8): no answer to VERSION within 0.1 s; looking again in 1 s"]


async def test_version_of_phone_unknown_phone_is_invisible_and_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    harness = await serve(SimulatedPhone(UDID, version=3))
    await harness.daemon.wait_settled(5)
    assert not harness.daemon.registry.records()
    assert "mux version 3.0 is not supported" in caplog.text


async def test_many_connects_at_once_each_gets_its_own_stream(serve: Serve) -> None:
    address = TcpAddress("127.0.0.1", 0)
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), addresses=[address], mux=MuxSettings(linger_s=0.1))
    await harness.attached()
    clients = [await harness.client() for _ in range(100)]
    for number, client in enumerate(clients):
        await client.send(connect_request(1, 7) + b"%4d" % number)
    for number, client in enumerate(clients):
        await client.expect_result(0)
        assert await client.receive_exactly(4) == b"%4d" % number
    await harness.quiet()


async def test_more_phones_connect_goes_to_the_right_one(serve: Serve) -> None:
    async def first(stream: PhoneStream) -> None:
        await stream.write(b"first")

    async def second(stream: PhoneStream) -> None:
        await stream.write(b"second")

    harness = await serve(SimulatedPhone(UDID, ports={7: first}), SimulatedPhone(OTHER_UDID, ports={7: second}))
    await until(lambda: len(harness.daemon.registry.records()) == 2)
    assert await (await harness.stream(7, device_id=2)).receive_to_end() == b"second"
    assert await (await harness.stream(7, device_id=1)).receive_to_end() == b"first"
