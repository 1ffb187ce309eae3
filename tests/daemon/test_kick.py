"""A client is ended by an administrator, whatever it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.harness import UDID, HeldPort, turns, until
from usbmux.testing import PhoneOptions, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness

pytestmark = pytest.mark.asyncio

REASON = b"an administrator ended the connection"


async def kick(harness: Harness, client: int) -> Any:
    """Over a connection that asks for the status after it, and must be served."""
    admin = await harness.admin()
    await admin.send(json.dumps({"command": "kick", "client": client}).encode() + b"\n" + b'{"command": "status"}\n')
    answer: dict[str, Any] = json.loads(await admin.receive_line())
    assert json.loads(await admin.receive_line())["ok"] is True
    admin.close()
    assert answer.keys() == {"ok", "found"}
    assert answer["ok"] is True
    return answer["found"]


async def test_stream_is_kicked_both_sides_end_and_the_phone_is_told_why(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}))
    client = await harness.stream(7)
    stream = await port.stream()
    await client.send(b"hello")
    assert await stream.readexactly(5) == b"hello"
    capture = await harness.admin()
    await capture.send(b'{"command": "capture", "format": "lines"}\n')
    assert json.loads(await capture.receive_line()) == {"ok": True}
    assert await kick(harness, 1) is True
    assert await client.receive_to_end() == b""
    while b"[R" not in (line := await capture.receive_line()):
        pass
    assert REASON in line
    await until(lambda: stream.is_closed)
    port.end()
    await harness.quiet()


async def test_one_of_two_streams_is_kicked_the_other_goes_on(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    first, second = await harness.stream(7), await harness.stream(7)
    assert await kick(harness, 1) is True
    assert await first.receive_to_end() == b""
    await second.send(b"still here")
    assert await second.receive_exactly(10) == b"still here"
    await harness.quiet()


async def test_client_takes_nothing_it_is_kicked_all_the_same(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19, is_slow=True)
    await client.send((1 << 24).to_bytes(8))
    await turns(1000)
    assert await kick(harness, 1) is True
    assert not list(harness.daemon.clients)
    await harness.quiet()


async def test_listening_client_is_kicked_it_is_told_of_no_more_phones(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.listen()
    assert await kick(harness, 1) is True
    harness.bus.plug(SimulatedPhone(UDID))
    await harness.attached(1)
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_client_has_asked_nothing_yet_it_is_kicked(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await until(lambda: list(harness.daemon.clients))
    assert await kick(harness, 1) is True
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_phone_has_not_answered_the_connection_is_given_up(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    client = await harness.connecting(7)
    assert await kick(harness, 1) is True
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_there_is_no_such_client_it_is_said_and_nothing_else_happens(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    client = await harness.stream(7)
    assert [await kick(harness, number) for number in (0, 2, -1, 2**70)] == [False] * 4
    await client.send(b"word")
    assert await client.receive_exactly(4) == b"word"
    assert await kick(harness, 1) is True
    assert await kick(harness, 1) is False
    await harness.quiet()


async def test_client_is_kicked_the_log_says_by_whom(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    harness = await serve()
    await harness.client()
    await until(lambda: list(harness.daemon.clients))
    assert await kick(harness, 1) is True
    (record,) = [record for record in caplog.records if record.name == "usbmux.daemon.admin"]
    assert record.getMessage().endswith("): ends client 1")
    assert "pid=" in record.getMessage()
    await harness.quiet()


async def test_streams_have_moved_bytes_the_phone_has_them_after_their_end_too(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    for _ in range(2):
        client = await harness.stream(7)
        await client.send(b"four")
        assert await client.receive_exactly(4) == b"four"
    assert await kick(harness, 1) is True
    admin = await harness.admin()
    await admin.send(b'{"command": "status"}\n')
    (phone,) = json.loads(await admin.receive_line())["phones"]
    assert (phone["bytes_to_phone"], phone["bytes_from_phone"]) == (8, 8)
    await harness.quiet()
