"""What both clients of lockdown promise, against a virtual iPhone behind a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lockdown.records import record_for
from tests.lockdown.subjects import AnyStream, Owner
from usbmux.errors import (
    DeviceResetError,
    LocalProtocolError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
    RequestTimeoutError,
    TrustDeniedError,
    TrustPendingError,
)
from usbmux.lockdown.operations import INSECURE_PROXY
from usbmux.lockdown.pair_record import PairRecord
from usbmux.lockdown.plist_frame import encode
from usbmux.testing import SimulatedPhone
from usbmux.testing.iphone import (
    DeviceKey,
    Framing,
    Identity,
    LockdownFaults,
    ServiceFaults,
    TlsOptions,
    Trust,
    VirtualIPhone,
)
from usbmux.testing.iphone.virtual_iphone import REQUEST_PAIR, usual_services

if TYPE_CHECKING:
    from tests.lockdown.conftest import Dials
    from tests.lockdown.subjects import Subject
    from usbmux.testing.iphone.byte_stream import ByteStream
    from usbmux.testing.iphone.services.context import ServiceContext

pytestmark = pytest.mark.slow

SHORT_S = 0.2
"""How long a client waits for what never comes."""
LONG = bytes(range(65, 90)) * 10_000


async def echo(stream: ByteStream, _phone: ServiceContext) -> None:
    while data := await stream.read():
        await stream.write(data)


def paired(dial: Dials, phone: VirtualIPhone) -> Subject:
    subject = dial(phone)
    subject.call(lambda lockdown: lockdown.pair())
    return subject


def test_phone_that_is_not_paired_tells_what_it_is(dial: Dials) -> None:
    phone = VirtualIPhone(Identity(device_name="Ada"))
    subject = dial(phone)
    assert subject.call(lambda lockdown: lockdown.query_type()) == "com.apple.mobile.lockdown"
    assert subject.call(lambda lockdown: lockdown.udid()) == phone.udid
    assert subject.call(lambda lockdown: lockdown.value("DeviceName")) == "Ada"
    assert subject.call(lambda lockdown: lockdown.values())["DeviceName"] == "Ada"
    with pytest.raises(LockdownError, match="GetProhibited"):
        subject.call(lambda lockdown: lockdown.value("SerialNumber"))


def test_pairing_is_kept_with_the_daemon_and_holds(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    record = PairRecord.from_bytes(subject.client.read_pair_record(phone.udid))
    assert phone.hosts.host_ids == (record.host_id,)
    assert record.system_buid == subject.client.buid()
    assert record.wifi_mac_address == phone.values.value("WiFiAddress")
    assert record.escrow_bag
    subject.call(lambda lockdown: lockdown.validate())


def test_pairing_that_the_daemon_cannot_keep_is_forgotten_by_the_phone_too(dial: Dials) -> None:
    phone = VirtualIPhone(Identity(udid="under which no record is kept"))
    subject = dial(phone)
    with pytest.raises(RequestError, match="SavePairRecord"):
        subject.call(lambda lockdown: lockdown.pair())
    assert phone.hosts.host_ids == ()


@pytest.mark.parametrize("address", ["\1", "x" * 70_000, 5], ids=["unprintable", "long", "number"])
def test_phone_whose_address_cannot_be_kept_is_paired_with_without(dial: Dials, address: object) -> None:
    faults = LockdownFaults(at_request=2, is_binary=True, extra={"Value": address})  # the key comes first
    subject = dial(VirtualIPhone(faults=faults))
    record = subject.call(lambda lockdown: lockdown.pair())
    assert record.wifi_mac_address is None
    subject.call(lambda lockdown: lockdown.validate())


def test_session_reads_and_changes_values(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    subject.call(lambda lockdown: lockdown.start_session())
    assert subject.call(lambda lockdown: lockdown.value("SerialNumber")) == phone.values.value("SerialNumber")
    subject.call(lambda lockdown: lockdown.set_value("DeviceName", "Grace"))
    assert phone.values.value("DeviceName") == "Grace"
    subject.call(lambda lockdown: lockdown.set_value("K", 1, "com.example"))
    assert subject.call(lambda lockdown: lockdown.values("com.example")) == {"K": 1}
    subject.call(lambda lockdown: lockdown.remove_value("K", "com.example"))
    with pytest.raises(LockdownError) as caught:
        subject.call(lambda lockdown: lockdown.value("K", "com.example"))
    assert caught.value.error == "MissingValue"


def test_session_in_which_nonsense_was_to_be_sent_goes_on(dial: Dials) -> None:
    subject = paired(dial, VirtualIPhone())
    subject.call(lambda lockdown: lockdown.start_session())
    with pytest.raises(LocalProtocolError):
        subject.call(lambda lockdown: lockdown.set_value("K", object()))
    assert subject.call(lambda lockdown: lockdown.value("SerialNumber"))


def test_old_phone_is_spoken_to_as_it_can(dial: Dials) -> None:
    paired(dial, VirtualIPhone(Identity(product_version="9.3.5"))).call(lambda lockdown: lockdown.validate())


@pytest.mark.parametrize(
    ("trust", "error"),
    [(Trust.PENDING, TrustPendingError), (Trust.DENIED, TrustDeniedError), (Trust.LOCKED, PhoneLockedError)],
)
def test_phone_that_does_not_trust_yet_leaves_nothing_behind(
    dial: Dials, trust: Trust, error: type[LockdownError]
) -> None:
    phone = VirtualIPhone(trust=trust)
    subject = dial(phone)
    with pytest.raises(error):
        subject.call(lambda lockdown: lockdown.pair())
    with pytest.raises(PairRecordNotFoundError):
        subject.client.read_pair_record(phone.udid)


@pytest.mark.parametrize("trust", [Trust.PENDING, Trust.LOCKED])
@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_owner_answers_meanwhile_pair_waits_for_it(dial: Dials, trust: Trust, refusals: int) -> None:
    phone = VirtualIPhone()
    Owner(phone, *[trust] * refusals, Trust.ACCEPTED)
    subject = dial(phone)
    subject.call(lambda lockdown: lockdown.pair(wait_s=60))
    subject.call(lambda lockdown: lockdown.validate())


def test_owner_refuses_meanwhile_pair_ends(dial: Dials) -> None:
    phone = VirtualIPhone()
    Owner(phone, Trust.PENDING, Trust.PENDING, Trust.DENIED)
    subject = dial(phone)
    with pytest.raises(TrustDeniedError):
        subject.call(lambda lockdown: lockdown.pair(wait_s=60))


def test_owner_does_not_answer_in_time_pair_says_what_is_missing(dial: Dials) -> None:
    subject = dial(VirtualIPhone(trust=Trust.PENDING))
    with pytest.raises(TrustPendingError):
        subject.call(lambda lockdown: lockdown.pair(wait_s=SHORT_S))


@pytest.mark.parametrize("name", [REQUEST_PAIR, "com.apple.mobile.lockdown.something_else"])
def test_phone_that_never_stops_telling_is_not_asked_after_the_deadline(dial: Dials, name: str) -> None:
    async def tell(stream: ByteStream, _phone: ServiceContext) -> None:
        while True:
            await stream.write(500 * encode({"Command": "RelayNotification", "Name": name}))

    subject = dial(VirtualIPhone(trust=Trust.PENDING, services={INSECURE_PROXY: tell}))
    with pytest.raises(TrustPendingError):
        subject.call(lambda lockdown: lockdown.pair(wait_s=SHORT_S))


def test_validate_without_record_says_so(dial: Dials) -> None:
    subject = dial(VirtualIPhone())
    with pytest.raises(PairRecordNotFoundError):
        subject.call(lambda lockdown: lockdown.validate())


def test_phone_that_was_reset_does_not_know_the_record(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    subject.call(lambda lockdown: lockdown.start_session())
    phone.hosts.revoke()
    with pytest.raises(NotPairedError):
        subject.call(lambda lockdown: lockdown.value("DeviceName"))
    with pytest.raises(NotPairedError):
        subject.call(lambda lockdown: lockdown.validate())


def test_record_of_another_computer_under_the_same_host_is_refused(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    record = PairRecord.from_bytes(subject.client.read_pair_record(phone.udid))
    stranger = record_for()
    forged = PairRecord(
        record.host_id,
        record.system_buid,
        record.device_certificate,
        stranger.host_certificate,
        stranger.host_private_key,
        stranger.root_certificate,
        stranger.root_private_key,
    )
    subject.client.save_pair_record(phone.udid, forged.to_bytes())
    with pytest.raises(NotPairedError, match="does not accept"):
        subject.call(lambda lockdown: lockdown.validate())


def test_phone_with_another_key_is_refused(dial: Dials) -> None:
    phone = VirtualIPhone(key=DeviceKey())
    subject = paired(dial, phone)
    record = PairRecord.from_bytes(subject.client.read_pair_record(phone.udid))
    for_another_phone = record_for()
    changed = PairRecord(
        record.host_id,
        record.system_buid,
        for_another_phone.device_certificate,
        record.host_certificate,
        record.host_private_key,
        record.root_certificate,
        record.root_private_key,
    )
    with pytest.raises(NotPairedError, match="another key"):
        subject.call(lambda lockdown: lockdown.start_session(changed))


def test_unpair_is_forgotten_on_both_sides(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    subject.call(lambda lockdown: lockdown.unpair())
    assert phone.hosts.host_ids == ()
    for _ in range(2):
        with pytest.raises(PairRecordNotFoundError):
            subject.call(lambda lockdown: lockdown.unpair())


def test_unpair_of_what_the_phone_has_forgotten_removes_the_record(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    phone.hosts.revoke()
    subject.call(lambda lockdown: lockdown.unpair())
    with pytest.raises(PairRecordNotFoundError):
        subject.client.read_pair_record(phone.udid)


def test_unpair_of_a_phone_that_does_not_answer_keeps_the_record(dial: Dials) -> None:
    phone = VirtualIPhone()
    subject = paired(dial, phone)
    phone.lockdown.faults = LockdownFaults(closes=True, framing=Framing.CUT)
    with pytest.raises(DeviceResetError):
        subject.call(lambda lockdown: lockdown.unpair())
    assert subject.client.read_pair_record(phone.udid)


def test_service_of_a_session_is_inside_tls(dial: Dials) -> None:
    phone = VirtualIPhone(services={"echo": echo})
    subject = paired(dial, phone)
    subject.call(lambda lockdown: lockdown.start_session())
    service = subject.service("echo")
    received = bytearray()
    for start in range(0, len(LONG), 100_000):  # less than the daemon and the phone keep for those who do not read
        received += exchanged(subject, service, LONG[start : start + 100_000])
    assert received == LONG
    service.close()


def exchanged(subject: Subject, service: AnyStream, data: bytes) -> bytes:
    """What comes back."""
    subject.on(service, lambda stream: stream.write(data))
    received = bytearray()
    while len(received) < len(data):
        piece = subject.on(service, lambda stream: stream.read())
        assert piece
        received += piece
    return bytes(received)


def test_service_for_anybody_is_plain(dial: Dials) -> None:
    subject = dial(VirtualIPhone(services={INSECURE_PROXY: echo}))
    service = subject.service(INSECURE_PROXY)
    subject.on(service, lambda stream: stream.send_plist({"a": 1}))
    assert subject.on(service, lambda stream: stream.receive_plist()) == {"a": 1}
    service.close()


def test_service_that_cannot_be_had_is_an_error_and_the_session_goes_on(dial: Dials) -> None:
    phone = VirtualIPhone(services=usual_services())
    subject = paired(dial, phone)
    with pytest.raises(LockdownError, match="SessionInactive"):
        subject.service("com.apple.afc")
    subject.call(lambda lockdown: lockdown.start_session())
    with pytest.raises(LockdownError, match="InvalidService"):
        subject.service("nonsense")
    phone.service_faults = ServiceFaults(refuses=True)
    with pytest.raises(PortRefusedError):
        subject.service("com.apple.afc")
    assert subject.call(lambda lockdown: lockdown.value("SerialNumber"))


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (LockdownFaults(request_name="GetValue"), RemoteProtocolError),
        (LockdownFaults(framing=Framing.EMPTY), RemoteProtocolError),
        (LockdownFaults(framing=Framing.ENORMOUS), RemoteProtocolError),
        (LockdownFaults(framing=Framing.CUT), DeviceResetError),
        (LockdownFaults(extra={"Type": 5}), RemoteProtocolError),
        (LockdownFaults(error="NoSuchWord"), LockdownError),
    ],
    ids=str,
)
def test_wrong_answer_is_an_error_and_the_next_call_connects_anew(
    dial: Dials, faults: LockdownFaults, error: type[Exception]
) -> None:
    phone = VirtualIPhone(faults=faults)
    subject = dial(phone)
    with pytest.raises(error):
        subject.call(lambda lockdown: lockdown.query_type())
    phone.lockdown.faults = None
    assert subject.call(lambda lockdown: lockdown.query_type())


def test_binary_answer_is_understood(dial: Dials) -> None:
    subject = dial(VirtualIPhone(faults=LockdownFaults(is_binary=True)))
    assert subject.call(lambda lockdown: lockdown.query_type())


def test_phone_that_does_not_answer_is_given_up(dial: Dials) -> None:
    phone = VirtualIPhone(faults=LockdownFaults(delay_s=600))
    subject = dial(phone, timeout_s=SHORT_S)
    with pytest.raises(RequestTimeoutError, match="did not answer within"):
        subject.call(lambda lockdown: lockdown.query_type())


def test_phone_that_stalls_tls_is_given_up(dial: Dials) -> None:
    phone = VirtualIPhone()
    record = paired(dial, phone).call(lambda lockdown: lockdown.pair())
    phone.tls.options = TlsOptions(stalls_handshake=True)
    subject = dial_again(dial, phone)
    with pytest.raises(RequestTimeoutError):
        subject.call(lambda lockdown: lockdown.start_session(record))


def dial_again(dial: Dials, phone: VirtualIPhone) -> Subject:
    """Another daemon, for a twin of the phone, that waits for a short time only."""
    twin = VirtualIPhone()
    twin.hosts = phone.hosts  # type: ignore[misc]
    twin.tls.options = phone.tls.options
    return dial(twin, timeout_s=SHORT_S)


def test_phone_that_ends_without_alert_ends_the_session(dial: Dials) -> None:
    phone = VirtualIPhone(tls=TlsOptions(omits_close_alert=True))
    subject = paired(dial, phone)
    subject.call(lambda lockdown: lockdown.start_session())
    phone.lockdown.faults = LockdownFaults(closes=True)
    assert subject.call(lambda lockdown: lockdown.value("DeviceName"))
    with pytest.raises(DeviceResetError):
        subject.call(lambda lockdown: lockdown.value("DeviceName"))


def test_phone_without_lockdown_refuses(dial: Dials) -> None:
    phone = VirtualIPhone()
    phone.device = SimulatedPhone()  # type: ignore[misc]
    with pytest.raises(PortRefusedError):
        dial(phone).call(lambda lockdown: lockdown.query_type())
