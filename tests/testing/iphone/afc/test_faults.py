from dataclasses import replace
from pathlib import Path

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost, numbers, packet
from usbmux.testing.iphone.afc.codec import Operation
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.faults import MAX_HELD_READ, AfcFaults
from usbmux.testing.iphone.afc.file_tree import OpenMode
from usbmux.testing.iphone.afc.memory_tree import MemoryTree


def host_with(faults: AfcFaults) -> AfcHost:
    """A host of a tree with /f (ten bytes) whose requests are packets 1, 2, ..."""
    return AfcHost(MemoryTree({"f": b"0123456789"}), faults=faults)


def test_short_reads_give_the_rest_when_asked_again() -> None:
    host = host_with(AfcFaults(longest_read=4))
    handle = host.open("/f")
    assert [host.read(handle, 100) for _ in range(4)] == [b"0123", b"4567", b"89", b""]


def test_reads_without_data_do_not_move() -> None:
    host = host_with(AfcFaults(longest_read=0))
    handle = host.open("/f")
    assert host.read(handle, 100) == b""
    assert host.tell(handle) == 0


def test_wrong_packet_number_is_that_of_another_request() -> None:
    host = host_with(AfcFaults(packet_number_offset=1))
    (answer,) = host.exchange(packet(Operation.DEVICE_INFO, number=7))
    assert (answer.packet_number, answer.pairs["Model"]) == (8, "iPhone12,1")


def test_wrong_packet_number_stays_within_its_field() -> None:
    host = host_with(AfcFaults(packet_number_offset=-1))
    (answer,) = host.exchange(packet(Operation.DEVICE_INFO, number=0))
    assert answer.packet_number == (1 << 64) - 1


def test_status_in_payload_has_an_empty_head() -> None:
    host = host_with(AfcFaults(status_in_payload=True))
    answer = host.ask(Operation.REMOVE, b"/none")
    assert (answer.operation, answer.head, answer.payload) == (Operation.STATUS, b"", numbers(8))
    assert host.open("/f") == 1


def test_reordered_replies_wait_and_come_last_first() -> None:
    host = host_with(AfcFaults(reordered_replies=3))
    requests = [packet(Operation.READ_DIRECTORY, b"/", number=number) for number in range(1, 8)]
    found = [[answer.packet_number for answer in host.exchange(request)] for request in requests]
    assert found == [[], [], [3, 2, 1], [], [], [6, 5, 4], []]


def test_reordered_read_survives_the_close_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    host = AfcHost(DirectoryTree(tmp_path), faults=AfcFaults(after=1, reordered_replies=2))
    handle = host.open("/f")
    read = packet(Operation.READ, numbers(handle, 100), number=2)
    closed, data = host.exchange(read + packet(Operation.CLOSE, numbers(handle), number=3))
    assert (closed.packet_number, closed.status) == (3, 0)
    assert (data.packet_number, data.data) == (2, b"0123456789")


def test_reordered_reads_are_short_because_they_are_kept() -> None:
    host = AfcHost(MemoryTree({"f": bytes(2 * MAX_HELD_READ)}), faults=AfcFaults(after=1, reordered_replies=2))
    read = packet(Operation.READ, numbers(host.open("/f"), 1 << 40))
    assert [len(answer.data) for answer in host.exchange(read + read)] == [MAX_HELD_READ, MAX_HELD_READ]


@pytest.mark.parametrize(
    "faults",
    [AfcFaults(packet_number_offset=5), AfcFaults(status_in_payload=True), AfcFaults(longest_read=2)],
    ids=["packet number", "status", "read"],
)
def test_faults_begin_after_so_many_replies(faults: AfcFaults) -> None:
    requests = [
        packet(Operation.OPEN, numbers(OpenMode.READ) + b"/f"),
        packet(Operation.READ, numbers(1, 5)),
        packet(Operation.CLOSE, numbers(1)),
    ]
    right = host_with(AfcFaults()).exchange(b"".join(requests))
    assert host_with(replace(faults, after=3)).exchange(b"".join(requests)) == right
    wrong = host_with(replace(faults, after=1)).exchange(b"".join(requests))
    assert wrong[0] == right[0]
    assert wrong[1:] != right[1:]


def test_faults_by_default_are_none() -> None:
    host = host_with(AfcFaults())
    host.write(host.open("/f", OpenMode.APPEND), b"more")
    assert host.content("/f") == b"0123456789more"
