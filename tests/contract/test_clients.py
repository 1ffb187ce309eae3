"""What both clients promise, against a daemon that follows a script."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import BLUE, OK, RED, Peer, ScriptedServer, answer, raw_answer, silence
from tests.client.subjects import ClientKind, Subject
from tests.support.unix_sockets import needs_unix_sockets
from usbmux.client.aio import AsyncClient
from usbmux.client.device import Device, Listener
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.control.frame import Frame, MessageType
from usbmux.control.message import (
    Buid,
    ClientIdentity,
    Connect,
    DeletePairRecord,
    DeviceList,
    ListDevices,
    ListenerList,
    ListenerRecord,
    ListListeners,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Result,
    ResultCode,
    SavePairRecord,
)
from usbmux.errors import (
    AmbiguousDeviceError,
    DaemonUnavailableError,
    DeviceNotFoundError,
    LocalProtocolError,
    PairRecordNotFoundError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
    RequestTimeoutError,
)

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from usbmux.control.address import Address

RED_PHONE = Device.from_record(RED)
BLUE_PHONE = Device.from_record(BLUE)
SHORT_S = 0.05
NO_FAMILY = 999
"""No system has it, as a Linux that was started with ``ipv6.disable=1`` has no AF_INET6."""


# Requests


def test_devices_attached_are_returned_in_order(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ListDevices(), DeviceList((BLUE, RED))))
    assert client.run(lambda c: c.devices()) == [BLUE_PHONE, RED_PHONE]


def test_identity_goes_out_with_a_request(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(ReadBuid(), Buid("B"))
        assert peer.session.identity.program == "contract"
        assert peer.session.identity.library_version == 3

    server.play(script)
    assert client.run(lambda c: c.buid()) == "B"


def test_listeners_are_returned(client: Subject, server: ScriptedServer) -> None:
    record = ListenerRecord("7-finder", ClientIdentity(program="finder", bundle_id="x.y", library_version=3))
    server.play(answer(ListListeners(), ListenerList((record,))))
    assert client.run(lambda c: c.listeners()) == [Listener("7-finder", "finder", "x.y", 3)]


@pytest.mark.parametrize("udid", [None, RED.serial_number, RED.serial_number.replace("-", ""), RED.serial_number[:7]])
def test_device_with_one_attached_finds_it(client: Subject, server: ScriptedServer, udid: str | None) -> None:
    server.play(answer(ListDevices(), DeviceList((RED,))))
    assert client.run(lambda c: c.device(udid)) == RED_PHONE


def test_device_with_several_attached_and_none_named_is_ambiguous(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ListDevices(), DeviceList((RED, BLUE))))
    with pytest.raises(AmbiguousDeviceError, match=f"{RED.serial_number}, {BLUE.serial_number}"):
        client.run(lambda c: c.device())


def test_device_not_attached_is_not_found(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ListDevices(), DeviceList((RED,))))
    with pytest.raises(DeviceNotFoundError, match=r"'cafe' is attached, only 00008030-0000000000000001"):
        client.run(lambda c: c.device("cafe"))


def test_request_not_understood_by_the_daemon_raises_its_number(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ListListeners(), Result(ResultCode.BAD_COMMAND)))
    with pytest.raises(RequestError, match="BAD_COMMAND") as caught:
        client.run(lambda c: c.listeners())
    assert caught.value.result == ResultCode.BAD_COMMAND


def test_result_in_the_other_encoding_is_understood(client: Subject, server: ScriptedServer) -> None:
    server.play(raw_answer(Frame(0, MessageType.RESULT, 1, (6).to_bytes(4, "little")).encode()))
    with pytest.raises(RequestError, match="BAD_VERSION") as caught:
        client.run(lambda c: c.devices())
    assert caught.value.result == ResultCode.BAD_VERSION


# Daemons that fail


def test_nobody_at_the_address_raises_daemon_unavailable(
    kind: ClientKind, runner: asyncio.Runner, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for address in (UnixAddress(str(tmp_path / "missing")), TcpAddress("127.0.0.1", port)):
        with pytest.raises(DaemonUnavailableError, match=str(address)):
            Subject(kind, runner, address).run(lambda c: c.devices())


@pytest.mark.parametrize(
    "address",
    [
        TcpAddress("a..b", 1),
        TcpAddress("a" * 64, 1),
        TcpAddress("127.0.0.1", 70_000),
        pytest.param(UnixAddress("/run/\ud800"), marks=needs_unix_sockets),
        pytest.param(UnixAddress("/run/\0"), marks=needs_unix_sockets),
        pytest.param(UnixAddress(f"/{'x' * 200}"), marks=needs_unix_sockets),
    ],
    ids=["empty label", "long label", "port", "surrogate", "null", "long path"],
)
def test_address_that_the_system_refuses_raises_daemon_unavailable(
    kind: ClientKind, runner: asyncio.Runner, address: Address
) -> None:
    with pytest.raises(DaemonUnavailableError, match="no usbmux daemon at"):
        Subject(kind, runner, address).run(lambda c: c.devices())


@needs_unix_sockets
def test_no_unix_sockets_on_the_system_raises_daemon_unavailable(
    kind: ClientKind, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject(kind, runner, UnixAddress("/run/usbmuxd"))
    runner.get_loop()  # makes its own socket pair
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(DaemonUnavailableError, match="no Unix sockets"):
        subject.run(lambda c: c.devices())


@pytest.mark.parametrize("length", [0, 9, 40])
def test_daemon_that_hangs_up_mid_reply_raises_daemon_unavailable(
    client: Subject, server: ScriptedServer, length: int
) -> None:
    def script(peer: Peer) -> None:
        peer.next_request()
        peer.stream.sendall(peer.session.reply(DeviceList((RED,)))[:length])

    server.play(script)
    with pytest.raises(DaemonUnavailableError, match="hung up") as caught:
        client.run(lambda c: c.devices())
    assert str(server.address) in str(caught.value)


def test_daemon_that_never_answers_raises_timeout(client: Subject, server: ScriptedServer) -> None:
    server.play(silence)
    with pytest.raises(RequestTimeoutError, match=r"within 0\.05 s"):
        client.run(lambda c: c.devices(), timeout_s=SHORT_S)


@needs_unix_sockets
def test_daemon_that_never_accepts_raises_timeout(kind: ClientKind, runner: asyncio.Runner, tmp_path: Path) -> None:
    path = str(tmp_path / "busy")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        with pytest.raises(RequestTimeoutError):
            Subject(kind, runner, UnixAddress(path)).run(lambda c: c.devices(), timeout_s=SHORT_S)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue may refuse")
def test_name_whose_addresses_do_not_answer_raises_timeout_for_all_of_them(
    kind: ClientKind, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue is full then
            stream = stack.enter_context(socket.socket())
            stream.setblocking(False)
            stream.connect_ex(silent.getsockname())
        last = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        last.setblocking(False)
        endpoints = [silent.getsockname(), silent.getsockname(), last.getsockname()]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", endpoint) for endpoint in endpoints]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(RequestTimeoutError, match=r"within 0\.05 s"):
            Subject(kind, runner, TcpAddress("host.example", 1)).run(lambda c: c.devices(), timeout_s=SHORT_S)
        with pytest.raises(BlockingIOError):
            last.accept()


def test_name_with_an_address_of_a_family_that_the_system_lacks_is_reached_by_the_next(
    kind: ClientKind, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ScriptedServer.on_tcp()
    server.play(answer(ListDevices(), DeviceList((RED,))))
    assert isinstance(server.address, TcpAddress)
    stranger = (NO_FAMILY, socket.SOCK_STREAM, 0, "", ("::1", server.address.port, 0, 0))
    known = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (server.address.host, server.address.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [stranger, known])
    assert Subject(kind, runner, server.address).run(lambda c: c.devices()) == [RED_PHONE]
    server.finish()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Frame(1, MessageType.PLIST, 1, b"no plist").encode(),
        Frame(0, MessageType.RESULT, 9, bytes(4)).encode(),
        Frame(0, MessageType.RESULT, 1, bytes(4)).encode(),
    ],
    ids=["other protocol", "no plist", "tag of nothing", "success without the list"],
)
def test_reply_that_breaks_the_protocol_raises_remote_protocol_error(
    client: Subject, server: ScriptedServer, data: bytes
) -> None:
    server.play(raw_answer(data))
    with pytest.raises(RemoteProtocolError):
        client.run(lambda c: c.devices())


# Connect


def test_connect_by_udid_looks_it_up_on_the_same_connection(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(ListDevices(), DeviceList((RED, BLUE)))
        peer.answer(Connect(BLUE.device_id, 22), OK)
        assert peer.receive_exactly(4) == b"ping"
        peer.stream.sendall(b"pong")
        peer.expect_hang_up()

    server.play(script)
    stream = client.connect(BLUE.serial_number, 22)
    stream.write(b"ping")
    assert stream.read_exactly(4) == b"pong"
    stream.close()


@pytest.mark.parametrize("device", [RED_PHONE, RED_PHONE.device_id], ids=["device", "number"])
def test_connect_with_payload_behind_the_result_delivers_it(
    client: Subject, server: ScriptedServer, device: Device | int
) -> None:
    server.play(answer(Connect(1, 22), OK, payload=b"SSH-2.0-phone\r\n"))
    stream = client.connect(device, 22)
    assert stream.read_exactly(15) == b"SSH-2.0-phone\r\n"
    stream.close()


def test_connect_to_a_closed_port_is_refused_and_a_later_one_works(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(Connect(1, 23), Result(ResultCode.CONNECTION_REFUSED)), answer(Connect(1, 22), OK, b"hello"))
    with pytest.raises(PortRefusedError, match="port 23"):
        client.connect(RED_PHONE, 23)
    stream = client.connect(RED_PHONE, 22)
    assert stream.read_exactly(5) == b"hello"
    stream.close()


def test_connect_to_a_phone_that_went_is_not_found(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(Connect(9, 22), Result(ResultCode.BAD_DEVICE)))
    with pytest.raises(DeviceNotFoundError, match="device 9"):
        client.connect(9, 22)


def test_connect_without_phones_is_not_found(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ListDevices(), DeviceList(())))
    with pytest.raises(DeviceNotFoundError, match="no phone is attached"):
        client.connect(None, 22)


@pytest.mark.parametrize("port", [-1, 65536])
def test_connect_to_an_impossible_port_asks_nothing(client: Subject, server: ScriptedServer, port: int) -> None:
    server.play(lambda peer: peer.expect_hang_up())
    with pytest.raises(LocalProtocolError, match=str(port)):
        client.connect(1, port)


def test_connect_socket_leaves_the_payload_in_a_non_blocking_socket(
    server: ScriptedServer, runner: asyncio.Runner
) -> None:
    server.play(answer(Connect(1, 22), OK, payload=b"hello"))
    with runner.run(AsyncClient(server.address).connect_socket(1, 22)) as stream:
        assert stream.gettimeout() == 0
        assert stream.recv(100) == b"hello"


# Pair records


def test_pair_record_that_is_kept_is_returned(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(ReadPairRecord("R"), PairRecord(b"<plist/>")))
    assert client.run(lambda c: c.read_pair_record("R")) == b"<plist/>"


def test_pair_record_saved_names_record_data_and_device(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(SavePairRecord("R", b"data", 1), OK))
    client.run(lambda c: c.save_pair_record("R", b"data", device_id=1))


def test_pair_record_deleted(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(DeletePairRecord("R"), OK))
    client.run(lambda c: c.delete_pair_record("R"))


def test_pair_record_missing_is_not_found(client: Subject, server: ScriptedServer) -> None:
    missing = Result(errno.ENOENT)
    server.play(answer(ReadPairRecord("R"), missing), answer(DeletePairRecord("R"), missing))
    with pytest.raises(PairRecordNotFoundError, match="'R'"):
        client.run(lambda c: c.read_pair_record("R"))
    with pytest.raises(PairRecordNotFoundError, match="'R'"):
        client.run(lambda c: c.delete_pair_record("R"))


def test_pair_record_that_cannot_be_written_raises_the_errno(client: Subject, server: ScriptedServer) -> None:
    server.play(answer(SavePairRecord("R", b"data"), Result(errno.EINVAL)))
    with pytest.raises(RequestError, match="Invalid argument") as caught:
        client.run(lambda c: c.save_pair_record("R", b"data"))
    assert caught.value.result == errno.EINVAL


@pytest.mark.parametrize("code", [1 << 31, (1 << 32) - errno.EINVAL, -(1 << 31)])
def test_pair_record_answered_with_a_number_that_is_no_errno_raises_it(
    client: Subject, server: ScriptedServer, code: int
) -> None:
    server.play(answer(ReadPairRecord("R"), Result(code)))
    with pytest.raises(RequestError, match=f"errno {code}") as caught:
        client.run(lambda c: c.read_pair_record("R"))
    assert caught.value.result == code
