"""The stream of a session: pieces, order, bounds, and whatever a host may send."""

import tracemalloc
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.iphone.afc.afc_host import HEADER, AfcHost, Answer, answers, numbers, packet
from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.afc.codec import HEADER_LENGTH, Operation, Status
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.file_tree import FileTree, OpenMode
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.session import PIECE_LENGTH

MEGABYTE: Final = 1 << 20


def test_status_is_a_number_in_the_head_of_48_bytes() -> None:
    host = AfcHost()
    host.session.receive_data(packet(Operation.MAKE_DIRECTORY, b"/a\0", number=5))
    assert HEADER.unpack(host.session.data_to_send()[:HEADER_LENGTH]) == (b"CFA6LPAA", 48, 48, 5, Operation.STATUS)


def test_data_has_an_empty_head() -> None:
    host = AfcHost(MemoryTree({"f": b"abc"}))
    handle = host.open("/f")
    host.session.receive_data(packet(Operation.READ, numbers(handle, 9), number=5))
    reply = host.session.data_to_send()
    assert HEADER.unpack(reply[:HEADER_LENGTH]) == (b"CFA6LPAA", 43, 40, 5, Operation.DATA)
    assert reply[HEADER_LENGTH:] == b"abc"


def test_requests_in_one_piece_are_answered_in_order() -> None:
    host = AfcHost()
    requests = [packet(Operation.MAKE_DIRECTORY, f"/{number}".encode(), number=number) for number in (3, 1, 2)]
    found = host.exchange(b"".join(requests))
    assert [(answer.packet_number, answer.status) for answer in found] == [(3, 0), (1, 0), (2, 0)]


def test_request_in_single_bytes_is_answered_at_its_end() -> None:
    host = AfcHost()
    request = packet(Operation.WRITE, numbers(host.open("/f", OpenMode.WRITE)), b"data", number=7)
    for byte in request[:-1]:
        assert host.exchange(bytes([byte])) == []
    (answer,) = host.exchange(request[-1:])
    assert answer.status is Status.OK
    assert host.content("/f") == b"data"


def test_write_without_data_is_answered() -> None:
    host = AfcHost()
    assert host.write(host.open("/f", OpenMode.WRITE), b"") is Status.OK


def test_payload_that_nobody_wants_is_skipped() -> None:
    host = AfcHost(MemoryTree({"f": b"abc"}))
    for operation, status in ((Operation.WRITE, Status.BAD_ARGUMENT), (0x99, Status.UNSUPPORTED)):
        assert host.ask(operation, numbers(77), bytes(3 * MEGABYTE)).status is status
    assert host.write(host.open("/f"), bytes(3 * MEGABYTE)) is Status.DENIED
    assert host.names("/") == [".", "..", "f"]


def test_write_that_fails_in_the_middle_is_answered_at_its_end() -> None:
    host = AfcHost(MemoryTree(capacity=MEGABYTE))
    handle = host.open("/f", OpenMode.WRITE)
    request = packet(Operation.WRITE, numbers(handle), b"x" * (2 * MEGABYTE))
    step = MEGABYTE // 3
    found = [
        answer for start in range(0, len(request), step) for answer in host.exchange(request[start : start + step])
    ]
    assert [answer.status for answer in found] == [Status.NO_SPACE]
    assert host.names("/") == [".", "..", "f"]


def test_write_that_has_failed_drops_the_rest_though_there_is_room_again() -> None:
    host = AfcHost(MemoryTree({"ballast": bytes(MEGABYTE // 2)}, capacity=MEGABYTE))
    request = packet(Operation.WRITE, numbers(host.open("/f", OpenMode.WRITE)), b"x" * MEGABYTE + b"y")
    assert host.exchange(request[:-1]) == []
    AfcHost(host.tree).status(Operation.REMOVE, "/ballast")
    (answer,) = host.exchange(request[-1:])
    assert answer.status is Status.NO_SPACE
    assert b"y" not in host.content("/f")


def test_long_read_comes_in_pieces_behind_one_header(tree: FileTree) -> None:
    host = AfcHost(tree)
    data = bytes(index % 253 for index in range(PIECE_LENGTH * 2 + 5))
    host.put("/f", data)
    handle = host.open("/f")
    host.session.receive_data(packet(Operation.READ, numbers(handle, 1 << 62)))
    host.session.receive_data(packet(Operation.TELL, numbers(handle), number=2))
    pieces = list(iter(host.session.data_to_send, b""))
    assert max(map(len, pieces)) <= PIECE_LENGTH + HEADER_LENGTH
    first, second = answers(b"".join(pieces))
    assert first == Answer(1, Operation.DATA, b"", data)
    assert second.number == len(data)


def test_endless_read_takes_one_piece_of_memory() -> None:
    host = AfcHost()
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.handle_status(Operation.SET_SIZE, handle, 1 << 62)
    host.session.receive_data(packet(Operation.READ, numbers(handle, (1 << 64) - 1)))
    tracemalloc.start()
    try:
        for _ in range(64):
            assert len(host.session.data_to_send()) >= PIECE_LENGTH
        assert tracemalloc.get_traced_memory()[1] < 6 * PIECE_LENGTH
    finally:
        tracemalloc.stop()


def test_long_write_takes_as_much_memory_as_is_given(tmp_path: Path) -> None:
    host = AfcHost(DirectoryTree(tmp_path))
    handle = host.open("/f", OpenMode.WRITE)
    piece = bytes(PIECE_LENGTH)
    host.session.receive_data(
        HEADER.pack(b"CFA6LPAA", 48 + 64 * PIECE_LENGTH, 48, 1, Operation.WRITE) + numbers(handle)
    )
    tracemalloc.start()
    try:
        for _ in range(63):
            host.session.receive_data(piece)
            assert host.session.data_to_send() == b""
        assert tracemalloc.get_traced_memory()[1] < 6 * PIECE_LENGTH
    finally:
        tracemalloc.stop()
    (answer,) = host.exchange(piece)
    assert answer.status is Status.OK
    assert host.info("/f")["st_size"] == str(64 * PIECE_LENGTH)


def test_file_that_is_cut_while_it_is_read_ends_the_connection() -> None:
    host = AfcHost(MemoryTree({"f": bytes(2 * PIECE_LENGTH)}))
    host.session.receive_data(packet(Operation.READ, numbers(host.open("/f"), 2 * PIECE_LENGTH)))
    assert len(host.session.data_to_send()) == HEADER_LENGTH + PIECE_LENGTH
    assert AfcHost(host.tree).status(Operation.TRUNCATE, "/f", value=PIECE_LENGTH + 1) is Status.OK
    with pytest.raises(RemoteProtocolError, match="was cut"):
        host.session.data_to_send()


def test_no_packet_ends_the_connection() -> None:
    host = AfcHost()
    host.session.receive_data(packet(Operation.DEVICE_INFO) + bytes(HEADER_LENGTH))
    assert host.session.data_to_send()
    with pytest.raises(RemoteProtocolError, match="no AFC packet"):
        host.session.data_to_send()


PATHS = ["/", "/a", "/a/b", "a/../b", "/l", "/l/x", "..", "", "/a/b/c", "\udcff"]
OPERATIONS = [*Operation, 0x99]
heads = st.one_of(
    st.binary(max_size=24),
    st.builds(
        lambda values, paths: (
            numbers(*values) + b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
        ),
        st.lists(st.one_of(st.integers(0, 13), st.just((1 << 63) - 1)), max_size=3),
        st.lists(st.sampled_from(PATHS), max_size=2),
    ),
)


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), heads, st.binary(max_size=9)), max_size=30))
def test_every_request_has_one_answer_and_the_tree_stays_whole(requests: list[tuple[int, bytes, bytes]]) -> None:
    tree = MemoryTree({"a/b": b"content"}, capacity=1 << 17)
    host = AfcHost(tree)
    host.status(Operation.LINK, "a", "/l", value=2)
    for request in requests:
        if request[0] != Operation.READ:  # a hole may be longer than memory
            host.ask(*request)
    host.session.close()
    for name in host.names("/")[2:]:
        assert host.status(Operation.REMOVE_WITH_CONTENTS, "/" + name) is Status.OK
    assert tree.space().free == tree.space().total
