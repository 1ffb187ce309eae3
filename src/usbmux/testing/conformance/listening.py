"""Cases about Listen: its answer, the phones behind it, and what a listener may not do."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from usbmux.client.device import Device
from usbmux.control import binary_codec
from usbmux.control.frame import MessageType
from usbmux.control.message import Attached, clean_text
from usbmux.errors import RemoteProtocolError
from usbmux.testing.conformance.answer import (
    CLOSED,
    DEVICE_LIST,
    NO_ANSWER,
    Ending,
    binary_result,
    describe,
    either_result,
    properties_of,
    result,
    then,
)
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.conversation import MOST_NOTIFICATIONS, Conversation
from usbmux.testing.conformance.exchange import converse, exchange, sequence, with_phone
from usbmux.testing.conformance.request import (
    BINARY_LISTEN,
    IDENTITY,
    LIST_DEVICES,
    LISTEN,
    TAG,
    binary,
    binary_connect,
    connect,
    header,
    plist,
)
from usbmux.testing.conformance.subject import Need, Subject

_LISTEN: Final = "every client that watches (C18)"
_PHONES: Final = "every client that watches (C28)"
_BINARY: Final = "clients of version 0, libusbmuxd after a 6 (C9)"
_NO_COMMANDS: Final = (result(1), CLOSED)
_OVER: Final = "usbmuxd, usbfluxd: the connection carries notifications now (C31)"
_NOT_LISTENING: Final = "not listening"
_AT_ONCE: Final = 20
_NO_DEVICE: Final = 0xFFFFFFFF


def _listening(stimulus: bytes) -> Callable[[Conversation], str]:
    """What comes behind Listen and then the stimulus, notifications left out."""

    def talk(conversation: Conversation) -> str:
        if (came := conversation.ask(LISTEN)) != result(0):
            return then(came, _NOT_LISTENING)
        conversation.send(stimulus)
        return conversation.answer_past_notifications()

    return talk


def _half_close(conversation: Conversation) -> str:
    if (came := conversation.ask(LISTEN)) != result(0):
        return then(came, _NOT_LISTENING)
    conversation.finish_sending()
    return conversation.answer_past_notifications()


def _phone_name(entry: object) -> str:
    """Device id and serial number of an Attached dictionary."""
    match entry:
        case {
            "MessageType": "Attached",
            "DeviceID": int(device_id),
            "Properties": {"SerialNumber": str(serial_number)},
        }:
            return f"{device_id:#x} {clean_text(serial_number)}"
        case _:
            return "what is no phone"


def _phones_behind_the_result(subject: Subject) -> str:
    with subject.connect() as conversation:
        conversation.send(LIST_DEVICES)
        listed = properties_of(conversation.next_answer()).get(DEVICE_LIST)
    names = sorted(_phone_name(entry) for entry in (listed if isinstance(listed, list) else []))
    with subject.connect() as conversation:
        came = conversation.ask(LISTEN)
        attached = []
        for _ in names:
            answer = conversation.next_answer()
            if (word := describe(answer, 0)) != "Attached":
                return then(came, word)
            attached.append(_phone_name(properties_of(answer)))
    return then(came, "Attached for each" if sorted(attached) == names else f"Attached for {' and '.join(attached)}")


def _phone_in_the_same_read(conversation: Conversation, _phone: Device) -> str:
    conversation.send(plist("Listen", **IDENTITY))
    first, *others = conversation.answers_of_one_read() or [Ending.SILENT]
    return " and ".join([describe(first, TAG), *({describe(each, 0) for each in others[:1]})])


def _binary_phones(conversation: Conversation, phone: Device) -> str:
    came = conversation.ask(BINARY_LISTEN)
    for _ in range(MOST_NOTIFICATIONS):
        answer = conversation.next_answer()
        if isinstance(answer, Ending) or answer.version or answer.message_type != MessageType.ATTACHED or answer.tag:
            return then(came, describe(answer, 0))
        try:
            message = binary_codec.decode_reply(answer.message_type, answer.payload)
        except RemoteProtocolError as error:
            return then(came, str(error))
        if isinstance(message, Attached) and message.device.serial_number == phone.udid:
            is_same = message.device.device_id == phone.device_id
            return then(came, "binary Attached with id and serial number" if is_same else "another device id")
    return then(came, "other phones only")


def _many_listeners(subject: Subject) -> str:
    with ExitStack() as stack:
        conversations = [stack.enter_context(subject.connect()) for _ in range(_AT_ONCE)]
        return " and ".join(sorted({conversation.ask(LISTEN) for conversation in conversations}))


ANSWERS: Final = (
    exchange("listen.plist", "Listen", LISTEN, result(0), _LISTEN),
    exchange(
        "listen.identity",
        "Listen with all that clients say of themselves",
        plist("Listen", **IDENTITY),
        result(0),
        _LISTEN,
    ),
    exchange("listen.binary", "Listen in binary", BINARY_LISTEN, binary_result(0), _BINARY),
    exchange(
        "listen.binary-with-payload",
        "Listen in binary, 8 bytes behind it",
        binary(MessageType.LISTEN, bytes(8)),
        binary_result(0),
        "usbmuxd (C10)",
    ),
    exchange(
        "listen.binary-under-version-1",
        "Listen in binary under version 1",
        binary(MessageType.LISTEN, version=1),
        either_result(0),
        "usbmuxd (C13)",
    ),
    sequence(
        "listen.binary-after-plist",
        "ListDevices, then Listen in binary",
        [LIST_DEVICES, BINARY_LISTEN],
        tuple(then(DEVICE_LIST, each) for each in either_result(0)),
        "no client mixes them (C13)",
    ),
    Case(
        "listen.at-once",
        f"Listen on {_AT_ONCE} connections",
        (result(0),),
        _LISTEN,
        _many_listeners,
    ),
)

PHONES: Final = (
    Case(
        "listen.phones",
        "Listen while phones are attached",
        (then(result(0), "Attached for each"),),
        _PHONES,
        _phones_behind_the_result,
        frozenset({Need.PHONE}),
    ),
    with_phone(
        "listen.phones-at-once",
        "Listen while a phone is attached, the first read",
        _phone_in_the_same_read,
        f"{result(0)} and Attached",
        "usbmux-client waits 10 ms (C28)",
    ),
    with_phone(
        "listen.binary-phones",
        "Listen in binary while a phone is attached",
        _binary_phones,
        then(binary_result(0), "binary Attached with id and serial number"),
        _BINARY,
    ),
)

LISTENING: Final = (
    converse("listen.twice", "Listen while listening", _listening(LISTEN), _NO_COMMANDS, _OVER),
    converse("listen.then-list", "ListDevices while listening", _listening(LIST_DEVICES), _NO_COMMANDS, _OVER),
    converse(
        "listen.then-garbage",
        "an unknown message while listening",
        _listening(binary(7)),
        (*either_result(1), CLOSED),
        _OVER,
    ),
    converse(
        "listen.then-connect",
        f"Connect to device {_NO_DEVICE:#x}, port 0, while listening",
        _listening(connect(_NO_DEVICE, 0)),
        (result(1), result(2), result(3), CLOSED, NO_ANSWER),
        "frida sends it and takes any of these (C31)",
    ),
    converse(
        "listen.then-binary-connect",
        f"Connect in binary to device {_NO_DEVICE:#x} while listening",
        _listening(binary_connect(_NO_DEVICE, 0)),
        (*either_result(1), *either_result(2), CLOSED),
        _OVER,
    ),
    converse("listen.then-length-0", "a header with length 0 while listening", _listening(header(0)), CLOSED, _OVER),
    converse(
        "listen.then-half-close",
        "half-close while listening",
        _half_close,
        (CLOSED, NO_ANSWER),
        "no client notices (C28)",
    ),
)
