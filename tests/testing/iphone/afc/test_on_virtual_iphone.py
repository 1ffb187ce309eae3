"""AFC of a virtual iPhone behind a daemon: started by lockdown, inside TLS."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testing.iphone.afc.afc_host import HEADER, Answer, numbers, packet
from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import VirtualIPhone, usual_services
from usbmux.testing.iphone.afc.codec import HEADER_LENGTH, Operation, Status
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.file_tree import OpenMode
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
from usbmux.testing.ports import pattern

HOST = TestHost()
LENGTH = 8 << 20


class Phone:
    """A phone behind a daemon, and a host that it trusts."""

    def __init__(self, phone: VirtualIPhone, daemon: RunningDaemon) -> None:
        self._phone = phone
        self._client = Client(daemon.address)

    def start(self, name: str) -> LockdownClient:
        """A connection to a service."""
        with self._dial(LOCKDOWN_PORT) as lockdown:
            assert "Error" not in lockdown.pair(HOST)
            lockdown.start_session(HOST)
            port = lockdown.request("StartService", Service=name)["Port"]
            assert isinstance(port, int)
            service = self._dial(port)
        service.start_tls(HOST.context())
        return service

    def _dial(self, port: int) -> LockdownClient:
        stream = self._client.connect(self._phone.udid, port)
        stream.settimeout(60)
        return LockdownClient(stream)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    """A phone whose media are in a directory."""
    iphone = VirtualIPhone(services=usual_services(DirectoryTree(tmp_path)))
    with RunningDaemon([iphone.device]) as daemon:
        yield Phone(iphone, daemon)
    assert iphone.device.violations == []


def ask(service: LockdownClient, operation: int, head: bytes = b"", payload: bytes = b"") -> Answer:
    service.stream.sendall(packet(operation, head, payload))
    _, entire_length, this_length, number, operation = HEADER.unpack(service.receive_exactly(HEADER_LENGTH))
    head = service.receive_exactly(this_length - HEADER_LENGTH)
    payload = b"".join(pieces(service, entire_length - this_length))
    return Answer(number, operation, head, payload)


def pieces(service: LockdownClient, length: int) -> Iterator[bytes]:
    while length:
        data = service.stream.recv(min(length, 1 << 16))
        assert data
        length -= len(data)
        yield data


def test_long_file_goes_there_and_back(phone: Phone, tmp_path: Path) -> None:
    data = bytes(pattern(LENGTH))
    with phone.start("com.apple.afc") as afc:
        handle = ask(afc, Operation.OPEN, numbers(OpenMode.READ_TRUNCATE) + b"/f\0").number
        assert ask(afc, Operation.WRITE, numbers(handle), data).status is Status.OK
        assert ask(afc, Operation.SEEK, numbers(handle, 0, 0)).status is Status.OK
        back = ask(afc, Operation.READ, numbers(handle, LENGTH)).data
    digests = [hashlib.sha256(copy).digest() for copy in (data, back, (tmp_path / "f").read_bytes())]
    assert digests == digests[:1] * 3


def test_container_of_an_application_is_served_on_the_connection_that_asked(phone: Phone) -> None:
    with phone.start("com.apple.mobile.house_arrest") as service:
        service.send({"Command": "VendDocuments", "Identifier": "com.example.notes"})
        assert service.receive() == {"Status": "Complete"}
        assert ask(service, Operation.READ_DIRECTORY, b"/").texts == [".", "..", "Documents"]


def test_reports_of_crashes_are_other_files_than_media(phone: Phone) -> None:
    with phone.start("com.apple.crashreportcopymobile") as reports:
        assert ask(reports, Operation.READ_DIRECTORY, b"/").texts == [".", ".."]


def test_device_info_tells_the_model_of_the_phone(phone: Phone) -> None:
    with phone.start("com.apple.afc") as afc:
        assert ask(afc, Operation.DEVICE_INFO).pairs["Model"].startswith("iPhone")
