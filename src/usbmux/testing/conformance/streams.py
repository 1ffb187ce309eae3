"""Cases about the stream that a connection becomes; they need an echo service."""

import random
from contextlib import ExitStack
from typing import Final

from usbmux.testing.conformance.answer import binary_result, result, then
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.exchange import with_echo
from usbmux.testing.conformance.request import LIST_DEVICES, binary_connect, connect
from usbmux.testing.conformance.subject import Need, Subject

_STREAM: Final = "every client (C3)"
_EARLY: Final = "ours: what is sent behind Connect belongs to the phone (C3)"
_HALF_CLOSE: Final = "ours: ssh and curl read on behind their own end"
_GREETING: Final = b"hello"
_BULK: Final = random.Random(1).randbytes(1 << 20)
_TURN: Final = 32768
_CAME_BACK: Final = "came back"


def _came_back(sent: bytes, received: bytes) -> str:
    if received == sent:
        return f"{len(sent)} bytes {_CAME_BACK}"
    if sent.startswith(received):
        return f"{len(received)} of {len(sent)} bytes {_CAME_BACK}"
    return "other bytes came"


def _echoed(conversation: Conversation, data: bytes) -> str:
    """Send bytes in turns, each when the one before is back, so that little is under way."""
    received = bytearray()
    for start in range(0, len(data), _TURN):
        piece = data[start : start + _TURN]
        conversation.send(piece)
        received += (back := conversation.receive_exactly(len(piece)))
        if len(back) < len(piece):
            break
    return _came_back(data, bytes(received))


def _plist_echo(conversation: Conversation, device_id: int, port: int) -> str:
    return then(conversation.ask(connect(device_id, port)), _echoed(conversation, _GREETING))


def _binary_echo(conversation: Conversation, device_id: int, port: int) -> str:
    return then(conversation.ask(binary_connect(device_id, port)), _echoed(conversation, _GREETING))


def _early(conversation: Conversation, request: bytes, data: bytes) -> str:
    return then(conversation.ask(request + data), _came_back(data, conversation.receive_exactly(len(data))))


def _bulk(conversation: Conversation, device_id: int, port: int) -> str:
    return then(conversation.ask(connect(device_id, port)), _echoed(conversation, _BULK))


def _request_in_the_stream(conversation: Conversation, device_id: int, port: int) -> str:
    return then(conversation.ask(connect(device_id, port)), _echoed(conversation, LIST_DEVICES))


def _refused_then_echo(conversation: Conversation, device_id: int, port: int) -> str:
    refused = conversation.ask(connect(0, port))
    return then(refused, _plist_echo(conversation, device_id, port))


def _half_close(conversation: Conversation, device_id: int, port: int) -> str:
    came = conversation.ask(connect(device_id, port))
    conversation.send(_BULK[:_TURN])
    conversation.finish_sending()
    return then(came, _came_back(_BULK[:_TURN], conversation.receive_exactly(_TURN)))


def _two_streams(subject: Subject) -> str:
    assert subject.phone is not None
    assert subject.echo_port is not None
    request = connect(subject.phone.device_id, subject.echo_port)
    with ExitStack() as stack:
        first, second = (stack.enter_context(subject.connect()) for _ in range(2))
        opened = [first.ask(request), second.ask(request)]
        first.send(_BULK[:_TURN])
        second.send(_BULK[-_TURN:])
        back = [
            _came_back(_BULK[-_TURN:], second.receive_exactly(_TURN)),
            _came_back(_BULK[:_TURN], first.receive_exactly(_TURN)),
        ]
    return then(" and ".join(opened), " and ".join(back))


STREAMS: Final = (
    with_echo("stream.plist", "Connect, then 5 bytes", _plist_echo, then(result(0), f"5 bytes {_CAME_BACK}"), _STREAM),
    with_echo(
        "stream.binary",
        "Connect in binary, then 5 bytes",
        _binary_echo,
        then(binary_result(0), f"5 bytes {_CAME_BACK}"),
        "clients of version 0, libusbmuxd after a 6 (C9)",
    ),
    with_echo(
        "stream.early-bytes",
        "Connect and 5 bytes in one write",
        lambda conversation, device_id, port: _early(conversation, connect(device_id, port), _GREETING),
        then(result(0), f"5 bytes {_CAME_BACK}"),
        _EARLY,
    ),
    with_echo(
        "stream.early-request",
        "Connect and ListDevices in one write",
        lambda conversation, device_id, port: _early(conversation, connect(device_id, port), LIST_DEVICES),
        then(result(0), f"{len(LIST_DEVICES)} bytes {_CAME_BACK}"),
        _EARLY,
    ),
    with_echo(
        "stream.binary-early-bytes",
        "Connect in binary and 5 bytes in one write",
        lambda conversation, device_id, port: _early(conversation, binary_connect(device_id, port), _GREETING),
        then(binary_result(0), f"5 bytes {_CAME_BACK}"),
        _EARLY,
    ),
    with_echo(
        "stream.request",
        "Connect, then ListDevices",
        _request_in_the_stream,
        then(result(0), f"{len(LIST_DEVICES)} bytes {_CAME_BACK}"),
        _STREAM,
    ),
    with_echo(
        "stream.bulk",
        "Connect, then 1 MiB in turns",
        _bulk,
        then(result(0), f"{len(_BULK)} bytes {_CAME_BACK}"),
        _STREAM,
    ),
    with_echo(
        "stream.after-refusal",
        "Connect to device 0, then to the phone, then 5 bytes",
        _refused_then_echo,
        then(result(2), result(0), f"5 bytes {_CAME_BACK}"),
        "pymobiledevice3, tidevice, appium go on (C3)",
    ),
    with_echo(
        "stream.half-close",
        "Connect, 32 KiB, half-close",
        _half_close,
        then(result(0), f"{_TURN} bytes {_CAME_BACK}"),
        _HALF_CLOSE,
    ),
    Case(
        "stream.two-at-once",
        "two connections to the echo, 32 KiB on each",
        (then(f"{result(0)} and {result(0)}", f"{_TURN} bytes {_CAME_BACK} and {_TURN} bytes {_CAME_BACK}"),),
        _STREAM,
        _two_streams,
        frozenset({Need.ECHO}),
    ),
)
