"""Lockdown without any stream: requests in, answers out."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.lockdown.plist_frame import encode
from usbmux.testing.iphone import HostRecord, Hosts, Trust, Values
from usbmux.testing.iphone.lockdown_error import LockdownError
from usbmux.testing.iphone.lockdown_session import Answer, LockdownSession, SessionState, Then

RECORD = {
    "HostID": "HOST",
    "SystemBUID": "BUID",
    "DeviceCertificate": b"device",
    "HostCertificate": b"host",
    "RootCertificate": b"root",
}
BATTERY = "com.apple.mobile.battery"
INSECURE = "com.apple.mobile.insecure_notification_proxy"


class Phone:
    def __init__(self) -> None:
        self.values = Values({None: {"ProductVersion": "16.7.2", "SerialNumber": "F1"}, BATTERY: {"HasBattery": True}})
        self.hosts = Hosts()
        self.started: list[tuple[str, HostRecord | None]] = []
        self.pairing_error: LockdownError | None = None
        self.announced: list[tuple[str, str | None]] = []
        self.is_in_recovery = False

    def pair(self, record: HostRecord) -> bytes | LockdownError:
        self.hosts.remember(record)
        return self.pairing_error or b"escrow bag"

    def start_service(self, name: str, host: HostRecord | None) -> int | LockdownError:
        self.started.append((name, host))
        return LockdownError.INVALID_SERVICE if name == "unknown" else 50000

    def announce_change(self, key: str, domain: str | None) -> None:
        self.announced.append((key, domain))

    def enter_recovery(self) -> None:
        self.is_in_recovery = True


class Host:
    """Scripts one connection."""

    def __init__(self, phone: Phone | None = None) -> None:
        self.phone = phone or Phone()
        self.session = LockdownSession(self.phone)

    def request(self, name: object, **fields: object) -> Answer:
        request: dict[object, object] = {"Label": "test", "Request": name}
        request.update(fields)
        return self.session.answer(request)

    def properties(self, name: str, **fields: object) -> Mapping[str, object]:
        """The reply, without the name that every reply must have."""
        properties = dict(self.request(name, **fields).properties)
        assert properties.pop("Request") == name
        return properties

    def error(self, name: str, **fields: object) -> object:
        properties = self.properties(name, **fields)
        assert list(properties) == ["Error"]
        return properties["Error"]


@pytest.fixture
def host() -> Host:
    """One without a session."""
    return Host()


@pytest.fixture
def trusted() -> Host:
    """One that has paired and started a session."""
    host = Host()
    host.request("Pair", PairRecord=RECORD)
    host.request("StartSession", HostID="HOST")
    return host


def test_query_type_is_answered(host: Host) -> None:
    assert host.properties("QueryType") == {"Type": "com.apple.mobile.lockdown"}


@pytest.mark.parametrize("name", ["Nonsense", "", None, 7, "Get\0Value", "x" * 1000, ["Pair"]])
def test_unknown_request_is_answered_with_an_error(host: Host, name: object) -> None:
    answer = host.request(name)
    assert answer.properties["Error"] == "InvalidRequest"
    assert answer.then is Then.NEXT_REQUEST


def test_get_value_without_session_tells_only_what_pairing_needs(host: Host) -> None:
    assert host.properties("GetValue") == {"Value": {"ProductVersion": "16.7.2"}}
    assert host.properties("GetValue", Key="ProductVersion") == {"Key": "ProductVersion", "Value": "16.7.2"}
    assert host.error("GetValue", Key="SerialNumber") == "GetProhibited"
    assert host.error("GetValue", Key="HasBattery", Domain=BATTERY) == "GetProhibited"
    assert host.properties("GetValue", Domain=BATTERY) == {"Domain": BATTERY, "Value": {}}


def test_get_value_without_session_what_is_not_there_is_missing(host: Host) -> None:
    assert host.error("GetValue", Key="unknown") == "MissingValue"
    assert host.error("GetValue", Key="unknown", Domain=BATTERY) == "MissingValue"
    assert host.error("GetValue", Key="unknown", Domain="unknown") == "MissingValue"


def test_get_value_in_session_tells_everything(trusted: Host) -> None:
    assert trusted.properties("GetValue")["Value"] == {"ProductVersion": "16.7.2", "SerialNumber": "F1"}
    assert trusted.properties("GetValue", Domain=BATTERY) == {"Domain": BATTERY, "Value": {"HasBattery": True}}
    assert trusted.properties("GetValue", Key="HasBattery", Domain=BATTERY)["Value"] is True
    assert trusted.properties("GetValue", Domain="unknown")["Value"] == {}
    assert trusted.error("GetValue", Key="unknown") == "MissingValue"
    assert trusted.error("GetValue", Key="unknown", Domain="unknown") == "MissingValue"


@pytest.mark.parametrize("name", ["GetValue", "SetValue", "RemoveValue"])
@pytest.mark.parametrize(
    "odd",
    [5, b"ProductVersion", ["ProductVersion"], "Product\0Version", "x" * 300],
    ids=["number", "data", "array", "unprintable", "long"],
)
def test_request_for_a_key_or_domain_that_is_no_text_is_refused(trusted: Host, name: str, odd: object) -> None:
    assert trusted.error(name, Key="DeviceName", Domain=odd, Value="Ada") == "InvalidRequest"
    assert trusted.error("GetValue", Key=odd) == "InvalidRequest"


def test_get_value_with_empty_key_and_domain_is_as_without(host: Host) -> None:
    assert host.properties("GetValue", Key="", Domain="") == host.properties("GetValue")


def test_set_value_without_session_takes_only_who_the_host_is(host: Host) -> None:
    assert host.properties("SetValue", Key="UntrustedHostBUID", Value="BUID") == {}
    assert host.error("SetValue", Key="DeviceName", Value="Ada") == "SetProhibited"
    assert host.error("RemoveValue", Key="ProductVersion") == "RemoveProhibited"
    assert host.phone.values.value("UntrustedHostBUID") == "BUID"


def test_set_value_in_session_is_seen_by_get_value(trusted: Host) -> None:
    assert trusted.properties("SetValue", Key="DeviceName", Value="Ada") == {}
    assert trusted.properties("GetValue", Key="DeviceName")["Value"] == "Ada"
    assert trusted.properties("RemoveValue", Key="DeviceName") == {}
    assert trusted.error("RemoveValue", Key="DeviceName") == "MissingValue"
    assert trusted.error("SetValue", Key="DeviceName") == "MissingValue"
    assert trusted.error("SetValue", Value="Ada") == "MissingKey"
    assert trusted.error("SetValue", Key="DeviceName", Value=[[]]) == "SetProhibited"
    assert trusted.error("SetValue", Key="SerialNumber", Value="mine") == "SetProhibited"
    assert trusted.phone.announced == [("DeviceName", None)]


def test_pair_accepted_remembers_the_host(host: Host) -> None:
    assert host.properties("Pair", PairRecord=RECORD) == {"EscrowBag": b"escrow bag"}
    assert host.phone.hosts.host_ids == ("HOST",)
    assert host.properties("ValidatePair", PairRecord=RECORD) == {}


@pytest.mark.parametrize(
    ("trust", "error"),
    [
        (Trust.PENDING, "PairingDialogResponsePending"),
        (Trust.DENIED, "UserDeniedPairing"),
        (Trust.LOCKED, "PasswordProtected"),
    ],
)
def test_pair_not_accepted_says_why_and_remembers_nobody(host: Host, trust: Trust, error: str) -> None:
    host.phone.hosts.trust = trust
    assert host.error("Pair", PairRecord=RECORD) == error
    assert host.phone.hosts.host_ids == ()


@pytest.mark.parametrize("record", [None, {}, {**RECORD, "HostID": 7}])
def test_pair_with_an_unusable_record_is_refused(host: Host, record: object) -> None:
    assert host.error("Pair", PairRecord=record) == "InvalidPairRecord"


def test_pair_that_the_phone_refuses_says_why(host: Host) -> None:
    host.phone.pairing_error = LockdownError.INVALID_PAIR_RECORD
    assert host.error("Pair", PairRecord=RECORD) == "InvalidPairRecord"


@pytest.mark.parametrize("name", ["ValidatePair", "Unpair"])
def test_requests_about_a_pairing_unknown_are_refused(host: Host, name: str) -> None:
    assert host.error(name, PairRecord=RECORD) == "InvalidHostID"
    assert host.error(name, PairRecord={}) == "MissingHostID"
    assert host.error(name) == "MissingPairRecord"


def test_unpair_forgets_the_host(host: Host) -> None:
    host.request("Pair", PairRecord=RECORD)
    assert host.properties("Unpair", PairRecord=RECORD) == {}
    assert host.error("StartSession", HostID="HOST") == "InvalidHostID"


def test_start_session_of_a_known_host_begins_tls(host: Host) -> None:
    host.request("Pair", PairRecord=RECORD)
    answer = host.request("StartSession", HostID="HOST")
    assert answer.then is Then.TLS_BEGINS
    assert answer.properties["EnableSessionSSL"] is True
    assert isinstance(answer.properties["SessionID"], str)
    assert host.session.state is SessionState.TRUSTED
    assert host.session.host == HostRecord.from_properties(RECORD)


def test_start_session_refused_leaves_the_connection_as_it_was(host: Host) -> None:
    assert host.error("StartSession") == "MissingHostID"
    assert host.error("StartSession", HostID="other") == "InvalidHostID"
    assert host.session.state is SessionState.ANYBODY
    assert host.session.host is None


@pytest.mark.parametrize("buid", ["other", "", 7, b"BUID"])
def test_start_session_of_another_computer_is_refused(host: Host, buid: object) -> None:
    host.request("Pair", PairRecord=RECORD)
    assert host.error("StartSession", HostID="HOST", SystemBUID=buid) == "InvalidHostID"
    assert host.session.state is SessionState.ANYBODY
    assert host.request("StartSession", HostID="HOST", SystemBUID="BUID").then is Then.TLS_BEGINS


def test_start_session_twice_is_refused(trusted: Host) -> None:
    assert trusted.error("StartSession", HostID="HOST") == "SessionActive"


def test_stop_session_ends_tls_and_another_session_can_start(trusted: Host) -> None:
    trusted.request("StopSession", SessionID="wrong")
    again = Host(trusted.phone)
    session_id = again.properties("StartSession", HostID="HOST")["SessionID"]
    assert again.error("StopSession") == "MissingSessionID"
    assert again.error("StopSession", SessionID="wrong") == "InvalidSessionID"
    answer = again.request("StopSession", SessionID=session_id)
    assert answer == Answer({"Request": "StopSession", "Result": "Success"}, Then.TLS_ENDS)
    assert again.session.state is SessionState.ANYBODY
    assert again.properties("StartService", Service=INSECURE) == {"Service": INSECURE, "Port": 50000}
    assert again.error("GetValue", Key="SerialNumber") == "GetProhibited"
    assert again.request("StartSession", HostID="HOST").then is Then.TLS_BEGINS


@pytest.mark.parametrize("name", ["StopSession", "ResetPairing", "Activate", "Deactivate", "EnterRecovery"])
def test_requests_for_sessions_without_one_are_refused(host: Host, name: str) -> None:
    assert host.error(name, SessionID="x") == "SessionInactive"


@pytest.mark.parametrize("name", ["Activate", "Deactivate", "EnterRecovery"])
def test_requests_that_do_nothing_here_succeed(trusted: Host, name: str) -> None:
    assert trusted.properties(name) == {"Result": "Success"}


def test_goodbye_ends_the_connection(host: Host) -> None:
    assert host.request("Goodbye").then is Then.CONNECTION_ENDS


def test_start_service_in_session_is_inside_tls(trusted: Host) -> None:
    assert trusted.properties("StartService", Service="com.apple.afc", EscrowBag=b"bag") == {
        "Service": "com.apple.afc",
        "Port": 50000,
        "EnableServiceSSL": True,
    }
    assert trusted.phone.started == [("com.apple.afc", trusted.session.host)]


def test_start_service_without_session_is_refused_but_for_the_insecure_one(host: Host) -> None:
    assert host.error("StartService", Service="com.apple.afc") == "SessionInactive"
    assert host.properties("StartService", Service=INSECURE) == {"Service": INSECURE, "Port": 50000}
    assert host.phone.started == [(INSECURE, None)]


def test_start_service_unknown_or_unnamed_is_refused(trusted: Host) -> None:
    assert trusted.error("StartService", Service="unknown") == "InvalidService"
    assert trusted.error("StartService", Service=b"bytes") == "MissingService"


def test_trust_revoked_in_session_fails_what_follows(trusted: Host) -> None:
    trusted.phone.hosts.revoke()
    assert trusted.error("GetValue", Key="SerialNumber") == "InvalidHostID"
    assert trusted.error("StartService", Service="com.apple.afc") == "InvalidHostID"


def test_reset_pairing_in_session_forgets_everybody(trusted: Host) -> None:
    assert trusted.properties("ResetPairing") == {"Result": "Success"}
    assert trusted.phone.hosts.host_ids == ()


def test_refuse_does_not_carry_out_the_request(trusted: Host) -> None:
    answer = trusted.session.refuse({"Request": "SetValue", "Key": "DeviceName", "Value": "Ada"}, "Whatever")
    assert answer.properties == {"Request": "SetValue", "Error": "Whatever"}
    assert trusted.phone.values.value("DeviceName") is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
VALUES = SCALARS | st.sampled_from(["HOST", "BUID", BATTERY, INSECURE, "SerialNumber", "DeviceName", RECORD, [], {}])
REQUESTS = st.fixed_dictionaries(
    {"Request": VALUES | st.sampled_from(sorted(LockdownSession(Phone())._handlers))},
    optional={
        key: VALUES
        for key in (
            "Key",
            "Domain",
            "Value",
            "PairRecord",
            "HostID",
            "SystemBUID",
            "SessionID",
            "Service",
            "ProtocolVersion",
        )
    },
)


@given(st.lists(REQUESTS, max_size=20))
def test_any_requests_are_answered_with_what_can_be_written(requests: list[dict[object, object]]) -> None:
    session = LockdownSession(Phone())
    for request in requests:
        answer = session.answer(request)
        encode(answer.properties)
        assert isinstance(answer.properties["Request"], str)


def test_enter_recovery_is_for_sessions_only(host: Host, trusted: Host) -> None:
    assert host.error("EnterRecovery") == "SessionInactive"
    assert not host.phone.is_in_recovery
    assert trusted.properties("EnterRecovery") == {"Result": "Success"}
    assert trusted.phone.is_in_recovery
