"""What a phone gets wrong when it is asked to."""

import plistlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Framing, LockdownFaults, TlsOptions, VirtualIPhone
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT

HOST = TestHost()
REPLY = {"Request": "QueryType", "Type": "com.apple.mobile.lockdown"}


@contextmanager
def lockdown_of(phone: VirtualIPhone) -> Iterator[LockdownClient]:
    with RunningDaemon([phone.device]) as daemon:
        stream = Client(daemon.address).connect(phone.udid, LOCKDOWN_PORT)
        stream.settimeout(30)
        with LockdownClient(stream) as lockdown:
            yield lockdown
        assert daemon.violations == []


def payload(message: bytes) -> bytes:
    assert int.from_bytes(message[:4]) == len(message) - 4
    return message[4:]


def test_no_fault_is_the_reply_as_it_is() -> None:
    assert plistlib.loads(payload(LockdownFaults().encode(REPLY))) == REPLY


def test_binary_reply_says_the_same() -> None:
    encoded = payload(LockdownFaults(is_binary=True).encode(REPLY))
    assert encoded.startswith(b"bplist00")
    assert plistlib.loads(encoded) == REPLY


def test_wrong_request_and_extra_keys_are_in_the_reply() -> None:
    faults = LockdownFaults(request_name="Other", extra={"More": [1], "Type": "x"})
    assert plistlib.loads(payload(faults.encode(REPLY))) == {"Request": "Other", "Type": "x", "More": [1]}


def test_byte_order_mark_comes_before_the_reply() -> None:
    encoded = payload(LockdownFaults(framing=Framing.BYTE_ORDER_MARK).encode(REPLY))
    assert encoded.startswith(b"\xef\xbb\xbf<?xml")


def test_empty_reply_is_a_length_of_nothing() -> None:
    assert LockdownFaults(framing=Framing.EMPTY).encode(REPLY) == bytes(4)


def test_enormous_reply_says_four_gibibytes_and_ends() -> None:
    faults = LockdownFaults(framing=Framing.ENORMOUS)
    assert faults.encode(REPLY).startswith(b"\xff\xff\xff\xff<?xml")
    assert faults.end_connection


def test_cut_reply_is_half_and_ends() -> None:
    faults = LockdownFaults(framing=Framing.CUT)
    whole = LockdownFaults().encode(REPLY)
    assert faults.encode(REPLY) == whole[: len(whole) // 2]
    assert faults.end_connection


def test_fault_at_one_request_leaves_the_others_alone() -> None:
    phone = VirtualIPhone(faults=LockdownFaults(at_request=2, error="PasswordProtected"))
    with lockdown_of(phone) as lockdown:
        replies = [lockdown.request("QueryType") for _ in range(3)]
    assert replies == [REPLY, {"Request": "QueryType", "Error": "PasswordProtected"}, REPLY]


def test_fault_inside_a_session_counts_on() -> None:
    phone = VirtualIPhone(faults=LockdownFaults(at_request=4, is_binary=True, delay_s=0.01, closes=True))
    with lockdown_of(phone) as lockdown:
        lockdown.pair(HOST)
        lockdown.start_session(HOST)
        assert lockdown.request("QueryType") == REPLY
        assert lockdown.stream.recv(1) == b""


def test_faults_changed_meanwhile_concern_what_follows() -> None:
    phone = VirtualIPhone()
    with lockdown_of(phone) as lockdown:
        assert lockdown.request("QueryType") == REPLY
        phone.lockdown.faults = LockdownFaults(request_name="Other")
        assert lockdown.request("QueryType")["Request"] == "Other"
        phone.lockdown.faults = None
        assert lockdown.request("QueryType") == REPLY


def test_own_certificate_is_not_the_one_that_the_host_issued() -> None:
    subjects = []
    for options in (TlsOptions(), TlsOptions(own_certificate=True)):
        with lockdown_of(VirtualIPhone(tls=options)) as lockdown:
            lockdown.pair(HOST)
            lockdown.start_session(HOST)
            assert isinstance(lockdown.stream, ssl.SSLSocket)
            certificate = lockdown.stream.getpeercert(binary_form=True)
            assert certificate is not None
            subjects.append(x509.load_der_x509_certificate(certificate).subject.rfc4514_string())
            assert lockdown.request("QueryType") == REPLY
    assert subjects == ["", "CN=another phone"]


def test_stalled_handshake_ends_at_its_deadline() -> None:
    phone = VirtualIPhone(tls=TlsOptions(stalls_handshake=True, handshake_timeout_s=0.05))
    with lockdown_of(phone) as lockdown:
        lockdown.pair(HOST)
        with pytest.raises(OSError):  # noqa: PT011 - a reset or an end, as the daemon's socket has it
            lockdown.start_session(HOST)


@pytest.mark.parametrize("omits", [False, True])
def test_close_alert_is_omitted_if_asked(omits: bool) -> None:
    phone = VirtualIPhone(tls=TlsOptions(omits_close_alert=omits))
    with lockdown_of(phone) as lockdown:
        lockdown.pair(HOST)
        lockdown.start_session(HOST)
        lockdown.request("Goodbye")
        if omits:
            with pytest.raises(OSError):  # noqa: PT011 - as above
                lockdown.stream.recv(1)
        else:
            assert lockdown.stream.recv(1) == b""


def test_stopped_session_without_close_alert_ends_the_connection() -> None:
    phone = VirtualIPhone(tls=TlsOptions(omits_close_alert=True))
    with lockdown_of(phone) as lockdown:
        lockdown.pair(HOST)
        session_id = lockdown.start_session(HOST)
        assert lockdown.request("StopSession", SessionID=session_id)["Result"] == "Success"
        with pytest.raises(OSError):  # noqa: PT011 - as above
            lockdown.stop_tls()


def test_key_log_has_the_secrets(tmp_path: Path) -> None:
    key_log = tmp_path / "keys"
    with lockdown_of(VirtualIPhone(tls=TlsOptions(key_log=key_log))) as lockdown:
        lockdown.pair(HOST)
        lockdown.start_session(HOST)
        assert lockdown.request("QueryType") == REPLY
    assert "CLIENT_TRAFFIC_SECRET_0" in key_log.read_text()
