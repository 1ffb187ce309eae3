"""What is said to lockdown, as scripts of requests and replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.lockdown.records import record_for
from usbmux.errors import (
    LockdownError,
    NotPairedError,
    PhoneLockedError,
    RemoteProtocolError,
    TrustDeniedError,
    TrustPendingError,
)
from usbmux.lockdown import operations
from usbmux.lockdown.operations import PAIR_NOTIFICATIONS, BeginTls, Operation, Receive, Send, ServicePort, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

RECORD = record_for()


def play(operation: Operation[T], *replies: Mapping[str, object]) -> tuple[list[Step], T]:
    """Every step and the result, if the phone answers that; all replies are used."""
    left, steps = list(replies), []
    try:
        step = next(operation)
        while True:
            steps.append(step)
            answer = left.pop(0) if isinstance(step, Receive) else {}
            step = operation.send({key: value for key, value in answer.items()})  # whose keys may be anything
    except StopIteration as finished:
        assert not left
        result: T = finished.value
        return steps, result


def sent(operation: Operation[T], *replies: Mapping[str, object]) -> Mapping[str, object]:
    """The one request, without what is the same in all."""
    steps, _ = play(operation, *replies)
    requests = [step.properties for step in steps if isinstance(step, Send)]
    assert len(requests) == 1
    assert requests[0]["Label"] == "usbmux"
    return {key: value for key, value in requests[0].items() if key != "Label"}


def result(operation: Operation[T], *replies: Mapping[str, object]) -> T:
    return play(operation, *replies)[1]


def test_query_type_returns_the_type() -> None:
    assert result(operations.query_type(), {"Request": "QueryType", "Type": "x"}) == "x"


def test_value_is_asked_for_with_its_domain_only_if_there_is_one() -> None:
    reply = {"Request": "GetValue", "Value": 5}
    assert sent(operations.value("K", None), reply) == {"Request": "GetValue", "Key": "K"}
    assert sent(operations.value("K", "D"), reply) == {"Request": "GetValue", "Key": "K", "Domain": "D"}
    assert result(operations.value("K", None), reply) == 5


def test_values_of_a_domain_without_any_are_none() -> None:
    assert sent(operations.values("D"), {"Request": "GetValue"}) == {"Request": "GetValue", "Domain": "D"}
    assert result(operations.values(None), {"Request": "GetValue"}) == {}
    assert result(operations.values(None), {"Request": "GetValue", "Value": {"a": 1}}) == {"a": 1}


def test_value_that_is_missing_in_a_good_reply_is_missing() -> None:
    with pytest.raises(LockdownError) as caught:
        play(operations.value("K", None), {"Request": "GetValue"})
    assert caught.value.error == "MissingValue"


def test_values_are_set_and_removed() -> None:
    assert sent(operations.set_value("K", 1, "D"), {"Request": "SetValue"}) == {
        "Request": "SetValue",
        "Key": "K",
        "Value": 1,
        "Domain": "D",
    }
    assert sent(operations.remove_value("K", None), {"Request": "RemoveValue"}) == {
        "Request": "RemoveValue",
        "Key": "K",
    }


@pytest.mark.parametrize(
    ("second", "address"),
    [({"Value": "aa:bb"}, "aa:bb"), ({"Value": 5}, None), ({"Error": "MissingValue"}, None)],
)
def test_public_key_comes_with_the_address_if_there_is_one(second: dict[str, object], address: str | None) -> None:
    first: dict[str, object] = {"Request": "GetValue", "Value": b"key"}
    assert result(operations.public_key(), first, {"Request": "GetValue", **second}) == (b"key", address)


def test_public_key_that_is_no_data_is_the_phones_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="DevicePublicKey"):
        play(operations.public_key(), {"Request": "GetValue", "Value": "text"})


def test_pair_keeps_what_the_phone_gives_and_sends_no_secret() -> None:
    reply = {"Request": "Pair", "EscrowBag": b"bag"}
    assert sent(operations.pair(RECORD), reply) == {
        "Request": "Pair",
        "PairRecord": RECORD.for_phone(),
        "ProtocolVersion": "2",
        "PairingOptions": {"ExtendedPairingErrors": True},
    }
    paired = result(operations.pair(RECORD), reply)
    assert (paired.escrow_bag, paired.host_id) == (b"bag", RECORD.host_id)
    assert result(operations.pair(RECORD), {"Request": "Pair"}) == RECORD


def test_unpair_is_answered_by_any_name() -> None:
    request = sent(operations.unpair(RECORD), {"Request": "Pair"})
    assert request == {"Request": "Unpair", "PairRecord": RECORD.for_phone(), "ProtocolVersion": "2"}


def test_session_begins_tls() -> None:
    reply = {"Request": "StartSession", "SessionID": "S", "EnableSessionSSL": True}
    steps, _ = play(operations.start_session(RECORD), reply)
    assert steps[-1] == BeginTls(RECORD)
    request = sent(operations.start_session(RECORD), reply)
    assert request == {"Request": "StartSession", "HostID": RECORD.host_id, "SystemBUID": RECORD.system_buid}


@pytest.mark.parametrize("answer", [{}, {"EnableSessionSSL": False}, {"EnableSessionSSL": 1}])
def test_session_without_tls_is_none(answer: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError, match="without TLS"):
        play(operations.start_session(RECORD), {"Request": "StartSession", "SessionID": "S", **answer})


def test_service_waits_on_a_port() -> None:
    reply: dict[str, object] = {"Request": "StartService", "Port": 65535}
    assert result(operations.start_service("s"), reply) == ServicePort(65535, is_encrypted=False)
    assert result(operations.start_service("s"), {**reply, "EnableServiceSSL": True}).is_encrypted


@pytest.mark.parametrize("port", [None, 0, 65536, -1, True, "22", 2.0])
def test_service_without_a_usable_port_is_the_phones_fault(port: object) -> None:
    with pytest.raises(RemoteProtocolError, match="port"):
        play(operations.start_service("s"), {"Request": "StartService", "Port": port})


def test_both_notifications_of_pairing_are_observed_and_heard() -> None:
    steps, _ = play(operations.observe_pairing())
    assert [step.properties for step in steps if isinstance(step, Send)] == [
        {"Command": "ObserveNotification", "Name": name} for name in PAIR_NOTIFICATIONS
    ]
    for name in PAIR_NOTIFICATIONS:
        assert result(operations.hear_pairing(), {"Command": "RelayNotification", "Name": name})


@pytest.mark.parametrize("name", ["com.apple.other", None, 5, ["x"]])
def test_other_notifications_are_no_reason_to_pair(name: object) -> None:
    assert not result(operations.hear_pairing(), {"Command": "RelayNotification", "Name": name})
    assert not result(operations.hear_pairing(), {"Command": "ProxyDeath", "Name": PAIR_NOTIFICATIONS[0]})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("InvalidHostID", NotPairedError),
        ("PairingDialogResponsePending", TrustPendingError),
        ("UserDeniedPairing", TrustDeniedError),
        ("PasswordProtected", PhoneLockedError),
        ("InvalidService", LockdownError),
    ],
)
def test_refusal_is_an_error_with_the_phones_word(error: str, kind: type[LockdownError]) -> None:
    with pytest.raises(LockdownError) as caught:
        play(operations.pair(RECORD), {"Request": "Pair", "Error": error})
    assert type(caught.value) is kind
    assert caught.value.error == error
    assert str(caught.value)


@pytest.mark.parametrize("error", [5, b"x", "x" * 65, "new\nline", ["InvalidHostID"]])
def test_refusal_without_a_word_is_the_phones_fault(error: object) -> None:
    with pytest.raises(RemoteProtocolError, match="no word"):
        play(operations.query_type(), {"Request": "QueryType", "Error": error})


def test_failure_without_a_word_is_a_refusal() -> None:
    with pytest.raises(LockdownError, match="QueryType failed"):
        play(operations.query_type(), {"Request": "QueryType", "Result": "Failure"})


@pytest.mark.parametrize(
    ("operation", "reply"),
    [
        (operations.query_type(), {"Request": "GetValue", "Type": "x"}),
        (operations.query_type(), {"Type": "x"}),
        (operations.query_type(), {"Request": "QueryType", "Type": 5}),
        (operations.query_type(), {"Request": ["QueryType"]}),
        (operations.start_session(RECORD), {"Request": "StartSession", "EnableSessionSSL": True}),
        (operations.values(None), {"Request": "GetValue", "Value": []}),
        (operations.pair(RECORD), {"Request": "Pair", "EscrowBag": "text"}),
    ],
)
def test_reply_of_another_kind_is_the_phones_fault(operation: Operation[object], reply: Mapping[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        play(operation, reply)
