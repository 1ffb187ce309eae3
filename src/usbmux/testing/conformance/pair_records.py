"""Cases about pair records. What they save has a made-up id, and is deleted again."""

import errno
import plistlib
import secrets
from collections.abc import Callable
from typing import Final

from usbmux.control import property_list
from usbmux.errors import RemoteProtocolError
from usbmux.testing.conformance.answer import CLOSED, PAIR_RECORD, describe, properties_of, result, then
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.exchange import exchange
from usbmux.testing.conformance.request import ABSENT_DEVICE, TAG, binary_plist, plist
from usbmux.testing.conformance.subject import Need, Subject

_NONE: Final = result(errno.ENOENT)
_INVALID: Final = result(errno.EINVAL)
_TOO_LONG: Final = (result(36), result(63))
"""ENAMETOOLONG on Linux and on macOS, wherever we run ourselves."""
_OK: Final = result(0)
_SAME: Final = "the same record"
_BAD_ID: Final = (_INVALID, _NONE)
_NUMBERS: Final = "usbmuxd, usbmuxd2, rusbmux (C27)"
_PATH: Final = "ours: an id names a phone, not a file (C27)"
_KEPT: Final = "every client that pairs (C24)"
_NEVER_PAIRED: Final = "c0" * 20
_RECORD: Final = {"HostID": "usbmux-conform", "SystemBUID": "usbmux-conform", "HostCertificate": b"conform" * 100}
_DATA: Final = plistlib.dumps(_RECORD)
_LARGE_DATA: Final = plistlib.dumps({**_RECORD, "HostCertificate": bytes(range(256)) * 100})


def _forget(subject: Subject, record_id: str) -> None:
    """Delete what a case may have saved, on connections of their own: the case may have lost its own."""
    for each in (record_id, f"./{record_id}"):
        with subject.connect() as conversation:
            conversation.ask(plist("DeletePairRecord", PairRecordID=each))


def _made_up_id() -> str:
    """Forty hexadecimal digits, as the ids of older phones."""
    return secrets.token_hex(20)


def _read(name: str, stimulus: str, record_id: object, expected: str | tuple[str, ...], source: str = _PATH) -> Case:
    data = plist("ReadPairRecord", PairRecordID=record_id)
    return exchange(f"read-pair-record.{name}", f"ReadPairRecord {stimulus}", data, expected, source)


def _save(record_id: str, data: object = _DATA, **keys: object) -> bytes:
    return plist("SavePairRecord", PairRecordID=record_id, PairRecordData=data, **keys)


def _reads(conversation: Conversation, record_id: str, data: bytes = _DATA) -> str:
    """What a read gives; servers may write the property list anew."""
    conversation.send(plist("ReadPairRecord", PairRecordID=record_id))
    answer = conversation.next_answer()
    came = describe(answer, TAG)
    record = properties_of(answer).get(PAIR_RECORD)
    if came != PAIR_RECORD or not isinstance(record, bytes):
        return came
    try:
        is_same = property_list.load(record) == property_list.load(data)
    except RemoteProtocolError:
        is_same = False
    return _SAME if is_same else "another record"


def _deletes(conversation: Conversation, record_id: str) -> str:
    return conversation.ask(plist("DeletePairRecord", PairRecordID=record_id))


def _kept(conversation: Conversation, record_id: str) -> str:
    return then(
        conversation.ask(_save(record_id)),
        _reads(conversation, record_id),
        _deletes(conversation, record_id),
        _reads(conversation, record_id),
    )


def _replaced(conversation: Conversation, record_id: str) -> str:
    saved = [conversation.ask(_save(record_id, data)) for data in (_LARGE_DATA, _DATA)]
    return then(*saved, _reads(conversation, record_id))


def _large(conversation: Conversation, record_id: str) -> str:
    return then(conversation.ask(_save(record_id, _LARGE_DATA)), _reads(conversation, record_id, _LARGE_DATA))


def _device_absent(conversation: Conversation, record_id: str) -> str:
    saved = conversation.ask(_save(record_id, DeviceID=ABSENT_DEVICE))
    return then(saved, _reads(conversation, record_id))


def _saved_by_path(conversation: Conversation, record_id: str) -> str:
    return then(conversation.ask(_save(f"./{record_id}")), _reads(conversation, record_id))


def _read_by_path(conversation: Conversation, record_id: str) -> str:
    return then(conversation.ask(_save(record_id)), _reads(conversation, f"./{record_id}"))


def _deleted_by_path(conversation: Conversation, record_id: str) -> str:
    saved = conversation.ask(_save(record_id))
    return then(saved, _deletes(conversation, f"./{record_id}"), _reads(conversation, record_id))


def _without(key: str) -> Callable[[Conversation, str], str]:
    def talk(conversation: Conversation, record_id: str) -> str:
        keys: dict[str, object] = {"PairRecordID": record_id, "PairRecordData": _DATA}
        del keys[key]
        return conversation.ask(plist("SavePairRecord", **keys))

    return talk


def _saving(
    name: str,
    stimulus: str,
    talk: Callable[[Conversation, str], str],
    expected: tuple[str, ...],
    source: str = _KEPT,
) -> Case:
    def observe(subject: Subject) -> str:
        record_id = _made_up_id()
        try:
            with subject.connect() as conversation:
                return talk(conversation, record_id)
        finally:
            _forget(subject, record_id)

    return Case(name, stimulus, expected, source, observe, frozenset({Need.WRITES}))


READING: Final = (
    _read("absent", "of a phone that was never paired", _NEVER_PAIRED, _NONE, _NUMBERS),
    exchange(
        "read-pair-record.no-id", "ReadPairRecord without PairRecordID", plist("ReadPairRecord"), _INVALID, _NUMBERS
    ),
    _read("id-a-number", "with a number for the id", 5, _INVALID, _NUMBERS),
    _read("id-data", "with data for the id", b"abc", _INVALID, _NUMBERS),
    _read("id-empty", "with an id without a character", "", _BAD_ID, _NUMBERS),
    _read("id-long", "with an id of 1000 characters", "a" * 1000, (*_BAD_ID, *_TOO_LONG), _NUMBERS),
    _read("id-very-long", "with an id of 60000 characters", "a" * 60000, (*_BAD_ID, *_TOO_LONG), _NUMBERS),
    _read("id-not-ascii", "with the id ü/ß", "ü/ß", _BAD_ID),
    _read("id-dots", "with the id ..", "..", _BAD_ID),
    _read("id-absolute", "with an absolute path", "/etc/passwd", _BAD_ID),
    _read("id-outside", "with a path that leads out of the directory", "../../etc/passwd", _BAD_ID),
    _read("id-below", "with a path that leads below the directory", "a/b", _BAD_ID),
    _read("id-backslash", "with a backslash in the id", "..\\a", _BAD_ID),
    _read("id-system-file", "with the name of the file that holds the BUID", "SystemConfiguration", _BAD_ID),
    _read("id-system-path", "with ./ before that name", "./SystemConfiguration", _BAD_ID),
    _read("id-around", "with ../lockdown/ before that name", "../lockdown/SystemConfiguration", _BAD_ID),
    exchange(
        "read-pair-record.id-nul",
        "ReadPairRecord with a NUL in the id, as binary property list",
        binary_plist("ReadPairRecord", PairRecordID="SystemConfiguration\0a"),
        (*_BAD_ID, result(1), CLOSED),
        _PATH,
    ),
    _saving(
        "read-pair-record.id-path",
        "save, read with ./ before the id",
        _read_by_path,
        tuple(then(_OK, each) for each in _BAD_ID),
        _PATH,
    ),
)

SAVING: Final = (
    _saving(
        "save-pair-record.kept",
        "save, read, delete, read",
        _kept,
        (then(_OK, _SAME, _OK, _NONE),),
    ),
    _saving("save-pair-record.replaced", "save, save another, read", _replaced, (then(_OK, _OK, _SAME),)),
    _saving("save-pair-record.large", "save and read 26 KB", _large, (then(_OK, _SAME),)),
    _saving(
        "save-pair-record.device-absent",
        "save with the DeviceID of no phone, read",
        _device_absent,
        (then(_OK, _SAME),),
        "usbmuxd (C24)",
    ),
    _saving(
        "save-pair-record.no-id",
        "SavePairRecord without PairRecordID",
        _without("PairRecordID"),
        (_INVALID,),
        _NUMBERS,
    ),
    _saving(
        "save-pair-record.no-data",
        "SavePairRecord without PairRecordData",
        _without("PairRecordData"),
        (_INVALID,),
        _NUMBERS,
    ),
    _saving(
        "save-pair-record.data-empty",
        "SavePairRecord with data of no bytes",
        lambda conversation, record_id: conversation.ask(_save(record_id, b"")),
        (_INVALID, _OK),
        "servers differ (C31)",
    ),
    _saving(
        "save-pair-record.data-text",
        "SavePairRecord with text for the data",
        lambda conversation, record_id: conversation.ask(_save(record_id, "record")),
        (_INVALID,),
        _NUMBERS,
    ),
    _saving(
        "save-pair-record.id-path",
        "save with ./ before the id, read without",
        _saved_by_path,
        tuple(then(each, _NONE) for each in _BAD_ID),
        _PATH,
    ),
)

DELETING: Final = (
    exchange(
        "delete-pair-record.absent",
        "DeletePairRecord of a phone that was never paired",
        plist("DeletePairRecord", PairRecordID=_NEVER_PAIRED),
        (_NONE, _OK),
        "servers differ (C25)",
    ),
    exchange(
        "delete-pair-record.no-id",
        "DeletePairRecord without PairRecordID",
        plist("DeletePairRecord"),
        _INVALID,
        _NUMBERS,
    ),
    exchange(
        "delete-pair-record.id-a-number",
        "DeletePairRecord with a number for the id",
        plist("DeletePairRecord", PairRecordID=5),
        _INVALID,
        _NUMBERS,
    ),
    _saving(
        "delete-pair-record.twice",
        "save, delete, delete",
        lambda conversation, record_id: then(
            conversation.ask(_save(record_id)), _deletes(conversation, record_id), _deletes(conversation, record_id)
        ),
        (then(_OK, _OK, _NONE), then(_OK, _OK, _OK)),
        "servers differ for the second (C25)",
    ),
    _saving(
        "delete-pair-record.id-path",
        "save, delete with ./ before the id, read",
        _deleted_by_path,
        tuple(then(_OK, each, _SAME) for each in _BAD_ID),
        _PATH,
    ),
)
