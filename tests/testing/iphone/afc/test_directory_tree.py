"""What only a tree in a directory has to face."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.file_tree import OpenMode
from usbmux.testing.iphone.afc.path_walk import MAX_DEPTH


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tree's directory, with a neighbour that nobody may reach."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour/secret").write_bytes(b"secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def descriptors(root: Path) -> Callable[[], int]:
    """Counts the open descriptors of what is in the tree; other tests may have left some of their own."""
    table = Path("/proc/self/fd")
    if not table.exists():
        pytest.skip("this system does not tell what is open")

    def is_inside(descriptor: str) -> bool:
        with suppress(FileNotFoundError):  # the one that the table was read through
            return os.readlink(table / descriptor).startswith(str(root))
        return False

    return lambda: sum(map(is_inside, os.listdir(table)))


@pytest.fixture
def host(root: Path) -> AfcHost:
    return AfcHost(DirectoryTree(root))


def test_operations_are_done_in_the_directory(root: Path, host: AfcHost) -> None:
    host.status(Operation.MAKE_DIRECTORY, "/a/b")
    host.put("/a/b/f", b"data")
    host.status(Operation.SET_MODIFIED, "/a/b/f", value=1_000_000_000_000_000_001)
    assert (root / "a/b/f").read_bytes() == b"data"
    assert (root / "a/b/f").stat().st_mtime_ns == 1_000_000_000_000_000_001


@pytest.mark.parametrize("target", ["../neighbour", "{absolute}"])
def test_link_that_leads_out_already_is_not_followed(root: Path, host: AfcHost, target: str) -> None:
    (root / "out").symlink_to(target.format(absolute=root.parent / "neighbour"))
    refused = {Status.DENIED, Status.NOT_FOUND}
    assert host.status(Operation.READ_DIRECTORY, "/out") in refused
    assert host.open_status("/out/secret") in refused
    assert host.open_status("/out/new", OpenMode.WRITE) in refused
    assert host.status(Operation.REMOVE, "/out/secret") in refused
    assert host.status(Operation.RENAME, "/out/secret", "/mine") in refused
    assert host.status(Operation.LINK, "/out/secret", "/mine", value=1) in refused
    assert sorted(path.name for path in (root.parent / "neighbour").iterdir()) == ["secret"]


def test_remove_with_contents_stops_at_links(root: Path, host: AfcHost) -> None:
    (root / "d").mkdir()
    (root / "d/out").symlink_to(root.parent / "neighbour")
    assert host.status(Operation.REMOVE_WITH_CONTENTS, "/d") is Status.OK
    assert (root.parent / "neighbour/secret").exists()


def test_directory_that_became_a_link_is_not_entered(root: Path) -> None:
    (root / "d").mkdir()
    directory = DirectoryTree(root).root()
    assert directory.info("d").kind == "S_IFDIR"
    (root / "d").rmdir()
    (root / "d").symlink_to("../neighbour")
    with pytest.raises(OSError):  # noqa: PT011  Linux says ENOTDIR, others ELOOP
        directory.enter("d")
    directory.close()


def test_file_that_became_a_link_is_not_opened(root: Path) -> None:
    (root / "f").symlink_to("../neighbour/secret")
    directory = DirectoryTree(root).root()
    for mode in OpenMode:
        with pytest.raises(OSError):  # noqa: PT011  Linux says ELOOP, others EMLINK
            directory.open_file("f", mode)
    directory.close()
    assert (root.parent / "neighbour/secret").read_bytes() == b"secret"


def test_parent_of_a_directory_that_was_moved_away_is_the_one_it_was_found_in(root: Path, host: AfcHost) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "f").write_bytes(b"")
    directory = DirectoryTree(root).root().enter("a")
    shutil.move(root / "a", root.parent / "moved")
    assert directory.names() == ["b"]
    directory.close()
    assert host.names("/") == [".", "..", "f"]


def test_open_a_pipe_is_refused_at_once(root: Path, host: AfcHost) -> None:
    os.mkfifo(root / "pipe")
    assert host.info("/pipe")["st_ifmt"] == "S_IFIFO"
    assert host.open_status("/pipe") is Status.DENIED
    assert host.open_status("/pipe", OpenMode.READ_WRITE) is Status.DENIED


def test_requests_leave_no_descriptors_open(root: Path, host: AfcHost, descriptors: Callable[[], int]) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "l").symlink_to("/a/b")
    os.mkfifo(root / "pipe")
    for path in ("/a/b", "/l/..", "/../x", "/a/none/x", "/pipe", "/"):
        host.ask(Operation.READ_DIRECTORY, path.encode())
        host.status(Operation.TRUNCATE, path, value=0)
        host.status(Operation.RENAME, path, "/none/x")
    host.put("/a/f", b"x")
    host.status(Operation.TRUNCATE, "/a/f", value=5)
    host.open("/a/f")
    assert descriptors() == 1
    host.session.close()
    host.status(Operation.REMOVE_WITH_CONTENTS, "/a")
    assert descriptors() == 0


def test_remove_that_gives_up_leaves_no_descriptors_open(
    root: Path, host: AfcHost, descriptors: Callable[[], int]
) -> None:
    deep = root / ("d/" * (MAX_DEPTH + 3))
    deep.mkdir(parents=True)
    assert host.status(Operation.REMOVE_WITH_CONTENTS, "/d") is Status.BAD_ARGUMENT
    assert descriptors() == 0
    assert deep.exists()


def test_root_that_is_gone_is_not_found(root: Path, host: AfcHost) -> None:
    root.rmdir()
    assert host.status(Operation.READ_DIRECTORY, "/") is Status.NOT_FOUND
    assert host.status(Operation.DEVICE_INFO) is Status.NOT_FOUND
