"""Cases about the 16-byte header: lengths, pieces, versions, message numbers and tags."""

from collections.abc import Callable
from typing import Final

from usbmux.control.frame import HEADER_LENGTH
from usbmux.testing.conformance.answer import BUID, CLOSED, DEVICE_LIST, binary_result, either_result, result, then
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.exchange import converse, exchange, sequence
from usbmux.testing.conformance.request import (
    BINARY_LISTEN,
    LIST_DEVICES,
    binary,
    frame,
    header,
    padded,
    tagged,
)

_FRAMING: Final = "usbmuxd, peers (C6)"
_VERSION: Final = "usbmuxd, usbfluxd; libusbmuxd falls back to binary on 6 (C31)"
_NUMBER: Final = "usbmuxd, peers (C31)"
_STREAM: Final = "what any client may do with a stream (C8)"
_TAG: Final = "pymobiledevice3 refuses another tag, libusbmuxd logs it (C5)"
_REUSE: Final = "go-ios, pymobiledevice3, tidevice, appium (C2)"
_PAYLOAD: Final = LIST_DEVICES[HEADER_LENGTH:]
_ROUNDS: Final = 100
_OF_SERVERS: Final = (1, 4, 5, 6)


def _in_pieces(*pieces: bytes) -> Callable[[Conversation], str]:
    def talk(conversation: Conversation) -> str:
        for piece in pieces:
            conversation.send(piece)
        return conversation.answer()

    return talk


def _then_half_close(data: bytes) -> Callable[[Conversation], str]:
    def talk(conversation: Conversation) -> str:
        conversation.send(data)
        conversation.finish_sending()
        return conversation.answer()

    return talk


def _request_then_half_close(conversation: Conversation) -> str:
    return then(_then_half_close(LIST_DEVICES)(conversation), conversation.answer())


def _two_in_one_write(conversation: Conversation) -> str:
    conversation.send(tagged("ListDevices", 1) + tagged("ReadBUID", 2))
    return then(conversation.answer(1), conversation.answer(2))


def _many_rounds(conversation: Conversation) -> str:
    for tag in range(_ROUNDS):
        if (came := conversation.ask(tagged("ListDevices", tag), tag)) != DEVICE_LIST:
            return f"{came} in round {tag}"
    return f"{DEVICE_LIST} {_ROUNDS} times"


def _tag_repeated(conversation: Conversation) -> str:
    return then(*(conversation.ask(tagged(name, 5), 5) for name in ("ListDevices", "ReadBUID", "ListDevices")))


LENGTHS: Final = (
    exchange("length.0", "a header with length 0", header(0), CLOSED, _FRAMING),
    exchange("length.15", "a header with length 15", header(15), CLOSED, _FRAMING),
    exchange(
        "length.16",
        "a property list of no bytes",
        frame(),
        (*either_result(1), result(22), CLOSED),
        "ours; servers differ (C31)",
    ),
    exchange("length.65536", "ListDevices of 65536 bytes", padded(65536), DEVICE_LIST, "usbmuxd, peers (C6)"),
    exchange("length.65537", "ListDevices of 65537 bytes", padded(65537), (CLOSED, DEVICE_LIST), "servers differ (C6)"),
    exchange("length.2-31", "a header with length 2^31", header(1 << 31), CLOSED, _FRAMING),
    exchange("length.2-32-1", "a header with length 2^32 - 1", header((1 << 32) - 1), CLOSED, _FRAMING),
)

PIECES: Final = (
    converse(
        "pieces.bytes",
        "ListDevices in writes of one byte",
        _in_pieces(*(bytes([byte]) for byte in LIST_DEVICES)),
        DEVICE_LIST,
        _STREAM,
    ),
    converse(
        "pieces.header-first",
        "header and payload in two writes",
        _in_pieces(LIST_DEVICES[:HEADER_LENGTH], _PAYLOAD),
        DEVICE_LIST,
        _STREAM,
    ),
    converse("pieces.two-in-one", "two requests in one write", _two_in_one_write, then(DEVICE_LIST, BUID), _STREAM),
    converse("pieces.nothing", "half-close, not a byte before", _then_half_close(b""), CLOSED, _STREAM),
    converse("pieces.half-header", "half of a header, half-close", _then_half_close(LIST_DEVICES[:8]), CLOSED, _STREAM),
    converse(
        "pieces.half-payload",
        "ListDevices without its end, half-close",
        _then_half_close(LIST_DEVICES[:-9]),
        CLOSED,
        _STREAM,
    ),
    converse(
        "pieces.request-then-half-close",
        "ListDevices, half-close",
        _request_then_half_close,
        then(DEVICE_LIST, CLOSED),
        "ours: a client may send no more after its request (C2)",
    ),
    converse(
        "pieces.many-rounds",
        f"{_ROUNDS} requests on one connection",
        _many_rounds,
        f"{DEVICE_LIST} {_ROUNDS} times",
        _REUSE,
    ),
)

VERSIONS: Final = (
    exchange(
        "version.0-with-plist",
        "ListDevices as property list under version 0",
        frame(_PAYLOAD, version=0),
        DEVICE_LIST,
        "usbmuxd, peers (C13)",
    ),
    exchange("version.2", "ListDevices under version 2", frame(_PAYLOAD, version=2), either_result(6), _VERSION),
    exchange(
        "version.largest",
        "ListDevices under version 2^32 - 1",
        frame(_PAYLOAD, version=0xFFFFFFFF),
        either_result(6),
        _VERSION,
    ),
    exchange("version.2-listen", "binary Listen under version 2", binary(3, version=2), either_result(6), _VERSION),
    sequence(
        "version.2-after-plist",
        "ListDevices, then the same under version 2",
        [LIST_DEVICES, frame(_PAYLOAD, version=2)],
        tuple(then(DEVICE_LIST, each) for each in either_result(6)),
        _VERSION,
    ),
    sequence(
        "version.2-then-1",
        "ListDevices under version 2, then ListDevices",
        [frame(_PAYLOAD, version=2), LIST_DEVICES],
        tuple(then(each, end) for each in either_result(6) for end in (DEVICE_LIST, CLOSED)),
        "usbmuxd (C31); ours for the close",
    ),
)

NUMBERS: Final = (
    *(
        exchange(
            f"number.{number}",
            f"binary message {number}, which {'only servers send' if number in _OF_SERVERS else 'nobody knows'}",
            binary(number, bytes(8)),
            either_result(1),
            _NUMBER,
        )
        for number in (0, *_OF_SERVERS, 7, 9, 0xFFFFFFFF)
    ),
    sequence(
        "number.7-then-request",
        "binary message 7, then ListDevices",
        [binary(7), LIST_DEVICES],
        tuple(then(each, DEVICE_LIST) for each in either_result(1)),
        _NUMBER,
    ),
)

TAGS: Final = (
    exchange(
        "tag.0", "ListDevices under tag 0", tagged("ListDevices", 0), DEVICE_LIST, "appium begins at 0 (C5)", tag=0
    ),
    exchange("tag.1", "ListDevices under tag 1", tagged("ListDevices", 1), DEVICE_LIST, _TAG, tag=1),
    exchange(
        "tag.largest",
        "ListDevices under tag 2^32 - 1",
        tagged("ListDevices", 0xFFFFFFFF),
        DEVICE_LIST,
        _TAG,
        tag=0xFFFFFFFF,
    ),
    converse(
        "tag.repeated",
        "three requests under tag 5",
        _tag_repeated,
        then(DEVICE_LIST, BUID, DEVICE_LIST),
        "clients that do not count (C5)",
    ),
    exchange("tag.binary", "binary Listen under a large tag", BINARY_LISTEN, binary_result(0), _TAG),
    exchange("tag.refused", "an unknown MessageType under tag 0", tagged("Nonsense", 0), result(1), _TAG, tag=0),
)
