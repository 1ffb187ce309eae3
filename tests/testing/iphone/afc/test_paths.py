"""Operations on paths, asked of both kinds of tree."""

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost, numbers
from usbmux.testing.iphone.afc.codec import MAX_ARGUMENTS_LENGTH, Operation, Status
from usbmux.testing.iphone.afc.file_tree import FileTree


@pytest.fixture
def host(tree: FileTree) -> AfcHost:
    """A host of a tree with /a/b/c, /a/f (five bytes) and /e (empty)."""
    host = AfcHost(tree)
    host.status(Operation.MAKE_DIRECTORY, "/a/b/c")
    host.status(Operation.MAKE_DIRECTORY, "/e")
    host.put("/a/f", b"hello")
    return host


def test_read_directory_begins_with_itself_and_its_parent(host: AfcHost) -> None:
    assert host.names("/a") == [".", "..", "b", "f"]


@pytest.mark.parametrize("path", ["", "/", "a/..", "//a//./b/../..", "."])
def test_read_root_in_any_spelling(host: AfcHost, path: str) -> None:
    assert host.names(path) == [".", "..", "a", "e"]


@pytest.mark.parametrize("head", [b"/a", b"/a\0", b"/a\0rest\0"])
def test_path_ends_at_nul_or_at_the_end(host: AfcHost, head: bytes) -> None:
    assert host.ask(Operation.READ_DIRECTORY, head).texts == [".", "..", "b", "f"]


def test_read_directory_missing_is_not_found(host: AfcHost) -> None:
    assert host.status(Operation.READ_DIRECTORY, "/none") is Status.NOT_FOUND


def test_read_directory_of_a_file_is_not_found(host: AfcHost) -> None:
    assert host.status(Operation.READ_DIRECTORY, "/a/f") is Status.NOT_FOUND


def test_info_of_a_file(host: AfcHost) -> None:
    host.status(Operation.SET_MODIFIED, "/a/f", value=1_000_000_000_000_000_007)
    info = host.info("/a/f")
    assert list(info) == ["st_size", "st_blocks", "st_nlink", "st_ifmt", "st_mtime", "st_birthtime"]
    assert (info["st_size"], info["st_nlink"], info["st_ifmt"]) == ("5", "1", "S_IFREG")
    assert info["st_mtime"] == "1000000000000000007"
    assert int(info["st_blocks"]) > 0
    assert int(info["st_birthtime"]) > 0


@pytest.mark.parametrize("path", ["/", "/a", "/a/b/"])
def test_info_of_a_directory(host: AfcHost, path: str) -> None:
    assert host.info(path)["st_ifmt"] == "S_IFDIR"


def test_info_missing_is_not_found(host: AfcHost) -> None:
    assert host.status(Operation.FILE_INFO, "/a/none") is Status.NOT_FOUND


def test_info_below_a_file_is_not_found(host: AfcHost) -> None:
    assert host.status(Operation.FILE_INFO, "/a/f/g") is Status.NOT_FOUND


def test_device_info_has_a_model_and_a_block_size(host: AfcHost) -> None:
    info = host.ask(Operation.DEVICE_INFO).pairs
    assert list(info) == ["Model", "FSTotalBytes", "FSFreeBytes", "FSBlockSize"]
    assert info["Model"] == "iPhone12,1"
    assert int(info["FSTotalBytes"]) >= int(info["FSFreeBytes"]) > 0
    assert int(info["FSBlockSize"]) > 0


def test_make_directory_twice_is_fine(host: AfcHost) -> None:
    assert host.status(Operation.MAKE_DIRECTORY, "/x/y") is Status.OK
    assert host.status(Operation.MAKE_DIRECTORY, "/x/y/") is Status.OK
    assert host.status(Operation.MAKE_DIRECTORY, "/") is Status.OK
    assert host.names("/x") == [".", "..", "y"]


def test_make_directory_over_a_file_exists(host: AfcHost) -> None:
    assert host.status(Operation.MAKE_DIRECTORY, "/a/f") is Status.EXISTS
    assert host.status(Operation.MAKE_DIRECTORY, "/a/f/g") is Status.NOT_FOUND


@pytest.mark.parametrize("operation", [Operation.REMOVE, Operation.REMOVE_WITH_CONTENTS])
@pytest.mark.parametrize("path", ["/a/f", "/e"])
def test_remove_a_file_or_an_empty_directory(host: AfcHost, operation: Operation, path: str) -> None:
    assert host.status(operation, path) is Status.OK
    assert host.status(Operation.FILE_INFO, path) is Status.NOT_FOUND
    assert host.status(operation, path) is Status.NOT_FOUND


def test_remove_a_full_directory_says_unknown_error(host: AfcHost) -> None:
    assert host.status(Operation.REMOVE, "/a") is Status.UNKNOWN_ERROR
    assert host.names("/a") == [".", "..", "b", "f"]


def test_remove_with_contents_leaves_its_neighbours(host: AfcHost) -> None:
    host.status(Operation.LINK, "/e", "/a/link", value=2)
    host.put("/e/kept", b"")
    assert host.status(Operation.REMOVE_WITH_CONTENTS, "/a") is Status.OK
    assert host.names("/") == [".", "..", "e"]
    assert host.names("/e") == [".", "..", "kept"]


@pytest.mark.parametrize("operation", [Operation.REMOVE, Operation.REMOVE_WITH_CONTENTS])
@pytest.mark.parametrize("path", ["/", "", "/a/..", "/e/../."])
def test_remove_the_root_is_denied(host: AfcHost, operation: Operation, path: str) -> None:
    assert host.status(operation, path) is Status.DENIED
    assert host.names("/") == [".", "..", "a", "e"]


def test_rename_moves_a_file_over_another_one(host: AfcHost) -> None:
    host.put("/e/g", b"old")
    assert host.status(Operation.RENAME, "/a/f", "/e/g") is Status.OK
    assert host.content("/e/g") == b"hello"
    assert host.names("/a") == [".", "..", "b"]


def test_rename_moves_a_directory_with_what_is_in_it(host: AfcHost) -> None:
    assert host.status(Operation.RENAME, "/a", "/e") is Status.OK
    assert host.content("/e/f") == b"hello"
    assert host.names("/e/b/../..") == [".", "..", "e"]


def test_rename_of_a_directory_into_what_was_moved_into_it_is_a_bad_argument(host: AfcHost) -> None:
    host.status(Operation.RENAME, "/a", "/e/a")
    assert host.status(Operation.RENAME, "/e", "/e/a/b/e") is Status.BAD_ARGUMENT
    assert host.names("/e/a/b") == [".", "..", "c"]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("/none", "/x", Status.NOT_FOUND),
        ("/a/f", "/none/x", Status.NOT_FOUND),
        ("/a", "/a/b/d", Status.BAD_ARGUMENT),
        ("/a", "/a", Status.OK),
        ("/e", "/a", Status.UNKNOWN_ERROR),
        ("/e", "/a/f", Status.NOT_FOUND),
        ("/a/f", "/e", Status.IS_DIRECTORY),
        ("/a", "/", Status.DENIED),
        ("/", "/b", Status.DENIED),
    ],
)
def test_rename_that_changes_nothing(host: AfcHost, old: str, new: str, status: Status) -> None:
    assert host.status(Operation.RENAME, old, new) is status
    assert host.names("/") == [".", "..", "a", "e"]
    assert host.names("/a") == [".", "..", "b", "f"]


def test_truncate_cuts_and_lengthens(host: AfcHost) -> None:
    assert host.status(Operation.TRUNCATE, "/a/f", value=2) is Status.OK
    assert host.content("/a/f") == b"he"
    assert host.status(Operation.TRUNCATE, "/a/f", value=4) is Status.OK
    assert host.content("/a/f") == b"he\0\0"


@pytest.mark.parametrize(("path", "status"), [("/none", Status.NOT_FOUND), ("/a", Status.IS_DIRECTORY)])
def test_truncate_what_is_no_file(host: AfcHost, path: str, status: Status) -> None:
    assert host.status(Operation.TRUNCATE, path, value=0) is status
    assert host.names("/") == [".", "..", "a", "e"]


def test_truncate_beyond_any_file_has_no_space(host: AfcHost) -> None:
    assert host.status(Operation.TRUNCATE, "/a/f", value=(1 << 64) - 1) is Status.NO_SPACE


def test_hard_link_is_a_second_name(host: AfcHost) -> None:
    assert host.status(Operation.LINK, "/a/f", "/e/g", value=1) is Status.OK
    assert host.info("/e/g")["st_nlink"] == "2"
    host.status(Operation.REMOVE, "/a/f")
    assert host.content("/e/g") == b"hello"
    assert host.info("/e/g")["st_nlink"] == "1"


@pytest.mark.parametrize(
    ("kind", "target", "name", "status"),
    [
        (1, "/a/f", "/e", Status.EXISTS),
        (2, "/a/f", "/e", Status.EXISTS),
        (1, "/a", "/x", Status.DENIED),
        (1, "/none", "/x", Status.NOT_FOUND),
        (2, "", "/x", Status.NOT_FOUND),
        (2, "/a", "/", Status.DENIED),
        (3, "/a/f", "/x", Status.BAD_ARGUMENT),
    ],
)
def test_link_that_cannot_be(host: AfcHost, kind: int, target: str, name: str, status: Status) -> None:
    assert host.status(Operation.LINK, target, name, value=kind) is status
    assert host.names("/") == [".", "..", "a", "e"]


@pytest.mark.parametrize("operation", [Operation.READ_DIRECTORY, Operation.RENAME, Operation.OPEN])
def test_arguments_too_long_are_bad_and_skipped(host: AfcHost, operation: Operation) -> None:
    assert host.ask(operation, bytes(MAX_ARGUMENTS_LENGTH + 1)).status is Status.BAD_ARGUMENT
    assert host.names("/") == [".", "..", "a", "e"]


@pytest.mark.parametrize("name", ["n" * 255, "\u00fc" * 127, "with space", "\U0001f600"])
def test_any_name_is_kept(host: AfcHost, name: str) -> None:
    host.put(f"/e/{name}", b"x")
    assert host.names("/e") == [".", "..", name]


def test_name_that_is_not_utf_8_is_kept(host: AfcHost) -> None:
    host.ask(Operation.MAKE_DIRECTORY, b"/e/\xff\xfe")
    assert host.ask(Operation.READ_DIRECTORY, b"/e").data == b".\0..\0\xff\xfe\0"


def test_name_too_long_is_a_bad_argument(host: AfcHost) -> None:
    assert host.status(Operation.MAKE_DIRECTORY, "/" + "n" * 256) is Status.BAD_ARGUMENT


@pytest.mark.parametrize("operation", [0x00, 0x01, 0x02, 0x04, 0x0E, 0x13, 0x16, 0x99, (1 << 64) - 1])
def test_unknown_operation_is_unsupported(host: AfcHost, operation: int) -> None:
    assert host.ask(operation, numbers(1), b"payload").status is Status.UNSUPPORTED
    assert host.names("/e") == [".", ".."]
