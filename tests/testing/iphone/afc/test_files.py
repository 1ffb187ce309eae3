"""Operations on open files, asked of both kinds of tree."""

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost, numbers
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.file_operations import MAX_OPEN_FILES
from usbmux.testing.iphone.afc.file_tree import FileTree, LockKind, OpenMode

END = (1 << 63) - 1


@pytest.fixture
def host(tree: FileTree) -> AfcHost:
    """A host of a tree with /f (ten bytes) and /d (empty)."""
    host = AfcHost(tree)
    host.status(Operation.MAKE_DIRECTORY, "/d")
    host.put("/f", b"0123456789")
    return host


def test_open_gives_handles_that_are_never_0(host: AfcHost) -> None:
    first, second = host.open("/f"), host.open("/f")
    assert 0 < first < second
    host.handle_status(Operation.CLOSE, second)
    assert host.open("/f") > second


@pytest.mark.parametrize("mode", OpenMode)
def test_open_a_directory_says_so(host: AfcHost, mode: OpenMode) -> None:
    assert host.open_status("/d", mode) is Status.IS_DIRECTORY
    assert host.open_status("/", mode) is Status.IS_DIRECTORY
    assert host.status(Operation.TRUNCATE, "/", value=0) is Status.IS_DIRECTORY
    assert host.names("/") == [".", "..", "d", "f"]


@pytest.mark.parametrize("mode", [0, 7, (1 << 64) - 1])
def test_open_in_no_mode_is_a_bad_argument(host: AfcHost, mode: int) -> None:
    assert host.open_status("/new", mode) is Status.BAD_ARGUMENT
    assert host.names("/") == [".", "..", "d", "f"]


def test_open_missing_for_reading_is_not_found(host: AfcHost) -> None:
    assert host.open_status("/new", OpenMode.READ) is Status.NOT_FOUND
    assert host.names("/") == [".", "..", "d", "f"]


@pytest.mark.parametrize("mode", [mode for mode in OpenMode if mode is not OpenMode.READ])
def test_open_missing_for_writing_makes_it(host: AfcHost, mode: OpenMode) -> None:
    handle = host.open("/new", mode)
    assert host.write(handle, b"x") is Status.OK
    assert host.content("/new") == b"x"


@pytest.mark.parametrize(
    ("mode", "after"),
    [
        (OpenMode.READ_WRITE, b"XX23456789"),
        (OpenMode.WRITE, b"XX"),
        (OpenMode.READ_TRUNCATE, b"XX"),
        (OpenMode.APPEND, b"0123456789XX"),
        (OpenMode.READ_APPEND, b"0123456789XX"),
    ],
)
def test_write_goes_where_the_mode_says(host: AfcHost, mode: OpenMode, after: bytes) -> None:
    assert host.write(host.open("/f", mode), b"XX") is Status.OK
    assert host.content("/f") == after


@pytest.mark.parametrize("mode", [OpenMode.WRITE, OpenMode.APPEND])
def test_read_what_is_open_for_writing_is_denied(host: AfcHost, mode: OpenMode) -> None:
    handle = host.open("/f", mode)
    assert host.handle_status(Operation.READ, handle, 1) is Status.DENIED


def test_write_what_is_open_for_reading_is_denied(host: AfcHost) -> None:
    handle = host.open("/f")
    assert host.write(handle, b"x") is Status.DENIED
    assert host.handle_status(Operation.SET_SIZE, handle, 0) is Status.DENIED
    assert host.content("/f") == b"0123456789"


@pytest.mark.parametrize("operation", ["READ", "WRITE", "SEEK", "TELL", "CLOSE", "SET_SIZE", "LOCK"])
def test_unknown_handle_is_a_bad_argument(host: AfcHost, operation: str) -> None:
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.handle_status(Operation.CLOSE, handle)
    for unknown in (0, handle, 99):
        assert host.handle_status(Operation[operation], unknown, 5, 0) is Status.BAD_ARGUMENT
    assert host.ask(Operation[operation], b"short").status is Status.BAD_ARGUMENT


def test_reads_go_on_where_the_last_one_ended(host: AfcHost) -> None:
    handle = host.open("/f")
    assert [host.read(handle, 4) for _ in range(4)] == [b"0123", b"4567", b"89", b""]
    assert host.tell(handle) == 10
    assert host.read(handle, 0) == b""


@pytest.mark.parametrize(
    ("whence", "offset", "position"), [(0, 3, 3), (1, 3, 7), (1, -4, 0), (2, -1, 9), (2, 5, 15), (0, END, END)]
)
def test_seek_moves_from_beginning_position_and_end(host: AfcHost, whence: int, offset: int, position: int) -> None:
    handle = host.open("/f")
    host.read(handle, 4)
    assert host.handle_status(Operation.SEEK, handle, whence, offset) is Status.OK
    assert host.tell(handle) == position
    assert host.read(handle, 3) == b"0123456789"[position : position + 3]


@pytest.mark.parametrize(("whence", "offset"), [(0, -1), (1, -5), (2, -11), (3, 0), (2, END)])
def test_seek_to_no_position_is_a_bad_argument(host: AfcHost, whence: int, offset: int) -> None:
    handle = host.open("/f")
    host.read(handle, 4)
    assert host.handle_status(Operation.SEEK, handle, whence, offset) is Status.BAD_ARGUMENT
    assert host.tell(handle) == 4


def test_write_beyond_the_end_leaves_zeros(host: AfcHost) -> None:
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.handle_status(Operation.SEEK, handle, 0, 12)
    assert host.write(handle, b"end") is Status.OK
    assert host.content("/f") == b"0123456789\0\0end"
    assert host.tell(handle) == 15


def test_write_beyond_any_file_has_no_space(host: AfcHost) -> None:
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.handle_status(Operation.SEEK, handle, 0, END)
    assert host.write(handle, b"x") is Status.NO_SPACE
    assert host.content("/f") == b"0123456789"


def test_set_size_cuts_and_lengthens_by_zeros(host: AfcHost) -> None:
    handle = host.open("/f", OpenMode.READ_WRITE)
    assert host.handle_status(Operation.SET_SIZE, handle, 4) is Status.OK
    assert host.handle_status(Operation.SET_SIZE, handle, 6) is Status.OK
    assert host.read(handle, 100) == b"0123\0\0"
    assert host.handle_status(Operation.SET_SIZE, handle, END + 1) is Status.NO_SPACE


def test_file_that_is_removed_while_open_lives_on_for_its_handle(host: AfcHost) -> None:
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.status(Operation.REMOVE, "/f")
    assert host.read(handle, 100) == b"0123456789"
    assert host.write(handle, b"more") is Status.OK
    assert host.names("/") == [".", "..", "d"]


def test_file_open_twice_is_the_same_file(host: AfcHost) -> None:
    reader, writer = host.open("/f"), host.open("/f", OpenMode.READ_WRITE)
    host.write(writer, b"abc")
    assert host.read(reader, 4) == b"abc3"


def test_open_files_are_limited(host: AfcHost) -> None:
    handles = [host.open("/f") for _ in range(MAX_OPEN_FILES)]
    assert host.open_status("/new", OpenMode.WRITE) is Status.NO_RESOURCES
    assert host.names("/") == [".", "..", "d", "f"]
    host.handle_status(Operation.CLOSE, handles[0])
    assert host.open("/f") > handles[-1]
    host.session.close()


@pytest.mark.parametrize(
    ("held", "wanted", "status"),
    [
        (LockKind.SHARED, LockKind.SHARED, Status.OK),
        (LockKind.SHARED, LockKind.EXCLUSIVE, Status.WOULD_BLOCK),
        (LockKind.EXCLUSIVE, LockKind.SHARED, Status.WOULD_BLOCK),
        (LockKind.EXCLUSIVE, LockKind.EXCLUSIVE, Status.WOULD_BLOCK),
        (LockKind.NONE, LockKind.EXCLUSIVE, Status.OK),
    ],
)
def test_lock_of_another_session_decides(host: AfcHost, held: LockKind, wanted: LockKind, status: Status) -> None:
    other = AfcHost(host.tree)
    first, second = other.open("/f"), host.open("/f", OpenMode.READ_WRITE)
    assert other.handle_status(Operation.LOCK, first, LockKind.EXCLUSIVE) is Status.OK
    assert other.handle_status(Operation.LOCK, first, held) is Status.OK
    assert host.handle_status(Operation.LOCK, second, wanted) is status
    other.session.close()
    assert host.handle_status(Operation.LOCK, second, LockKind.EXCLUSIVE) is Status.OK


def test_lock_goes_with_its_handle(host: AfcHost) -> None:
    first, second = host.open("/f"), host.open("/f")
    assert host.handle_status(Operation.LOCK, first, LockKind.EXCLUSIVE) is Status.OK
    assert host.handle_status(Operation.LOCK, second, LockKind.SHARED) is Status.WOULD_BLOCK
    host.handle_status(Operation.CLOSE, first)
    assert host.handle_status(Operation.LOCK, second, LockKind.SHARED) is Status.OK


def test_lock_of_no_kind_is_a_bad_argument(host: AfcHost) -> None:
    assert host.handle_status(Operation.LOCK, host.open("/f"), 4) is Status.BAD_ARGUMENT


def test_close_of_the_session_closes_what_is_open(host: AfcHost) -> None:
    handle = host.open("/f")
    host.session.close()
    assert host.ask(Operation.CLOSE, numbers(handle)).status is Status.BAD_ARGUMENT
