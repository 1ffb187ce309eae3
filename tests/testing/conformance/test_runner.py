"""Servers that do wrong are found out."""

from __future__ import annotations

import plistlib
import random
import re
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.conformance.scripted_server import ScriptedServer, name_of, reply, result
from usbmux.client.device import Device
from usbmux.control import property_list
from usbmux.control.address import UnixAddress
from usbmux.control.frame import Frame
from usbmux.errors import DaemonUnavailableError, DeviceNotFoundError
from usbmux.testing.conformance import CASES, Case, Need, Subject, Verdict, run, run_case
from usbmux.testing.conformance.request import TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SILENCE_S = 0.2
PATIENCE_S = 30.0
"""For answers that come."""
ECHO = 7
PHONE = Device(1, "A" * 24)
RECORD = plistlib.dumps({"HostID": "another"})
NAMELESS = {"DeviceID": 1, "ConnectionType": "USB"}
ENTRY = {"MessageType": "Attached", "DeviceID": 1, "Properties": NAMELESS}
LISTED = {**ENTRY, "Properties": {**NAMELESS, "SerialNumber": PHONE.udid}}
OTHER = {**ENTRY, "DeviceID": 2, "Properties": {**NAMELESS, "SerialNumber": "B" * 24}}


def case_named(name: str) -> Case:
    (case,) = (case for case in CASES if case.name == name)
    return case


def apply(server: ScriptedServer, name: str, *, timeout_s: float = PATIENCE_S) -> tuple[Verdict, str]:
    found = run_case(Subject(server.address, PHONE, ECHO, timeout_s=timeout_s), case_named(name))
    return found.verdict, found.came


def listing(*entries: object) -> Callable[[Frame], bytes]:
    return lambda frame: reply(frame.tag, {"DeviceList": list(entries)})


def binary_plist_reply(frame: Frame) -> bytes:
    return Frame(1, 8, frame.tag, plistlib.dumps({"DeviceList": []}, fmt=plistlib.FMT_BINARY)).encode()


def one_result(number: int) -> Callable[[Frame], bytes]:
    return lambda frame: result(frame.tag, number)


def buids() -> Callable[[Frame], bytes]:
    numbers = count()
    return lambda frame: reply(frame.tag, {"BUID": f"buid-{next(numbers)}"})


def listens_without_phones(frame: Frame) -> bytes:
    return result(frame.tag, 0) if name_of(frame) == "Listen" else listing(LISTED)(frame)


def tells_of_phones_under_a_tag(frame: Frame) -> bytes:
    if name_of(frame) == "Listen":
        return result(frame.tag, 0) + reply(frame.tag, LISTED)
    return listing(LISTED)(frame)


def keeps_another_record(frame: Frame) -> bytes:
    return reply(frame.tag, {"PairRecordData": RECORD}) if name_of(frame) == "ReadPairRecord" else result(frame.tag, 0)


WRONG = [
    ("tag.1", lambda frame: reply(2, {"DeviceList": []}), "DeviceList under tag 0x2 instead of 0x1"),
    ("plist.bare", binary_plist_reply, "DeviceList in a binary property list"),
    ("plist.bare", lambda frame: reply(frame.tag, {"Devices": []}), "a dictionary of Devices"),
    ("plist.bare", lambda frame: Frame(1, 8, frame.tag, b"?").encode(), "not a property list"),
    ("plist.bare", lambda frame: Frame(0, 9, frame.tag, b"?").encode(), "version 0 message 9 with 1 bytes"),
    ("plist.bare", lambda frame: b"\3\0\0\0" + bytes(12), "frame with impossible length 3"),
    ("plist.bare", lambda frame: None, "closed"),
    ("plist.message-type-unknown", one_result(5), "Result 5"),
    ("version.2", one_result(1), "Result 1"),
    ("read-buid.twice", buids(), "another BUID"),
    ("list-devices.entries", listing(ENTRY), "DeviceList with an entry without SerialNumber"),
    ("list-devices.ids", listing(LISTED, LISTED), "one id for two phones"),
    ("list-devices.short", listing({"x": "x" * 140000}), "DeviceList of 128 KiB or more"),
    ("listen.phones", tells_of_phones_under_a_tag, f"Result 0, then Attached under tag {TAG:#x} instead of 0x0"),
    ("listen.twice", one_result(0), "Result 0"),
    ("connect.refused", one_result(0), "Result 0"),
    ("connect.device-absent", one_result(3), "Result 3"),
    ("stream.plist", lambda frame: result(frame.tag, 0) + b"other", "Result 0, then other bytes came"),
    (
        "save-pair-record.kept",
        keeps_another_record,
        "Result 0, then another record, then Result 0, then another record",
    ),
    ("read-pair-record.id-system-file", keeps_another_record, "PairRecordData"),
]


@pytest.mark.parametrize(("name", "answer", "came"), WRONG, ids=[name for name, _, _ in WRONG])
def test_server_wrong_is_found_out(
    tmp_path: Path, name: str, answer: Callable[[Frame], bytes | None], came: str
) -> None:
    with ScriptedServer(tmp_path, answer) as server:
        assert apply(server, name) == (Verdict.DEVIATES, came)


def test_server_silent_is_no_answer(tmp_path: Path) -> None:
    with ScriptedServer(tmp_path, lambda frame: b"") as server:
        assert apply(server, "plist.garbage", timeout_s=SILENCE_S) == (Verdict.NO_ANSWER, "no answer")


def test_server_listens_and_tells_of_no_phone_is_no_answer(tmp_path: Path) -> None:
    subject = Subject(UnixAddress(str(tmp_path / "scripted")), PHONE, timeout_s=SILENCE_S)
    with ScriptedServer(tmp_path, listens_without_phones):
        found = run_case(subject, case_named("listen.phones"))
    assert found.verdict is Verdict.NO_ANSWER


@pytest.mark.slow
def test_server_never_answers_no_case_conforms_but_those_that_end_without_a_request(tmp_path: Path) -> None:
    with ScriptedServer(tmp_path, lambda frame: b"") as server:
        results = list(run(Subject(server.address, PHONE, ECHO, timeout_s=0.01)))
    conforming = {found.case.name.split(".")[0] for found in results if found.verdict is Verdict.CONFORMS}
    assert conforming <= {"length", "pieces"}


def test_server_says_something_else_to_everything_no_case_conforms(tmp_path: Path) -> None:
    with ScriptedServer(tmp_path, one_result(99), greeting=result(TAG, 99)) as server:
        results = list(run(Subject(server.address, PHONE, ECHO, timeout_s=SILENCE_S)))
    assert len(results) == len(CASES)
    assert [found.case.name for found in results if found.verdict is Verdict.CONFORMS] == []


def nonsense() -> Iterator[bytes]:
    """Replies to anything, of which none is one."""
    numbers = random.Random(5)
    yield b""
    for version, message_type in ((0, 1), (0, 4), (0, 6), (1, 8), (7, 7)):
        yield Frame(version, message_type, TAG, b"").encode()
        yield Frame(version, message_type, TAG, numbers.randbytes(300)).encode()
    values: list[object] = [[], {}, 1 << 60, "text", b"data", True, [[]], [{}], [{"Properties": {}}]]
    for value in values:
        for key in ("DeviceList", "ListenerList", "BUID", "PairRecordData", "MessageType", "Number"):
            yield reply(TAG, {key: value})
            yield reply(TAG, {"MessageType": "Attached", "DeviceID": value, "Properties": value, key: value})


@pytest.mark.slow
def test_server_answers_nonsense_and_hangs_up_nothing_is_raised(tmp_path: Path) -> None:
    cases = [case for case in CASES if case.name.split(".")[0] in ("list-devices", "list-listeners", "listen")]
    with ScriptedServer(tmp_path, lambda frame: None) as server:
        for server.greeting in nonsense():
            results = list(run(Subject(server.address, PHONE, ECHO, timeout_s=SILENCE_S), cases))
            assert len(results) == len(cases)


def test_server_falls_over_the_case_is_blamed(tmp_path: Path) -> None:
    def fall_over(frame: Frame) -> None:
        server.vanish()

    with ScriptedServer(tmp_path, fall_over) as server:
        assert apply(server, "plist.garbage") == (Verdict.DEVIATES, "closed, and the server is gone")
        verdict, came = apply(server, "plist.bare")
    assert verdict is Verdict.NO_ANSWER
    assert came.startswith("no usbmux daemon at")


@pytest.mark.parametrize(
    ("subject", "skipped"),
    [
        ({"phone": None, "echo_port": ECHO}, {Need.PHONE, Need.ECHO, Need.UNEVEN_ECHO}),
        ({"phone": PHONE}, {Need.ECHO, Need.UNEVEN_ECHO}),
        ({"phone": PHONE, "echo_port": 0x0707}, {Need.UNEVEN_ECHO}),
        ({"phone": PHONE, "echo_port": ECHO, "may_write": False}, {Need.WRITES}),
    ],
)
def test_server_lacks_something_cases_that_need_it_are_skipped(
    tmp_path: Path, subject: dict[str, Any], skipped: set[Need]
) -> None:
    with ScriptedServer(tmp_path, lambda frame: None) as server:
        results = list(run(Subject(server.address, timeout_s=SILENCE_S, **subject)))
    for found in results:
        assert (found.verdict is Verdict.SKIPPED) == bool(found.case.needs & skipped), found
    assert {found.came for found in results if found.verdict is Verdict.SKIPPED} == {
        f"needs {need.value}" for need in skipped
    }


def test_read_only_sends_no_request_that_saves(tmp_path: Path) -> None:
    saved = []

    def answer(frame: Frame) -> None:
        if b"SavePairRecord" in frame.payload:
            saved.append(frame)

    with ScriptedServer(tmp_path, answer) as server:
        list(run(Subject(server.address, PHONE, ECHO, may_write=False, timeout_s=SILENCE_S)))
    assert saved == []


def test_saving_ids_are_made_up_and_deleted_in_the_end(tmp_path: Path) -> None:
    log: list[tuple[str, str]] = []

    def answer(frame: Frame) -> bytes:
        log.append((name_of(frame), str(property_list.load(frame.payload).get("PairRecordID"))))
        return result(frame.tag, 0)

    with ScriptedServer(tmp_path, answer) as server:
        list(run(Subject(server.address, timeout_s=PATIENCE_S), [case for case in CASES if Need.WRITES in case.needs]))
    saved = {record_id for name, record_id in log if name == "SavePairRecord"} - {"None"}
    assert saved
    for record_id in saved:
        assert re.fullmatch(r"(\./)?[0-9a-f]{40}", record_id)
        last = max(at for at, (_, each) in enumerate(log) if each == record_id)
        assert log[last][0] == "DeletePairRecord"


def test_find_nobody_serves_is_raised(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnavailableError):
        Subject.find(UnixAddress(str(tmp_path / "missing")))


def test_find_phone_named_is_taken_and_unknown_is_raised(tmp_path: Path) -> None:
    with ScriptedServer(tmp_path, listing(LISTED)) as server:
        found = Subject.find(server.address, udid=PHONE.udid, timeout_s=PATIENCE_S)
        assert found.phone is not None
        assert found.phone.device_id == PHONE.device_id
        with pytest.raises(DeviceNotFoundError):
            Subject.find(server.address, udid="B" * 24, timeout_s=PATIENCE_S)


@pytest.mark.parametrize("answer", [listing(), listing(LISTED, OTHER), one_result(1), lambda frame: None])
def test_find_no_phone_can_be_chosen_there_is_none(tmp_path: Path, answer: Callable[[Frame], bytes | None]) -> None:
    with ScriptedServer(tmp_path, answer) as server:
        assert Subject.find(server.address, timeout_s=PATIENCE_S).phone is None
