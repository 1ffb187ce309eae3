import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.iphone.afc.afc_host import HEADER, packet
from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.afc.codec import (
    MAX_ARGUMENTS_LENGTH,
    Operation,
    Request,
    RequestReader,
    Status,
    encode_header,
)


def reader_of(data: bytes) -> RequestReader:
    reader = RequestReader()
    reader.receive_data(data)
    return reader


def read_all(pieces: list[bytes]) -> list[tuple[Request, bytes]]:
    """Every request with its payload, however the stream is cut."""
    reader = RequestReader()
    found: list[tuple[Request, bytes]] = []
    for piece in pieces:
        reader.receive_data(piece)
        while True:
            if found and reader.payload_left:
                taken = reader.take_payload()
                found[-1] = (found[-1][0], found[-1][1] + taken)
                if not taken:
                    break
            elif (request := reader.next_request()) is not None:
                found.append((request, b""))
            else:
                break
    return found


def test_header_has_the_layout_of_the_document() -> None:
    assert encode_header(Operation.STATUS, 7, b"\x08" + bytes(7)) == bytes.fromhex(
        "434641364c504141 3000000000000000 3000000000000000 0700000000000000 0100000000000000 0800000000000000"
    )


def test_header_of_data_counts_the_payload_in_the_entire_length_only() -> None:
    assert HEADER.unpack(encode_header(Operation.DATA, 1, payload_length=5)) == (b"CFA6LPAA", 45, 40, 1, 2)


def test_idle_whole_request_is_read() -> None:
    reader = reader_of(packet(Operation.FILE_INFO, b"/a\0", number=9))
    assert reader.next_request() == Request(9, Operation.FILE_INFO, b"/a\0", 0)
    assert reader.next_request() is None


def test_idle_arguments_in_payload_are_read_like_those_in_head() -> None:
    reader = reader_of(packet(Operation.FILE_INFO, b"/", b"a"))
    assert reader.next_request() == Request(1, Operation.FILE_INFO, b"/a", 0)


@pytest.mark.parametrize(
    ("head", "payload"), [(bytes(8), b"data"), (bytes(8) + b"data", b""), (b"", bytes(8) + b"data")]
)
def test_idle_write_is_read_up_to_its_data(head: bytes, payload: bytes) -> None:
    reader = reader_of(packet(Operation.WRITE, head, payload))
    assert reader.next_request() == Request(1, Operation.WRITE, bytes(8), 4)
    assert (reader.payload_left, reader.take_payload(), reader.payload_left) == (4, b"data", 0)


def test_write_payload_without_end_is_passed_on_as_it_comes() -> None:
    reader = reader_of(HEADER.pack(b"CFA6LPAA", (1 << 64) - 1, 48, 1, Operation.WRITE) + bytes(8))
    request = reader.next_request()
    assert request is not None
    assert request.payload_length == (1 << 64) - 49
    reader.receive_data(b"some")
    assert reader.take_payload() == b"some"
    assert reader.payload_left == (1 << 64) - 53


def test_write_without_a_whole_handle_keeps_what_there_is() -> None:
    assert reader_of(packet(Operation.WRITE, b"abc")).next_request() == Request(1, Operation.WRITE, b"abc", 0)


def test_arguments_at_the_limit_are_kept() -> None:
    request = reader_of(packet(Operation.REMOVE, bytes(MAX_ARGUMENTS_LENGTH))).next_request()
    assert request == Request(1, Operation.REMOVE, bytes(MAX_ARGUMENTS_LENGTH), 0)


def test_arguments_beyond_the_limit_become_payload() -> None:
    request = reader_of(packet(Operation.REMOVE, bytes(MAX_ARGUMENTS_LENGTH + 1))).next_request()
    assert request == Request(1, Operation.REMOVE, b"", MAX_ARGUMENTS_LENGTH + 1)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.pack(b"CFA6LPAB", 40, 40, 1, 3),
        HEADER.pack(b"CFA6LPAA", 40, 39, 1, 3),
        HEADER.pack(b"CFA6LPAA", 40, 41, 1, 3),
        HEADER.pack(b"CFA6LPAA", 0, 0, 1, 3),
    ],
    ids=["magic", "short", "head beyond the end", "zeros"],
)
def test_impossible_header_is_an_error_for_good(header: bytes) -> None:
    reader = reader_of(header)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as caught:
            reader.next_request()
        assert caught.value.data == header
        reader.receive_data(packet(Operation.DEVICE_INFO))


@pytest.mark.parametrize("data", [b"G", b"CFA6LPA\0", b"CFA6LPAB"])
def test_anything_but_the_magic_is_an_error_at_once(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        reader_of(data).next_request()


def test_beginning_of_the_magic_is_waited_with() -> None:
    assert reader_of(b"CFA6").next_request() is None


requests = st.tuples(
    st.sampled_from([Operation.WRITE, Operation.READ, Operation.RENAME, 0x99]),
    st.binary(max_size=60),
    st.binary(max_size=200),
)


@given(st.lists(requests, max_size=5), st.data())
def test_any_cut_of_the_stream_gives_the_same_requests(
    made: list[tuple[int, bytes, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(packet(*request, number=number) for number, request in enumerate(made))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = read_all(pieces)
    assert found == read_all([stream])
    assert [(request.operation, request.arguments + payload) for request, payload in found] == [
        (operation, head + payload) for operation, head, payload in made
    ]


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(data: bytes) -> None:
    reader = reader_of(data)
    try:
        while (request := reader.next_request()) is not None and not request.payload_length:
            pass
    except RemoteProtocolError:
        pass


def test_status_codes_are_those_of_the_document() -> None:
    assert {status.name: status.value for status in Status} == {
        "OK": 0,
        "UNKNOWN_ERROR": 1,
        "NO_RESOURCES": 3,
        "READ_ERROR": 4,
        "BAD_ARGUMENT": 7,
        "NOT_FOUND": 8,
        "IS_DIRECTORY": 9,
        "DENIED": 10,
        "UNSUPPORTED": 15,
        "EXISTS": 16,
        "NO_SPACE": 18,
        "WOULD_BLOCK": 19,
        "IO_ERROR": 20,
    }
