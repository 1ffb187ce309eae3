"""What only a tree in memory promises."""

import pytest

from tests.testing.iphone.afc.afc_host import AfcHost
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.file_tree import OpenMode
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.sparse_content import BLOCK_LENGTH, PAGE_LENGTH

MEGABYTE = 1 << 20


def test_new_tree_has_the_files_it_was_given() -> None:
    host = AfcHost(MemoryTree({"/DCIM/100APPLE/IMG_0001.JPG": b"jpeg", "top": b""}, ["Books", "/DCIM/a"]))
    assert host.names("/") == [".", "..", "Books", "DCIM", "top"]
    assert host.names("/DCIM") == [".", "..", "100APPLE", "a"]
    assert host.content("DCIM/100APPLE/IMG_0001.JPG") == b"jpeg"
    assert host.info("/DCIM")["st_nlink"] == "4"


def test_new_tree_with_a_file_in_a_file_is_refused() -> None:
    with pytest.raises(NotADirectoryError):
        MemoryTree({"a": b"", "a/b": b""})


def test_new_tree_that_is_too_full_is_refused() -> None:
    with pytest.raises(OSError, match="full"):
        MemoryTree({"a": bytes(8193)}, capacity=12288)
    assert MemoryTree({"a": bytes(8192)}, capacity=12288).space().free == 0


def test_times_are_those_of_the_clock() -> None:
    now = iter(range(1, 100))
    host = AfcHost(MemoryTree(clock=lambda: next(now)))
    host.put("/f", b"x")
    info = host.info("/f")
    assert 1 < int(info["st_birthtime"]) < int(info["st_mtime"])
    before = int(host.info("/")["st_mtime"])
    host.status(Operation.REMOVE, "/f")
    assert int(host.info("/")["st_mtime"]) > before


def test_full_tree_takes_what_fits_and_says_so() -> None:
    tree = MemoryTree(capacity=MEGABYTE)
    host = AfcHost(tree)
    handle = host.open("/f", OpenMode.WRITE)
    assert host.write(handle, bytes(2 * MEGABYTE)) is Status.NO_SPACE
    left = tree.space().free
    assert left < BLOCK_LENGTH
    assert host.status(Operation.REMOVE, "/f") is Status.OK
    assert tree.space().free == left + PAGE_LENGTH
    host.handle_status(Operation.CLOSE, handle)
    assert tree.space().free == tree.space().total == MEGABYTE


def test_names_alone_fill_a_tree() -> None:
    host = AfcHost(MemoryTree(capacity=10 * PAGE_LENGTH))
    statuses = [host.status(Operation.MAKE_DIRECTORY, f"/{number}") for number in range(12)]
    assert statuses == [Status.OK] * 10 + [Status.NO_SPACE] * 2
    assert host.open_status("/f", OpenMode.WRITE) is Status.NO_SPACE
    assert host.status(Operation.LINK, "x", "/l", value=2) is Status.NO_SPACE
    assert host.status(Operation.REMOVE, "/3") is Status.OK
    assert host.status(Operation.LINK, "x", "/l", value=2) is Status.OK
    assert host.status(Operation.LINK, "/l", "/m", value=1) is Status.NO_SPACE


def test_every_name_of_a_file_is_paid_for_and_given_back() -> None:
    tree = MemoryTree({"f": b"x"})
    host, free = AfcHost(tree), tree.space().free
    host.status(Operation.LINK, "/f", "/g", value=1)
    assert tree.space().free == free - PAGE_LENGTH
    host.status(Operation.REMOVE, "/f")
    assert tree.space().free == free
    host.status(Operation.REMOVE, "/g")
    assert tree.space().free == tree.space().total


def test_size_of_a_link_is_that_of_its_target_in_bytes() -> None:
    host = AfcHost(MemoryTree())
    host.status(Operation.LINK, "\u00fc", "/l", value=2)
    assert host.info("/l")["st_size"] == "2"


def test_every_byte_of_a_block_is_paid_for_in_pages() -> None:
    tree = MemoryTree(capacity=MEGABYTE)
    host = AfcHost(tree)
    handle = host.open("/f", OpenMode.READ_WRITE)
    before = tree.space().free
    for index in (0, 1, 1 << 30):
        host.handle_status(Operation.SEEK, handle, 0, index * BLOCK_LENGTH)
        host.write(handle, b"x")
    assert before - tree.space().free == 3 * PAGE_LENGTH
    assert host.info("/f")["st_blocks"] == str(3 * PAGE_LENGTH // 512)


def test_hole_is_free_and_reads_as_zeros() -> None:
    tree = MemoryTree(capacity=MEGABYTE)
    host = AfcHost(tree)
    handle = host.open("/f", OpenMode.READ_WRITE)
    before = tree.space().free
    assert host.handle_status(Operation.SET_SIZE, handle, 1 << 60) is Status.OK
    assert tree.space().free == before
    assert host.read(handle, 3 * BLOCK_LENGTH + 1) == bytes(3 * BLOCK_LENGTH + 1)


def test_cut_gives_back_and_forgets() -> None:
    tree = MemoryTree(capacity=MEGABYTE)
    host = AfcHost(tree)
    handle = host.open("/f", OpenMode.READ_WRITE)
    before = tree.space().free
    host.write(handle, b"x" * (2 * BLOCK_LENGTH + 5))
    host.handle_status(Operation.SET_SIZE, handle, 2)
    assert before - tree.space().free == PAGE_LENGTH
    assert host.info("/f")["st_blocks"] == str(PAGE_LENGTH // 512)
    host.handle_status(Operation.SET_SIZE, handle, 3 * BLOCK_LENGTH)
    assert host.content("/f") == b"xx" + bytes(3 * BLOCK_LENGTH - 2)


@pytest.mark.parametrize("start", [0, 1, BLOCK_LENGTH - 1, BLOCK_LENGTH, 3 * BLOCK_LENGTH - 7])
@pytest.mark.parametrize("length", [1, BLOCK_LENGTH, 2 * BLOCK_LENGTH + 3])
def test_write_across_blocks_reads_back(start: int, length: int) -> None:
    host = AfcHost(MemoryTree({"f": b"y" * 5 * BLOCK_LENGTH}))
    data = bytes(index % 251 for index in range(length))
    handle = host.open("/f", OpenMode.READ_WRITE)
    host.handle_status(Operation.SEEK, handle, 0, start)
    assert host.write(handle, data) is Status.OK
    rest = 5 * BLOCK_LENGTH - start - length
    assert host.content("/f") == b"y" * start + data + b"y" * rest


def test_target_of_a_link_has_a_limit() -> None:
    host = AfcHost(MemoryTree())
    assert host.status(Operation.LINK, "t" * 1024, "/l", value=2) is Status.OK
    assert host.status(Operation.LINK, "t" * 1025, "/m", value=2) is Status.BAD_ARGUMENT


def test_file_replaced_by_a_rename_gives_back_its_space() -> None:
    tree = MemoryTree({"a": bytes(MEGABYTE), "b": b""})
    free = tree.space().free
    AfcHost(tree).status(Operation.RENAME, "/b", "/a")
    assert tree.space().free == free + MEGABYTE + PAGE_LENGTH
