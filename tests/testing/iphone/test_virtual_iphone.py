"""The virtual iPhone behind a daemon, asked by a host that does TLS by other means."""

import ssl
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client, PortRefusedError
from usbmux.testing import RunningDaemon, echo
from usbmux.testing.iphone import DeviceKey, Identity, ServiceFaults, TlsOptions, Trust, VirtualIPhone, usual_services
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.certificates import shared_key
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.virtual_iphone import REQUEST_PAIR, SPRINGBOARD_STARTED

HOST = TestHost()
INSECURE = "com.apple.mobile.insecure_notification_proxy"


async def upper(stream: ByteStream, phone: ServiceContext) -> None:
    """Answers in capitals; ends at an empty line."""
    await stream.write(f"{phone.identity.value('DeviceName')}\n".encode())
    while (data := await stream.read()) and data != b"\n":
        await stream.write(data.upper())


class Bench:
    """A phone behind a daemon."""

    def __init__(self, phone: VirtualIPhone, daemon: RunningDaemon) -> None:
        self.phone = phone
        self.client = Client(daemon.address)
        self.daemon = daemon

    def dial(self, port: int = LOCKDOWN_PORT) -> LockdownClient:
        stream = self.client.connect(self.phone.udid, port)
        stream.settimeout(30)
        return LockdownClient(stream)

    def trusted(self, presents: str = "host", host: TestHost = HOST) -> LockdownClient:
        """A session of a host that pairs first."""
        lockdown = self.dial()
        assert "Error" not in lockdown.pair(host)
        lockdown.start_session(host, presents)
        return lockdown

    def start_service(self, lockdown: LockdownClient, name: str = "upper") -> LockdownClient:
        reply = lockdown.request("StartService", Service=name)
        port = reply["Port"]
        assert isinstance(port, int)
        service = self.dial(port)
        if reply.get("EnableServiceSSL"):
            service.start_tls(HOST.context())
        return service


StartsPhone: TypeAlias = Callable[..., Bench]


@pytest.fixture
def start() -> Iterator[StartsPhone]:
    """Makes a phone with the arguments, and a daemon for it; nobody has broken a rule of the mux at the end."""
    daemons: list[RunningDaemon] = []

    def start(**arguments: object) -> Bench:
        settings = {"services": {"upper": upper, INSECURE: upper}, "ports": {7: echo}} | arguments
        phone = VirtualIPhone(**settings)  # type: ignore[arg-type]
        daemon = RunningDaemon([phone.device])
        daemon.__enter__()
        daemons.append(daemon)
        return Bench(phone, daemon)

    yield start
    for daemon in daemons:
        daemon.__exit__(None, None, None)
        assert daemon.violations == []


@pytest.fixture
def bench(start: StartsPhone) -> Bench:
    return start()


def test_phone_without_session_answers_in_plain_text(bench: Bench) -> None:
    with bench.dial() as lockdown:
        assert lockdown.request("QueryType") == {"Request": "QueryType", "Type": "com.apple.mobile.lockdown"}
        assert lockdown.value("UniqueDeviceID") == bench.phone.udid


@pytest.mark.parametrize("presents", ["host", "root"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_of_a_paired_host_is_inside_tls(start: StartsPhone, presents: str, version: ssl.TLSVersion) -> None:
    bench = start(tls=TlsOptions(minimum_version=version, maximum_version=version))
    with bench.trusted(presents) as lockdown:
        assert isinstance(lockdown.value("SerialNumber"), str)


def test_session_that_stops_goes_on_in_plain_text(bench: Bench) -> None:
    with bench.dial() as lockdown:
        lockdown.pair(HOST)
        session_id = lockdown.start_session(HOST)
        assert lockdown.request("StopSession", SessionID=session_id)["Result"] == "Success"
        lockdown.stop_tls()
        assert lockdown.request("GetValue", Key="SerialNumber")["Error"] == "GetProhibited"
        lockdown.start_session(HOST)
        assert "Error" not in lockdown.request("GetValue", Key="SerialNumber")


def ends(lockdown: LockdownClient) -> bool:
    """Whether the phone ends the connection, in TLS or without, rather than answer a request."""
    try:
        lockdown.send({"Request": "QueryType"})
        return not lockdown.stream.recv(1)
    except OSError:  # ssl.SSLError and resets too
        return True


@pytest.mark.parametrize(("host", "presents"), [(HOST, "none"), (HOST, "another"), (TestHost("stranger"), "host")])
def test_session_of_a_host_that_cannot_prove_itself_is_ended(bench: Bench, host: TestHost, presents: str) -> None:
    with bench.dial() as lockdown:
        lockdown.pair(HOST)
        lockdown.request("StartSession", HostID=HOST.host_id)
        assert not begins_tls(lockdown, host.context(presents))


def test_session_without_authentication_is_for_anybody(start: StartsPhone) -> None:
    bench = start(tls=TlsOptions(authenticates_host=False))
    with bench.dial() as lockdown:
        lockdown.pair(HOST)
        lockdown.request("StartSession", HostID=HOST.host_id)
        assert begins_tls(lockdown, HOST.context("none"))


def begins_tls(lockdown: LockdownClient, context: ssl.SSLContext) -> bool:
    """Whether the phone then answers inside TLS, rather than end the connection."""
    try:
        lockdown.start_tls(context)
    except OSError:
        return False
    return answers(lockdown)


def answers(lockdown: LockdownClient) -> bool:
    """Whether the phone answers, rather than end the connection."""
    try:
        lockdown.send({"Request": "QueryType"})
        return bool(lockdown.stream.recv(1))
    except OSError:  # ssl.SSLError and resets too
        return False


def test_pair_with_certificates_for_another_phone_is_refused(bench: Bench) -> None:
    record = HOST.pair_record(DeviceKey().public_pem)
    with bench.dial() as lockdown:
        assert lockdown.request("Pair", PairRecord=record)["Error"] == "InvalidPairRecord"
        assert lockdown.request("Pair", PairRecord={**record, "RootCertificate": b"x"})["Error"] == "InvalidPairRecord"
    assert bench.phone.hosts.host_ids == ()


@pytest.mark.parametrize("name", ["DeviceCertificate", "HostCertificate"])
def test_pair_with_a_certificate_that_another_root_has_issued_is_refused(bench: Bench, name: str) -> None:
    own, others = (TestHost(each).pair_record(shared_key().public_pem) for each in ("host", "another"))
    with bench.dial() as lockdown:
        assert lockdown.request("Pair", PairRecord={**own, name: others[name]})["Error"] == "InvalidPairRecord"
        assert "EscrowBag" in lockdown.request("Pair", PairRecord=own)


def test_pair_of_several_hosts_each_has_its_session(bench: Bench) -> None:
    other = TestHost("other")
    with bench.trusted() as one, bench.trusted(host=other) as two:
        assert one.value("SerialNumber") == two.value("SerialNumber")
    assert bench.phone.hosts.host_ids == (HOST.host_id, other.host_id)


def test_pair_pending_then_accepted_is_told_to_who_waits(start: StartsPhone) -> None:
    bench = start(trust=Trust.PENDING, services=usual_services())
    with bench.dial() as lockdown, bench.start_service(lockdown, INSECURE) as notifications:
        assert lockdown.pair(HOST)["Error"] == "PairingDialogResponsePending"
        notifications.send({"Command": "ObserveNotification", "Name": REQUEST_PAIR})
        notifications.send({"Command": "PostNotification", "Name": REQUEST_PAIR})
        assert notifications.receive()["Name"] == REQUEST_PAIR  # so it does observe
        bench.phone.answer_trust(Trust.ACCEPTED)
        assert notifications.receive() == {"Command": "RelayNotification", "Name": REQUEST_PAIR}
        assert isinstance(lockdown.pair(HOST)["EscrowBag"], bytes)


@pytest.mark.parametrize(
    ("domain", "key", "expected"),
    [
        (None, "DeviceName", ["com.apple.mobile.lockdown.device_name_changed"]),
        (None, "TimeZone", ["com.apple.mobile.lockdown.timezone_changed"]),
        ("com.apple.international", "Language", ["com.apple.language.changed", SPRINGBOARD_STARTED]),
    ],
)
def test_value_that_a_host_sets_is_told_to_observers(
    start: StartsPhone, domain: str | None, key: str, expected: list[str]
) -> None:
    bench = start(services=usual_services(), springboard_s=0.0)
    where = {} if domain is None else {"Domain": domain}
    with bench.trusted() as lockdown, bench.start_service(lockdown, "com.apple.mobile.notification_proxy") as observer:
        for name in (*expected, "ready"):
            observer.send({"Command": "ObserveNotification", "Name": name})
        observer.send({"Command": "PostNotification", "Name": "ready"})
        assert observer.receive()["Name"] == "ready"  # so it does observe
        assert "Error" not in lockdown.request("SetValue", Key=key, Value="fr", **where)
        assert [observer.receive()["Name"] for _ in expected] == expected


def test_phone_plugged_in_again_remembers_its_hosts(bench: Bench) -> None:
    with bench.trusted() as lockdown:
        bench.daemon.unplug(bench.phone.device)
        assert not answers(lockdown)
    bench.daemon.plug(bench.phone.device)
    with bench.client.watch() as events:
        assert next(iter(events)).device.udid == bench.phone.udid
    with bench.dial() as lockdown:
        lockdown.start_session(HOST)
        assert isinstance(lockdown.value("SerialNumber"), str)


def test_service_is_inside_tls_and_knows_the_phone(bench: Bench) -> None:
    with bench.trusted() as lockdown, bench.start_service(lockdown) as service:
        assert isinstance(service.stream, ssl.SSLSocket)
        assert service.receive_exactly(len("Virtual iPhone\n")) == b"Virtual iPhone\n"
        lockdown.request("SetValue", Key="DeviceName", Value="Ada")
        service.stream.sendall(b"hello")
        assert service.receive_exactly(len("HELLO")) == b"HELLO"
        service.stream.sendall(b"\n")
        assert service.stream.recv(1) == b""


def test_service_insecure_without_session_is_plain(bench: Bench) -> None:
    with bench.dial() as lockdown, bench.start_service(lockdown, INSECURE) as service:
        assert not isinstance(service.stream, ssl.SSLSocket)
        assert service.receive_exactly(len("Virtual iPhone\n")) == b"Virtual iPhone\n"


def test_service_port_takes_one_connection(bench: Bench) -> None:
    with bench.trusted() as lockdown:
        port = lockdown.request("StartService", Service="upper")["Port"]
        assert isinstance(port, int)
        with bench.dial(port), pytest.raises(PortRefusedError):
            bench.dial(port)


def test_service_port_that_nobody_comes_to_is_closed(start: StartsPhone) -> None:
    bench = start(service_port_s=0.0)
    with bench.trusted() as lockdown:
        port = lockdown.request("StartService", Service="upper")["Port"]
        assert isinstance(port, int)
        assert lockdown.request("QueryType")  # a turn of the phone's loop later
        with pytest.raises(PortRefusedError):
            bench.dial(port)


def test_service_ports_are_limited(bench: Bench) -> None:
    with bench.trusted() as lockdown:
        replies = [lockdown.request("StartService", Service="upper") for _ in range(257)]
    assert len({reply["Port"] for reply in replies[:256]}) == 256
    assert replies[256]["Error"] == "ServiceLimit"


def test_service_of_a_host_whose_trust_was_revoked_is_refused(bench: Bench) -> None:
    with bench.trusted() as lockdown:
        port = lockdown.request("StartService", Service="upper")["Port"]
        assert isinstance(port, int)
        bench.phone.hosts.revoke()
        with bench.dial(port) as service:
            assert not begins_tls(service, HOST.context())


def test_service_port_that_refuses_if_asked_is_not_open(start: StartsPhone) -> None:
    bench = start(service_faults=ServiceFaults(refuses=True))
    with bench.trusted() as lockdown, pytest.raises(PortRefusedError):
        bench.start_service(lockdown)


def test_service_that_accepts_late_if_asked_works_then(start: StartsPhone) -> None:
    bench = start(service_faults=ServiceFaults(accept_delay_s=0.05))
    with bench.trusted() as lockdown, bench.start_service(lockdown) as service:
        assert service.receive_exactly(len("Virtual iPhone\n")) == b"Virtual iPhone\n"


@pytest.mark.parametrize("text", [b"", b"out of order"])
def test_service_that_resets_if_asked_serves_nobody(start: StartsPhone, text: bytes) -> None:
    bench = start(service_faults=ServiceFaults(reset_text=text))
    with bench.trusted() as lockdown:
        port = lockdown.request("StartService", Service="upper")["Port"]
        assert isinstance(port, int)
        with bench.dial(port) as service:
            assert not begins_tls(service, HOST.context())


def test_service_unknown_is_refused(bench: Bench) -> None:
    with bench.trusted() as lockdown:
        assert lockdown.request("StartService", Service="com.example.unknown")["Error"] == "InvalidService"


def test_host_that_breaks_the_framing_is_ended(bench: Bench) -> None:
    with bench.dial() as lockdown:
        lockdown.stream.sendall(bytes(4))
        with pytest.raises((AssertionError, ConnectionResetError)):
            lockdown.receive_exactly(1)


def test_other_ports_need_no_lockdown(bench: Bench) -> None:
    with bench.dial(7) as stream:
        stream.stream.sendall(b"echo")
        assert stream.receive_exactly(4) == b"echo"


def test_identity_is_what_is_told(start: StartsPhone) -> None:
    bench = start(identity=Identity("00008110-000A3C1E0C01801E", device_name="Ada"))
    with bench.dial() as lockdown:
        assert lockdown.value("DeviceName") == "Ada"
        assert lockdown.value("UniqueDeviceID") == bench.client.devices()[0].udid == bench.phone.udid


def test_phone_speaks_tls_1_0_with_hosts_that_do_not_know_its_version(bench: Bench) -> None:
    with bench.dial() as lockdown:
        lockdown.pair(HOST)
        assert "Error" not in lockdown.request("StartSession", HostID=HOST.host_id, SystemBUID=HOST.system_buid)
        context = HOST.context("root")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        lockdown.start_tls(context)
        assert isinstance(lockdown.value("SerialNumber"), str)


def test_log_tells_of_pairing_and_services(start: StartsPhone) -> None:
    bench = start(services=usual_services())
    with bench.trusted() as lockdown, bench.start_service(lockdown, "com.apple.syslog_relay") as log:
        assert isinstance(log.stream, ssl.SSLSocket)
        assert log.stream.recv(4096).endswith(b"a host reads the log\n\0")  # nothing is missed from here on
        lockdown.request("StartService", Service="com.apple.afc")
        line = log.stream.recv(4096)
    assert b"lockdownd" in line
    assert f"starting com.apple.afc for host {HOST.host_id}".encode() in line
