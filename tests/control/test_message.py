import pytest

from usbmux.control.message import (
    Buid,
    ClientIdentity,
    Connect,
    DeletePairRecord,
    DeviceList,
    ListDevices,
    Listen,
    ListenerList,
    ListListeners,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    SavePairRecord,
    clean_text,
    is_answer,
    normalized_udid,
)

REPLIES: tuple[Reply, ...] = (Result(0), DeviceList(()), ListenerList(()), Buid("b"), PairRecord(b"r"))
ANSWERS: list[tuple[Request, set[type[Reply]]]] = [
    (Listen(), {Result}),
    (Connect(1, 22), {Result}),
    (ListDevices(), {Result, DeviceList}),
    (ListListeners(), {Result, ListenerList}),
    (ReadBuid(), {Result, Buid}),
    (ReadPairRecord("id"), {Result, PairRecord}),
    (SavePairRecord("id", b"r"), {Result}),
    (DeletePairRecord("id"), {Result}),
]


@pytest.mark.parametrize(("request_", "answers"), ANSWERS)
def test_request_each_reply_answers_or_not(request_: Request, answers: set[type[Reply]]) -> None:
    assert {type(reply) for reply in REPLIES if is_answer(reply, request_)} == answers


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("iproxy 2.0", "iproxy 2.0"),
        ("", ""),
        ("Ünïcödé 电话", "Ünïcödé 电话"),
        ("a\x00b\x1b[2Jc\nd\x7f", "a?b?[2Jc?d?"),
        ("\ud800\ufffe\u202e\u2028", "????"),
        ("x" * 255, "x" * 255),
        ("x" * 100_000, "x" * 255),
        ("\n" * 300, "?" * 255),
    ],
)
def test_text_cleaned_printable_and_bounded(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_identity_of_silent_client_empty() -> None:
    assert ClientIdentity() == ClientIdentity("", "", "", None, None, None)


@pytest.mark.parametrize("message", [SavePairRecord("id", b"PRIVATE KEY", 5), PairRecord(b"PRIVATE KEY")])
def test_message_with_private_keys_printed_without_them(message: SavePairRecord | PairRecord) -> None:
    assert "PRIVATE" not in repr(message)


def test_udid_in_any_spelling_is_one_udid() -> None:
    spellings = ("00008030-001A2B3C4D5E6F01", "00008030001A2B3C4D5E6F01", "00008030-001a2b3c4d5e6f01")
    assert {normalized_udid(udid) for udid in spellings} == {"00008030001a2b3c4d5e6f01"}
