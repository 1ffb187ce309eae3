"""Forwards that the daemon keeps: over replugs and restarts, and not against anybody's will."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tests.daemon.forwards import add, all_kept, ask, program_by
from tests.daemon.harness import OTHER_UDID, UDID, HeldPort, some_bytes, turns, until
from tests.support.threads import give_no_thread
from usbmux.admin.forward import KeptForward
from usbmux.daemon import forward_listener, forwarded_client, listener
from usbmux.daemon.counts import ConnectResult
from usbmux.daemon.forward_file import FORWARDS_FILE, ForwardFile
from usbmux.testing import AcceptsLate, PhoneOptions, SimulatedPhone, digest, echo

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness

pytestmark = pytest.mark.asyncio


def _phone(udid: str = UDID) -> SimulatedPhone:
    return SimulatedPhone(udid, ports={7: echo, 99: digest})


async def _stop(harness: Harness) -> None:
    await harness.stop()
    for phone in harness.phones:
        harness.bus.unplug(phone)


async def _start(harness: Harness) -> None:
    """The same daemon again, with its phones."""
    await harness.start()
    harness.daemon.listen_for_forwards()


async def _no_clients(harness: Harness) -> None:
    await until(lambda: not list(harness.daemon.clients))


async def test_forward_is_added_program_is_joined_with_the_port(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    program = await program_by(harness, await add(harness))
    data = some_bytes(100_000)
    asking = asyncio.create_task(program.send(data))
    assert await program.receive_exactly(len(data)) == data
    await asking


async def test_program_half_closes_answer_still_comes(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    program = await program_by(harness, await add(harness, port=99))
    await program.send((3).to_bytes(8) + b"abc")
    program.shut_down_writing()
    assert await program.receive_to_end() == hashlib.sha256(b"abc").digest()


async def test_forward_is_added_it_is_listed_and_its_programs_are_clients(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    listen = await add(harness, f"unix:{harness.directory}/ssh")
    program = await program_by(harness, listen)
    await program.send(b"x")
    assert await program.receive_exactly(1) == b"x"
    expected = {"listen": listen, "port": 7, "udid": UDID, "is_listening": True, "is_attached": True}
    assert await all_kept(harness) == [{**expected, "phones": 1, "connections": 1, "error": None}]
    status = await ask(harness, command="status", parts=["clients", "connections"])
    assert [(client["address"], client["what"]) for client in status["clients"]] == [(listen, "stream")]
    assert [(connection["port"], connection["bytes_to_phone"]) for connection in status["connections"]] == [(7, 1)]
    program.close()
    while (await all_kept(harness))[0]["connections"]:
        pass


async def test_unix_socket_is_for_the_daemons_user_and_group(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    path = harness.directory / "ssh"
    listen = await add(harness, f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    program = await program_by(harness, listen)
    await program.send(b"x")
    assert await program.receive_exactly(1) == b"x"
    assert (await ask(harness, command="forward-remove", listen=[listen]))["ok"]
    assert not path.exists()


async def test_phone_is_away_program_waits_until_it_comes(serve: Serve) -> None:
    phone = _phone()
    harness = await serve(phone, _phone(OTHER_UDID))
    await harness.attached()
    listen = await add(harness)
    harness.bus.unplug(phone)
    await harness.attached(1)
    program = await program_by(harness, listen)
    await program.send(b"x")
    while not (await all_kept(harness))[0]["connections"]:
        pass
    assert not (await all_kept(harness))[0]["is_attached"]
    harness.bus.plug(phone)
    assert await program.receive_exactly(1) == b"x"
    assert phone.udid == UDID


async def test_phone_does_not_come_program_is_sent_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarded_client, "WAIT_S", 0.05)
    harness = await serve()
    program = await program_by(harness, await add(harness))
    assert await program.receive_to_end() == b""
    await _no_clients(harness)
    assert harness.daemon.counts.connects[ConnectResult.NO_PHONE] == 1


async def test_phone_has_not_answered_program_is_kicked_the_phone_is_told_why(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    await harness.attached()
    listen = await add(harness)
    program = await program_by(harness, listen)
    await until(lambda: any(client.owner.connection(0, 0) for client in harness.daemon.clients))
    capture = await harness.admin()
    await capture.send(b'{"command": "capture", "format": "lines"}\n')
    assert json.loads(await capture.receive_line()) == {"ok": True}
    assert b"link joined" in await capture.receive_line()
    assert (await ask(harness, command="kick", client=1))["found"]
    assert await program.receive_to_end() == b""
    assert b"an administrator ended the connection" in await capture.receive_line()
    (kept,) = await all_kept(harness)
    assert (kept["listen"], kept["is_listening"], kept["connections"]) == (listen, True, 0)


async def test_phone_is_pulled_while_it_is_asked_program_waits_for_it_again(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, ports={7: AcceptsLate(echo)})
    harness = await serve(phone)
    await harness.attached()
    program = await program_by(harness, await add(harness))
    await until(lambda: any(client.owner.connection(0, 0) for client in harness.daemon.clients))
    harness.bus.unplug(phone)
    await harness.attached(0)
    (client,) = harness.daemon.clients
    assert client.owner.connection(0, 0) is None
    harness.bus.plug(phone)
    await until(lambda: client.owner.connection(0, 0))
    await ask(harness, command="forward-remove", listen=[(await all_kept(harness))[0]["listen"]])
    assert await program.receive_to_end() == b""


@pytest.mark.parametrize("count", [1, 2])
async def test_no_phone_is_named_the_only_one_is_meant(serve: Serve, count: int) -> None:
    harness = await serve(*[_phone(UDID), _phone(OTHER_UDID)][:count])
    await harness.attached()
    program = await program_by(harness, await add(harness, udid=None))
    if count == 1:
        await program.send(b"x")
        assert await program.receive_exactly(1) == b"x"
    else:
        assert await program.receive_to_end() == b""


async def test_port_is_refused_program_sees_the_end(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    program = await program_by(harness, await add(harness, port=1234))
    assert await program.receive_to_end() == b""
    await _no_clients(harness)
    assert harness.daemon.counts.connects[ConnectResult.REFUSED] == 1


async def test_daemon_restarts_same_port_leads_there_again(serve: Serve) -> None:
    harness = await serve(_phone())
    listen = await add(harness)
    await _stop(harness)
    await _start(harness)
    assert [kept["listen"] for kept in await all_kept(harness)] == [listen]
    program = await program_by(harness, listen)
    await program.send(b"x")
    assert await program.receive_exactly(1) == b"x"


async def test_one_that_was_kept_is_at_no_place_the_others_are_there_again(serve: Serve) -> None:
    harness = await serve(_phone())
    good, bad = await add(harness), KeptForward("unix:ssh", 22)
    await _stop(harness)
    ForwardFile(harness.settings.pair_record_directory).write([bad, KeptForward(good, 7)])
    await _start(harness)
    assert [kept["listen"] for kept in await all_kept(harness)] == [good]


async def test_forward_is_removed_it_ends_with_its_connections_and_stays_gone(serve: Serve) -> None:
    harness = await serve(_phone())
    await harness.attached()
    removed, left = await add(harness), await add(harness)
    program, other = await program_by(harness, removed), await program_by(harness, left)
    for each in (program, other):
        await each.send(b"x")
        assert await each.receive_exactly(1) == b"x"
    answer = await ask(harness, command="forward-remove", listen=[removed])
    assert [(kept["listen"], kept["connections"]) for kept in answer["forwards"]] == [(removed, 1)]
    with pytest.raises(ConnectionRefusedError):
        await program_by(harness, removed)
    assert await program.receive_to_end() == b""
    await other.send(b"y")
    assert await other.receive_exactly(1) == b"y"
    await _stop(harness)
    await _start(harness)
    assert [kept["listen"] for kept in await all_kept(harness)] == [left]


async def test_address_is_taken_nothing_of_the_request_is_kept(serve: Serve) -> None:
    harness = await serve(_phone())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        path = f"unix:{harness.directory / 'ssh'}"
        wanted = [{"listen": path, "port": 7}, {"listen": busy, "port": 7}]
        answer = await ask(harness, command="forward-add", forwards=wanted)
    assert (answer["ok"], answer["error"]) == (False, f"cannot listen at {busy}: Address already in use")
    assert await all_kept(harness) == []
    assert not os.path.exists(harness.directory / "ssh")  # noqa: ASYNC240


async def test_state_cannot_be_written_nothing_is_kept(serve: Serve) -> None:
    harness = await serve(_phone())
    directory = harness.settings.pair_record_directory
    directory.write_text("not a directory")
    answer = await ask(harness, command="forward-add", forwards=[{"listen": "127.0.0.1:0", "port": 7}])
    assert not answer["ok"]
    assert answer["error"] == f"cannot write {directory / FORWARDS_FILE}: Not a directory"
    assert await all_kept(harness) == []
    await _no_clients(harness)


async def test_address_is_taken_at_the_restart_it_is_said_tried_again_and_can_be_removed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_listener, "RETRY_S", 0.02)
    harness = await serve(_phone())
    listen, other = await add(harness), await add(harness)
    await _stop(harness)
    before = harness.before
    port = int(listen.partition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        await _start(harness)
        harness.before = before  # `port` is not taken any more at the end
        first, second = await all_kept(harness)
        assert (first["is_listening"], second["is_listening"]) == (False, True)
        assert first["error"] == f"cannot listen at {listen}: Address already in use"
        answer = await ask(harness, command="forward-add", forwards=[{"listen": listen, "port": 7}])
        assert answer["error"] == f"{listen} is forwarded already"
    async with asyncio.timeout(20):
        while not (await all_kept(harness))[0]["is_listening"]:
            pass
    assert (await all_kept(harness))[0]["error"] is None
    assert (await ask(harness, command="forward-remove", listen=[listen, other]))["ok"]


async def test_daemon_listens_there_itself_since_removing_the_forward_leaves_its_clients_alone(serve: Serve) -> None:
    harness = await serve(_phone())
    wanted = {"listen": f"unix:{harness.directory}/usbmuxd", "port": 7}
    await _stop(harness)
    folder = harness.settings.pair_record_directory
    folder.mkdir(mode=0o700)
    (folder / FORWARDS_FILE).write_text(json.dumps({"forwards": [wanted]}))
    await _start(harness)
    client = await harness.stream(7)
    (kept,) = await all_kept(harness)
    assert (kept["is_listening"], kept["connections"]) == (False, 0)
    assert (await ask(harness, command="forward-remove", listen=[wanted["listen"]]))["ok"]
    await client.send(b"x")
    assert await client.receive_exactly(1) == b"x"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"command": "forward-add", "forwards": [{"listen": "nowhere", "port": 7}]}, "a port is missing"),
        ({"command": "forward-add", "forwards": [{"listen": "localhost:0", "port": 7}]}, "needs a numeric address"),
        ({"command": "forward-add", "forwards": [{"listen": "unix:./ssh", "port": 7}]}, "needs an absolute path"),
        ({"command": "forward-remove", "listen": ["127.0.0.1:1"]}, "no forward listens at 127.0.0.1:1"),
    ],
)
async def test_request_cannot_be_met_error_says_why_and_the_connection_ends(
    serve: Serve, request_: dict[str, object], error: str
) -> None:
    harness = await serve()
    admin = await harness.admin()
    await admin.send(json.dumps(request_).encode() + b"\n")
    answer = json.loads(await admin.receive_line())
    assert not answer["ok"]
    assert error in answer["error"]
    assert await admin.receive_to_end() == b""


async def test_no_thread_is_given_error_says_so_and_none_is_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = await serve()
    give_no_thread(monkeypatch)
    answer = await ask(harness, command="forward-add", forwards=[{"listen": "127.0.0.1:0", "port": 7}])
    assert answer["error"] == "can't start new thread"
    assert await all_kept(harness) == []


async def test_more_than_can_be_kept_none_is(serve: Serve) -> None:
    harness = await serve()
    wanted = {"listen": "127.0.0.1:0", "port": 7}
    await add(harness)
    answer = await ask(harness, command="forward-add", forwards=[wanted] * 256)
    assert answer["error"] == "more than 256 forwards"
    assert len(await all_kept(harness)) == 1


async def test_two_change_at_once_both_are_kept(serve: Serve) -> None:
    harness = await serve()
    added = await asyncio.gather(*(add(harness) for _ in range(5)))
    assert sorted(kept["listen"] for kept in await all_kept(harness)) == sorted(added)
    stored = json.loads((harness.settings.pair_record_directory / FORWARDS_FILE).read_bytes())["forwards"]
    assert sorted(kept["listen"] for kept in stored) == sorted(added)


async def test_daemon_ends_while_programs_wait_they_see_the_end(serve: Serve) -> None:
    held = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: held}, options=PhoneOptions()))
    await harness.attached()
    waiting = await program_by(harness, await add(harness, udid=OTHER_UDID))
    joined = await program_by(harness, await add(harness))
    await held.stream()
    await turns()
    ends = [asyncio.create_task(program.receive_to_end()) for program in (waiting, joined)]
    await harness.daemon.close()
    assert [await end for end in ends] == [b"", b""]
    held.end()


async def test_service_may_not_use_tcp_error_says_where_to_read_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_address: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(listener, "_bind_tcp", refuse)
    harness = await serve()
    answer = await ask(harness, command="forward-add", forwards=[{"listen": "127.0.0.1:0", "port": 7}])
    assert not answer["ok"]
    assert answer["error"].endswith("the service may not use TCP; docs/operations.md says how it may")
