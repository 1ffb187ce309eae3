"""Cases about ListDevices, ListListeners and ReadBUID."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from usbmux.testing.conformance.answer import (
    BUID,
    DEVICE_LIST,
    LISTENER_LIST,
    Answer,
    Ending,
    describe,
    properties_of,
    then,
)
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.exchange import converse, exchange
from usbmux.testing.conformance.request import LIST_DEVICES, TAG, plist
from usbmux.testing.conformance.subject import Need, Subject

Properties = dict[object, object]

_LIST_LISTENERS: Final = plist("ListListeners")
_LARGEST_REPLY: Final = 128 * 1024
_AT_ONCE: Final = 20
_LOOK_AGAIN_S: Final = 0.01
_LISTENERS: Final = "usbmuxd (C21)"


def _fetch(conversation: Conversation, request: bytes) -> Answer:
    conversation.send(request)
    return conversation.next_answer()


def _entries(answer: Answer, key: str) -> Iterator[Properties]:
    entries = properties_of(answer).get(key)
    for entry in entries if isinstance(entries, list) else []:
        yield entry if isinstance(entry, dict) else {}


def _short_enough(conversation: Conversation) -> str:
    answer = _fetch(conversation, LIST_DEVICES)
    came = describe(answer, TAG)
    is_short = isinstance(answer, Ending) or len(answer.payload) < _LARGEST_REPLY
    return came if is_short else f"{came} of 128 KiB or more"


def _whole_entries(conversation: Conversation) -> str:
    answer = _fetch(conversation, LIST_DEVICES)
    flaws = [flaw for entry in _entries(answer, DEVICE_LIST) if (flaw := _flaw(entry))]
    return describe(answer, TAG) + (f" with {flaws[0]}" if flaws else "")


def _flaw(entry: Properties) -> str:
    """What is wrong with the description of a phone; nothing if it is whole."""
    properties = entry.get("Properties")
    if entry.get("MessageType") != "Attached" or not isinstance(properties, dict):
        return "an entry that is not like Attached"
    device_id, serial_number = entry.get("DeviceID"), properties.get("SerialNumber")
    if not isinstance(device_id, int) or not 0 < device_id <= 0xFFFFFFFF:
        return "an entry without DeviceID"
    if properties.get("DeviceID") != device_id:
        return "an entry with another DeviceID in its Properties"
    if not isinstance(serial_number, str) or not serial_number:
        return "an entry without SerialNumber"
    if properties.get("ConnectionType") not in ("USB", "Network"):
        return "an entry without ConnectionType"
    if properties["ConnectionType"] == "Network":
        return ""
    numbers = ("ConnectionSpeed", "LocationID", "ProductID")
    missing = [key for key in numbers if not isinstance(properties.get(key), int)]
    return f"an entry without {missing[0]}" if missing else ""


def _different_ids(conversation: Conversation) -> str:
    entries = _entries(_fetch(conversation, LIST_DEVICES), DEVICE_LIST)
    ids = [number for entry in entries if isinstance(number := entry.get("DeviceID"), int)]
    if not ids:
        return "no phones"
    return "one id for each phone" if len(ids) == len(set(ids)) else "one id for two phones"


def _same_buid_twice(subject: Subject) -> str:
    buids = []
    for _ in range(2):
        with subject.connect() as conversation:
            buids.append(properties_of(_fetch(conversation, plist("ReadBUID"))).get(BUID))
    if not isinstance(buids[0], str) or not buids[0]:
        return "no BUID"
    return "the same BUID" if buids[0] == buids[1] else "another BUID"


def _listening(stack: ExitStack, subject: Subject, program: str) -> None:
    conversation = stack.enter_context(subject.connect())
    conversation.ask(plist("Listen", ProgName=program))


def _rows(subject: Subject, program: str) -> list[Properties]:
    """What ListListeners says about the listeners of that name."""
    with subject.connect() as conversation:
        answer = _fetch(conversation, plist("ListListeners", ProgName="conform-asks"))
        return [row for row in _entries(answer, LISTENER_LIST) if row.get("ProgName") == program]


def _names_a_listener(subject: Subject) -> str:
    program = _program()
    with ExitStack() as stack:
        _listening(stack, subject, program)
        rows = _rows(subject, program)
    if len(rows) != 1:
        return f"{len(rows)} entries for it"
    types: dict[str, type] = {"Blacklisted": bool, "ConnType": int, "ID String": str, "kLibUSBMuxVersion": int}
    missing = [key for key, expected in types.items() if not isinstance(rows[0].get(key), expected)]
    return f"an entry without {missing[0]}" if missing else "an entry for it"


def _numbers_listeners(subject: Subject) -> str:
    program = _program()
    with ExitStack() as stack:
        for _ in range(2):
            _listening(stack, subject, program)
        ids = [text for row in _rows(subject, program) if isinstance(text := row.get("ID String"), str)]
    return f"{len(ids)} entries, {len(set(ids))} ids"


def _leaves_out_the_asker(conversation: Conversation) -> str:
    program = _program()
    answer = _fetch(conversation, plist("ListListeners", ProgName=program))
    named = any(row.get("ProgName") == program for row in _entries(answer, LISTENER_LIST))
    return describe(answer, TAG) + (" with the asker in it" if named else "")


def _forgets_a_listener(subject: Subject) -> str:
    program = _program()
    with ExitStack() as stack:
        _listening(stack, subject, program)
        if not _rows(subject, program):
            return "never there"
    deadline = time.monotonic() + subject.timeout_s
    while _rows(subject, program):
        if time.monotonic() > deadline:
            return "still there"
        time.sleep(_LOOK_AGAIN_S)  # nothing tells when the server has seen that it left
    return "gone"


def _many_at_once(subject: Subject) -> str:
    with ExitStack() as stack:
        conversations = [stack.enter_context(subject.connect()) for _ in range(_AT_ONCE)]
        for conversation in conversations:
            conversation.send(LIST_DEVICES)
        answers = {conversation.answer() for conversation in reversed(conversations)}
    return " and ".join(sorted(answers))


def _program() -> str:
    return f"conform-{secrets.token_hex(8)}"


DEVICES: Final = (
    converse(
        "list-devices.short",
        "ListDevices, the length of the reply",
        _short_enough,
        DEVICE_LIST,
        "frida reads 128 KiB (C6)",
    ),
    converse(
        "list-devices.entries",
        "ListDevices, the keys of each phone",
        _whole_entries,
        DEVICE_LIST,
        "libusbmuxd rejects the whole list (C29)",
        [Need.PHONE],
    ),
    converse(
        "list-devices.ids",
        "ListDevices, the ids of the phones",
        _different_ids,
        "one id for each phone",
        "every client (C29)",
        [Need.PHONE],
    ),
    Case(
        "list-devices.at-once",
        f"ListDevices on {_AT_ONCE} connections at once",
        (DEVICE_LIST,),
        "every client (C2)",
        _many_at_once,
    ),
)

LISTENERS: Final = (
    exchange("list-listeners.reply", "ListListeners", _LIST_LISTENERS, LISTENER_LIST, _LISTENERS),
    converse(
        "list-listeners.asker",
        "ListListeners from who does not listen",
        _leaves_out_the_asker,
        LISTENER_LIST,
        _LISTENERS,
    ),
    Case(
        "list-listeners.names-it",
        "ListListeners while somebody listens",
        ("an entry for it",),
        _LISTENERS,
        _names_a_listener,
    ),
    Case(
        "list-listeners.ids",
        "ListListeners while two of one name listen",
        ("2 entries, 2 ids",),
        "ours: the number is the listener's (C21)",
        _numbers_listeners,
    ),
    Case("list-listeners.gone", "ListListeners when the listener has left", ("gone",), _LISTENERS, _forgets_a_listener),
)

BUIDS: Final = (
    exchange("read-buid.bare", "ReadBUID", plist("ReadBUID"), BUID, "pymobiledevice3 asks it first of all (C22)"),
    Case(
        "read-buid.twice",
        "ReadBUID on two connections",
        ("the same BUID",),
        "clients pair under it (C22)",
        _same_buid_twice,
    ),
    converse(
        "read-buid.then-list",
        "ReadBUID, then ListDevices and ReadBUID",
        lambda conversation: then(
            conversation.ask(plist("ReadBUID")), conversation.ask(LIST_DEVICES), conversation.ask(plist("ReadBUID"))
        ),
        then(BUID, DEVICE_LIST, BUID),
        "pymobiledevice3, tidevice, appium (C2)",
    ),
)
