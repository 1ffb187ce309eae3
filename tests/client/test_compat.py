from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import BLUE, OK, RED, Peer, ScriptedServer
from usbmux import MuxDevice, MuxError, MuxVersionError, USBMux, UsbmuxError
from usbmux.control import plist_codec
from usbmux.control.frame import HEADER_LENGTH, Frame, MessageType
from usbmux.control.message import Attached, Connect, Detached, Listen, Paired, Result, ResultCode
from usbmux.errors import AddressError, DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from usbmux.control.message import Notification

RED_PHONE = MuxDevice(RED.device_id, RED.product_id, RED.serial_number, RED.location_id)
BLUE_PHONE = MuxDevice(BLUE.device_id, BLUE.product_id, BLUE.serial_number, BLUE.location_id)
BINARY, PLIST = 0, 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    server = ScriptedServer.on_unix(tmp_path)
    yield server
    server.finish()


@pytest.fixture
def open_mux(server: ScriptedServer) -> Iterator[Callable[[], USBMux]]:
    opened: list[USBMux] = []

    def open_mux() -> USBMux:
        opened.append(USBMux(str(server.address)))
        return opened[-1]

    yield open_mux
    for mux in opened:
        mux.close()


def listen(peer: Peer, *notifications: Notification, payload: bytes = b"") -> None:
    peer.answer(Listen(), OK, *notifications, payload=payload)
    peer.is_kept = True


def expect_version(peer: Peer, version: int) -> None:
    """The next request is in that version; it stays unread."""
    header = peer.receive_exactly(HEADER_LENGTH)
    peer.session.receive_data(header)
    assert header[4:8] == version.to_bytes(4, "little")


def refuse_binary(reply: Frame) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        expect_version(peer, BINARY)
        peer.stream.sendall(reply.encode())

    return script


BAD_VERSION = Frame(0, MessageType.RESULT, 1, (6).to_bytes(4, "little"))
REFUSALS = [
    BAD_VERSION,
    Frame(1, MessageType.PLIST, 1, plist_codec.encode(Result(ResultCode.BAD_COMMAND))),
    Frame(1, MessageType.PLIST, 1, plist_codec.encode(OK)),
]


def test_binary_daemon_is_listened_to_and_connected_to_in_binary(
    server: ScriptedServer, open_mux: Callable[[], USBMux]
) -> None:
    def listening(peer: Peer) -> None:
        expect_version(peer, BINARY)
        listen(peer, Attached(RED), Attached(BLUE))

    def connecting(peer: Peer) -> None:
        expect_version(peer, BINARY)
        peer.answer(Connect(1, 22), OK, payload=b"hello")
        assert peer.receive_exactly(3) == b"bye"

    server.play(listening, connecting)
    mux = open_mux()
    assert mux.devices == []
    mux.process(10)
    assert mux.devices == [RED_PHONE, BLUE_PHONE]
    with mux.connect(mux.devices[0], 22) as stream:
        assert stream.gettimeout() is None
        assert stream.recv(100) == b"hello"
        stream.sendall(b"bye")


@pytest.mark.parametrize("refusal", REFUSALS, ids=["bad version", "plist refusal", "plist success"])
def test_plist_daemon_is_asked_again_and_connected_to_in_plist(
    server: ScriptedServer, open_mux: Callable[[], USBMux], refusal: Frame
) -> None:
    def listening(peer: Peer) -> None:
        expect_version(peer, PLIST)
        listen(peer, Attached(RED))

    def connecting(peer: Peer) -> None:
        expect_version(peer, PLIST)
        peer.answer(Connect(1, 22), OK, payload=b"hello")

    server.play(refuse_binary(refusal), listening, connecting)
    mux = open_mux()
    mux.process(10)
    assert mux.devices == [RED_PHONE]
    with mux.connect(RED_PHONE, 22) as stream:
        assert stream.recv(100) == b"hello"


def test_daemon_that_notifies_a_binary_listener_in_plist_is_connected_to_in_plist(
    server: ScriptedServer, open_mux: Callable[[], USBMux]
) -> None:
    def listening(peer: Peer) -> None:
        payload = Frame(1, MessageType.PLIST, 0, plist_codec.encode(Attached(RED))).encode()
        listen(peer, payload=payload)

    def connecting(peer: Peer) -> None:
        expect_version(peer, PLIST)
        peer.answer(Connect(1, 22), OK)

    server.play(listening, connecting)
    mux = open_mux()
    mux.process(10)
    mux.connect(RED_PHONE, 22).close()


def test_devices_follow_what_comes_and_goes(server: ScriptedServer, open_mux: Callable[[], USBMux]) -> None:
    server.play(lambda peer: listen(peer, Attached(RED), Attached(BLUE), Paired(2), Detached(1)))
    mux = open_mux()
    mux.process(10)
    assert mux.devices == [BLUE_PHONE]


def test_process_without_news_returns_in_time(server: ScriptedServer, open_mux: Callable[[], USBMux]) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK)
        peer.expect_hang_up()

    server.play(script)
    mux = open_mux()
    mux.process(0.01)
    mux.process(0)
    assert mux.devices == []
    mux.close()


def test_process_when_the_daemon_goes_raises_mux_error(server: ScriptedServer, open_mux: Callable[[], USBMux]) -> None:
    server.play(lambda peer: peer.answer(Listen(), OK))
    mux = open_mux()
    with pytest.raises(MuxError, match="hung up"):
        mux.process()


def test_connect_refused_raises_mux_error(server: ScriptedServer, open_mux: Callable[[], USBMux]) -> None:
    server.play(
        lambda peer: listen(peer),
        lambda peer: peer.answer(Connect(1, 23), Result(ResultCode.CONNECTION_REFUSED)),
    )
    mux = open_mux()
    with pytest.raises(MuxError, match=r"port 23 of device 1: the daemon answered 3 \(CONNECTION_REFUSED\)"):
        mux.connect(RED_PHONE, 23)


def test_daemon_that_knows_neither_version_raises_version_error(
    server: ScriptedServer, open_mux: Callable[[], USBMux]
) -> None:
    def again(peer: Peer) -> None:
        peer.next_request()
        peer.stream.sendall(BAD_VERSION.encode())

    server.play(refuse_binary(BAD_VERSION), again)
    with pytest.raises(MuxVersionError) as caught:
        open_mux()
    assert isinstance(caught.value, MuxError)
    assert isinstance(caught.value, UsbmuxError)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 Bad Request\r\n", Frame(0, MessageType.RESULT, 1, b"").encode()])
def test_daemon_that_answers_nonsense_raises_mux_error(
    server: ScriptedServer, open_mux: Callable[[], USBMux], data: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.next_request()
        peer.stream.sendall(data)

    server.play(script)
    with pytest.raises(MuxError):
        open_mux()


def test_nobody_at_the_address_raises_daemon_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(tmp_path / "missing"))
    with pytest.raises(DaemonUnavailableError, match="missing"):
        USBMux()


def test_address_that_is_none_raises_address_error() -> None:
    with pytest.raises(AddressError, match="no name of a computer"):
        USBMux("a..b:27015")
