"""Services of a whole phone behind a daemon, fed from the thread of the test while a host listens."""

from collections.abc import Iterator

import pytest

from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import VirtualIPhone
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
from usbmux.testing.iphone.services.catalogue import default_services
from usbmux.testing.iphone.services.log_entry import LogEntry

HOST = TestHost()


class Listener:
    """A host that has paired with a phone and uses its services."""

    def __init__(self, phone: VirtualIPhone, client: Client) -> None:
        self.phone = phone
        self._client = client
        with self._dial(LOCKDOWN_PORT) as lockdown:
            lockdown.pair(HOST)

    def start(self, name: str) -> LockdownClient:
        with self._dial(LOCKDOWN_PORT) as lockdown:
            lockdown.start_session(HOST)
            port = lockdown.request("StartService", Service=name)["Port"]
        assert isinstance(port, int)
        service = self._dial(port)
        service.start_tls(HOST.context())
        return service

    def _dial(self, port: int) -> LockdownClient:
        stream = self._client.connect(self.phone.udid, port)
        stream.settimeout(30)
        return LockdownClient(stream)


@pytest.fixture
def listener() -> Iterator[Listener]:
    phone = VirtualIPhone(services=default_services())
    with RunningDaemon([phone.device]) as daemon:
        yield Listener(phone, Client(daemon.address))
        assert daemon.violations == []


def test_log_written_by_the_test_lines_come_in_order(listener: Listener) -> None:
    with listener.start("com.apple.syslog_relay") as service:
        listener.phone.log.wait_readers()
        for number in range(200):
            listener.phone.log.post(LogEntry(f"number {number}"))
        received = b""
        while b"number 199\n\0" not in received:
            received += service.receive_exactly(1)
    numbers = [line.split(b": number ") for line in received.split(b"\n\0")]
    assert [int(line[1]) for line in numbers if len(line) == 2] == list(range(200))


def test_log_flooded_while_the_host_sleeps_bounded_and_the_host_is_told(listener: Listener) -> None:
    flood = 20_000
    with listener.start("com.apple.syslog_relay") as service:
        assert b"a host reads the log" in service.stream.recv(65536)
        for number in range(flood):
            listener.phone.log.post(LogEntry(f"number {number} " + "x" * 1000))
        listener.phone.log.post(LogEntry("the last"))
        received = b""
        while not received.endswith(b"the last\n\0"):
            received += service.stream.recv(65536)
    lines = received.split(b"\n\0")
    lost = sum(int(line.split(b">: ")[1].split()[0]) for line in lines if b" messages lost" in line)
    assert lost > 0
    assert lost + sum(b": number " in line for line in lines) == flood


def test_notification_posted_by_the_test_relayed(listener: Listener) -> None:
    with listener.start("com.apple.mobile.notification_proxy") as service:
        service.send({"Command": "ObserveNotification", "Name": "mine"})
        service.send({"Command": "ObserveNotification", "Name": "ready"})
        service.send({"Command": "PostNotification", "Name": "ready"})
        assert service.receive()["Name"] == "ready"
        listener.phone.notifications.post("mine")
        assert service.receive() == {"Command": "RelayNotification", "Name": "mine"}
        service.send({"Command": "Shutdown"})
        assert service.receive() == {"Command": "ProxyDeath"}
