"""A file tree in memory."""

import errno
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, assert_never

from usbmux.testing.iphone.afc.file_tree import Directory, FileInfo, LockKind, OpenFile, OpenMode, Space
from usbmux.testing.iphone.afc.memory_node import (
    BLOCK_SIZE,
    DirectoryNode,
    FileNode,
    LinkNode,
    Node,
    check_replacement,
    encoded_length,
    is_inside,
    node_info,
)
from usbmux.testing.iphone.afc.sparse_content import Capacity, SparseContent

MAX_NAME_LENGTH: Final = 255
"""Longest name of one file, in bytes of UTF-8."""
MAX_TARGET_LENGTH: Final = 1024
"""Longest target of a symbolic link, in bytes of UTF-8."""


class MemoryTree:
    """Files in memory, gone with the object.

    Args:
        files: What is in it from the start: contents by path.
        directories: More directories, by path; those that files lie in need not be named.
        capacity: Bytes that it may take; besides the content of its file, each name costs 4096.
        clock: The time, in nanoseconds since 1970.

    Raises:
        OSError: The files do not fit, or one of them lies in another one.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        directories: Iterable[str] = (),
        *,
        capacity: int = 1 << 30,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.capacity: Final = Capacity(capacity)
        self.clock: Final = clock
        now = clock()
        self._root: Final = DirectoryNode(None, now, now)
        for path in directories:
            self._directory(path)
        for path, content in (files or {}).items():
            parent, _, name = path.rpartition("/")
            file = self._directory(parent).open_file(name, OpenMode.WRITE)
            file.write_at(0, content)
            file.close()

    def root(self) -> Directory:
        """Open the directory that is ``/`` to the host."""
        return _MemoryDirectory(self, self._root)

    def space(self) -> Space:
        """How much there is room for."""
        return Space(self.capacity.total, self.capacity.free, BLOCK_SIZE)

    def _directory(self, path: str) -> "_MemoryDirectory":
        directory = _MemoryDirectory(self, self._root)
        for name in path.split("/"):
            if name:
                directory = directory.make_or_enter(name)
        return directory


class _MemoryDirectory:
    def __init__(self, tree: MemoryTree, node: DirectoryNode) -> None:
        self._tree = tree
        self._node = node

    def names(self) -> list[str]:
        return sorted(self._node.nodes)

    def info(self, name: str) -> FileInfo:
        return node_info(self._get(name))

    def set_modified(self, name: str, modified_ns: int) -> None:
        self._get(name).modified_ns = modified_ns

    def enter(self, name: str) -> "_MemoryDirectory":
        node = self._get(name)
        if not isinstance(node, DirectoryNode):
            raise NotADirectoryError(errno.ENOTDIR, "no directory", name)
        return _MemoryDirectory(self._tree, node)

    def make_or_enter(self, name: str) -> "_MemoryDirectory":
        if name not in self._node.nodes:
            self.make_directory(name)
        return self.enter(name)

    def open_file(self, name: str, mode: OpenMode) -> OpenFile:
        if mode.is_writable and name not in self._node.nodes:
            now = self._tree.clock()
            self._add(name, FileNode(SparseContent(self._tree.capacity), now, now))
        match self._get(name):
            case FileNode() as node:
                file = _MemoryFile(self._tree, node)
            case DirectoryNode():
                raise IsADirectoryError(errno.EISDIR, "a directory", name)
            case LinkNode():
                raise OSError(errno.ELOOP, "a symbolic link", name)
            case other:
                assert_never(other)
        if mode.truncates:
            file.resize(0)
        return file

    def make_directory(self, name: str) -> None:
        now = self._tree.clock()
        self._add(name, DirectoryNode(self._node, now, now))

    def make_symbolic_link(self, target: str, name: str) -> None:
        if not target:
            raise FileNotFoundError(errno.ENOENT, "a link to nothing", name)
        if encoded_length(target) > MAX_TARGET_LENGTH:
            raise OSError(errno.ENAMETOOLONG, "the target is too long", target)
        now = self._tree.clock()
        self._add(name, LinkNode(target, now, now))

    def make_hard_link(self, name: str, to: Directory, new_name: str) -> None:
        node, destination = self._get(name), _own(to)
        if isinstance(node, DirectoryNode):
            raise PermissionError(errno.EPERM, "a directory has one name", name)
        destination.check_new(new_name)
        self._tree.capacity.take(BLOCK_SIZE)
        node.names += 1
        destination.put(new_name, node)

    def rename(self, name: str, to: Directory, new_name: str) -> None:
        node, destination = self._get(name), _own(to)
        if is_inside(destination._node, node):
            raise OSError(errno.EINVAL, "a directory cannot lie in itself", new_name)
        old = destination._node.nodes.get(new_name)
        if old is node:
            return
        if old is None:
            destination.check_new(new_name)
        else:
            check_replacement(node, old)
            destination.remove(new_name)
        del self._node.nodes[name]
        self._node.modified_ns = self._tree.clock()
        destination.put(new_name, node)
        if isinstance(node, DirectoryNode):
            node.parent = destination._node

    def remove(self, name: str) -> None:
        node = self._get(name)
        if isinstance(node, DirectoryNode) and node.nodes:
            raise OSError(errno.ENOTEMPTY, "the directory is not empty", name)
        del self._node.nodes[name]
        self._node.modified_ns = self._tree.clock()
        self._tree.capacity.give_back(BLOCK_SIZE)
        node.names -= 1
        _release_if_unused(node)

    def close(self) -> None:
        pass

    def check_new(self, name: str) -> None:
        if name in self._node.nodes:
            raise FileExistsError(errno.EEXIST, "exists", name)
        if encoded_length(name) > MAX_NAME_LENGTH:
            raise OSError(errno.ENAMETOOLONG, "the name is too long", name)

    def put(self, name: str, node: Node) -> None:
        self._node.nodes[name] = node
        self._node.modified_ns = self._tree.clock()

    def _add(self, name: str, node: Node) -> None:
        self.check_new(name)
        self._tree.capacity.take(BLOCK_SIZE)
        self.put(name, node)

    def _get(self, name: str) -> Node:
        if name == ".":
            return self._node
        try:
            return self._node.nodes[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "not there", name) from None


class _MemoryFile:
    def __init__(self, tree: MemoryTree, node: FileNode) -> None:
        self._tree = tree
        self._node = node
        node.openers += 1

    @property
    def size(self) -> int:
        return self._node.content.size

    def read_at(self, offset: int, length: int) -> bytes:
        return self._node.content.read_at(offset, length)

    def write_at(self, offset: int, data: bytes) -> None:
        self._node.modified_ns = self._tree.clock()
        self._node.content.write_at(offset, data)

    def resize(self, size: int) -> None:
        self._node.modified_ns = self._tree.clock()
        self._node.content.resize(size)

    def lock(self, kind: LockKind) -> None:
        others = [held for owner, held in self._node.locks.items() if owner is not self]
        match kind:
            case LockKind.NONE:
                self._node.locks.pop(self, None)
                return
            case LockKind.SHARED:
                is_free = LockKind.EXCLUSIVE not in others
            case LockKind.EXCLUSIVE:
                is_free = not others
            case _:
                assert_never(kind)
        if not is_free:
            raise BlockingIOError(errno.EWOULDBLOCK, "somebody else has locked it")
        self._node.locks[self] = kind

    def close(self) -> None:
        self._node.locks.pop(self, None)
        self._node.openers -= 1
        _release_if_unused(self._node)


def _own(directory: Directory) -> _MemoryDirectory:
    assert isinstance(directory, _MemoryDirectory)
    return directory


def _release_if_unused(node: Node) -> None:
    if isinstance(node, FileNode) and not node.names and not node.openers:
        node.content.resize(0)
