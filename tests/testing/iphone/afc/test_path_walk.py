"""Where paths lead, through links and never out, asked of both kinds of tree."""

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.file_tree import FileTree, OpenMode
from usbmux.testing.iphone.afc.path_walk import MAX_DEPTH, MAX_LINKS


@pytest.fixture
def host(tree: FileTree) -> AfcHost:
    """A host of a tree with /a/b/f."""
    host = AfcHost(tree)
    host.status(Operation.MAKE_DIRECTORY, "/a/b")
    host.put("/a/b/f", b"content")
    return host


def link(host: AfcHost, target: str, name: str) -> None:
    assert host.status(Operation.LINK, target, name, value=2) is Status.OK


@pytest.mark.parametrize("path", ["..", "/..", "/../", "/a/../..", "a/b/../../../a", "/../root/a"])
def test_path_above_the_root_is_denied(host: AfcHost, path: str) -> None:
    assert host.status(Operation.READ_DIRECTORY, path) is Status.DENIED
    assert host.status(Operation.FILE_INFO, path) is Status.DENIED
    assert host.status(Operation.REMOVE_WITH_CONTENTS, path) is Status.DENIED


@pytest.mark.parametrize("target", ["f", "../b/f", "./f", "/a/b/f", "..//..//a/b/f", "/a/./b/../b/f"])
def test_open_through_a_link_at_the_end(host: AfcHost, target: str) -> None:
    link(host, target, "/a/b/l")
    assert host.content("/a/b/l") == b"content"


@pytest.mark.parametrize("target", ["a/b", "/a/b", "./a/../a/b/."])
def test_open_through_a_link_on_the_way(host: AfcHost, target: str) -> None:
    link(host, target, "/l")
    assert host.content("/l/f") == b"content"
    assert host.names("/l") == [".", "..", "f"]


def test_parent_of_a_link_is_that_of_its_target(host: AfcHost) -> None:
    link(host, "a/b", "/l")
    assert host.names("/l/..") == [".", "..", "b"]


@pytest.mark.parametrize("target", ["..", "../..", "/..", "../../../../../../etc", "a/../.."])
def test_link_above_the_root_is_denied(host: AfcHost, target: str) -> None:
    link(host, target, "/l")
    for path in ("/l/", "/l/x"):
        assert host.status(Operation.READ_DIRECTORY, path) is Status.DENIED
    assert host.open_status("/l", OpenMode.READ_WRITE) is Status.DENIED
    assert host.open_status("/l/x", OpenMode.READ_WRITE) is Status.DENIED
    assert host.status(Operation.MAKE_DIRECTORY, "/l/x") is Status.DENIED


def test_absolute_link_begins_at_the_root_of_the_tree(host: AfcHost) -> None:
    link(host, "/etc/passwd", "/a/l")
    assert host.open_status("/a/l") is Status.NOT_FOUND
    host.status(Operation.MAKE_DIRECTORY, "/etc")
    host.put("/etc/passwd", b"the tree's own")
    assert host.content("/a/l") == b"the tree's own"


def test_info_of_a_link_is_its_own(host: AfcHost) -> None:
    link(host, "nowhere/\u00fc", "/l")
    info = host.info("/l")
    assert (info["st_ifmt"], info["LinkTarget"], info["st_nlink"]) == ("S_IFLNK", "nowhere/\u00fc", "1")


def test_modified_time_of_a_link_is_its_own(host: AfcHost) -> None:
    host.status(Operation.SET_MODIFIED, "/a/b/f", value=5)
    link(host, "a/b/f", "/l")
    assert host.status(Operation.SET_MODIFIED, "/l", value=7_000_000_000) is Status.OK
    assert (host.info("/l")["st_mtime"], host.info("/a/b/f")["st_mtime"]) == ("7000000000", "5")


@pytest.mark.parametrize("operation", [Operation.REMOVE, Operation.REMOVE_WITH_CONTENTS])
def test_remove_a_link_leaves_its_target(host: AfcHost, operation: Operation) -> None:
    link(host, "a/b", "/l")
    assert host.status(operation, "/l") is Status.OK
    assert host.names("/") == [".", "..", "a"]
    assert host.names("/a/b") == [".", "..", "f"]


def test_rename_moves_a_link_and_not_its_target(host: AfcHost) -> None:
    link(host, "a/b", "/l")
    assert host.status(Operation.RENAME, "/l", "/m") is Status.OK
    assert host.info("/m")["LinkTarget"] == "a/b"


def test_hard_link_to_a_link_is_a_second_name_of_the_link(host: AfcHost) -> None:
    link(host, "a/b/f", "/l")
    assert host.status(Operation.LINK, "/l", "/m", value=1) is Status.OK
    assert host.info("/m")["LinkTarget"] == "a/b/f"


def test_truncate_goes_through_a_link(host: AfcHost) -> None:
    link(host, "a/b/f", "/l")
    assert host.status(Operation.TRUNCATE, "/l", value=1) is Status.OK
    assert host.content("/a/b/f") == b"c"


def test_open_for_writing_through_a_dangling_link_makes_its_target(host: AfcHost) -> None:
    link(host, "a/new", "/l")
    assert host.open_status("/l") is Status.NOT_FOUND
    host.put("/l", b"x")
    assert host.content("/a/new") == b"x"


def test_make_directory_through_a_dangling_link_makes_its_target(host: AfcHost) -> None:
    link(host, "a/new", "/l")
    assert host.status(Operation.MAKE_DIRECTORY, "/l/x/y") is Status.OK
    assert host.names("/a/new/x") == [".", "..", "y"]


def test_links_in_a_circle_are_a_bad_argument(host: AfcHost) -> None:
    link(host, "m", "/l")
    link(host, "l", "/m")
    link(host, "self/x", "/self")
    for path in ("/l", "/l/x", "/self"):
        assert host.open_status(path, OpenMode.READ_WRITE) is Status.BAD_ARGUMENT


@pytest.mark.parametrize(("count", "status"), [(MAX_LINKS, Status.OK), (MAX_LINKS + 1, Status.BAD_ARGUMENT)])
def test_links_in_a_row_are_counted(host: AfcHost, count: int, status: Status) -> None:
    link(host, "a/b/f", "/l1")
    for number in range(2, count + 1):
        link(host, f"l{number - 1}", f"/l{number}")
    assert host.status(Operation.TRUNCATE, f"/l{count}", value=0) is status


@pytest.mark.parametrize(("depth", "status"), [(MAX_DEPTH, Status.OK), (MAX_DEPTH + 1, Status.BAD_ARGUMENT)])
def test_directories_too_deep_are_a_bad_argument(host: AfcHost, depth: int, status: Status) -> None:
    assert host.status(Operation.MAKE_DIRECTORY, "/d" * depth + "/last") is status
    assert host.status(Operation.REMOVE_WITH_CONTENTS, "/d") is Status.OK
    assert host.names("/") == [".", "..", "a"]


def test_name_of_a_file_as_a_directory_is_not_found(host: AfcHost) -> None:
    assert host.open_status("/a/b/f/g", OpenMode.READ_WRITE) is Status.NOT_FOUND
    assert host.status(Operation.FILE_INFO, "/a/b/f/..") is Status.NOT_FOUND


@pytest.fixture
def confined(host: AfcHost) -> AfcHost:
    """Another host of the same tree, for which only /a exists."""
    host.status(Operation.MAKE_DIRECTORY, "/secret/s")
    return AfcHost(host.tree, visible="a")


def test_confined_root_shows_what_is_visible(confined: AfcHost) -> None:
    assert confined.names("/") == [".", "..", "a"]
    assert confined.names("/a") == [".", "..", "b"]


def test_confined_host_is_denied_the_rest(confined: AfcHost) -> None:
    link(confined, "../secret", "/a/l")
    link(confined, "/secret", "/a/m")
    for path in ("/secret", "/secret/s", "/a/l/", "/a/../secret", "/a/m/s", "/none"):
        assert confined.status(Operation.READ_DIRECTORY, path) is Status.DENIED
        assert confined.status(Operation.MAKE_DIRECTORY, path + "/x") is Status.DENIED
    assert confined.status(Operation.RENAME, "/a/b", "/b") is Status.DENIED
    assert confined.status(Operation.REMOVE_WITH_CONTENTS, "/secret") is Status.DENIED
