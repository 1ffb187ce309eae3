"""What a file tree in memory is made of."""

import errno
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from usbmux.testing.iphone.afc.file_tree import FileInfo, FileKind, LockKind
from usbmux.testing.iphone.afc.sparse_content import SparseContent

BLOCK_SIZE: Final = 4096
"""What every name costs besides the content of its file, in bytes."""
_UNIT: Final = 512


@dataclass(slots=True, eq=False)
class FileNode:
    """A regular file."""

    content: SparseContent
    born_ns: int
    modified_ns: int
    names: int = 1
    openers: int = 0
    locks: dict[object, LockKind] = field(default_factory=dict)
    """By who has opened it."""


@dataclass(slots=True, eq=False)
class DirectoryNode:
    """A directory."""

    parent: "DirectoryNode | None"
    born_ns: int
    modified_ns: int
    nodes: "dict[str, Node]" = field(default_factory=dict)
    names: int = 1


@dataclass(slots=True, eq=False)
class LinkNode:
    """A symbolic link."""

    target: str
    born_ns: int
    modified_ns: int
    names: int = 1


Node: TypeAlias = FileNode | DirectoryNode | LinkNode


def node_info(node: Node) -> FileInfo:
    """What a host is told of it."""
    match node:
        case FileNode():
            kind, size, links, target = FileKind.REGULAR, node.content.size, node.names, ""
            blocks = -(-node.content.allocated // _UNIT)
        case DirectoryNode():
            kind, size, blocks, target = FileKind.DIRECTORY, 32 * (2 + len(node.nodes)), 0, ""
            links = 2 + sum(isinstance(inner, DirectoryNode) for inner in node.nodes.values())
        case LinkNode():
            kind, size, blocks, links, target = FileKind.LINK, encoded_length(node.target), 0, node.names, node.target
        case _:
            assert_never(node)
    return FileInfo(kind, size, blocks, links, node.modified_ns, node.born_ns, target)


def encoded_length(text: str) -> int:
    """The length of a name or path as hosts see it, in bytes."""
    return len(text.encode("utf-8", "surrogateescape"))


def check_replacement(node: Node, old: Node) -> None:
    """Whether a rename may put `node` where `old` is, once that is empty.

    Raises:
        OSError: It may not.
    """
    is_directory, was_directory = isinstance(node, DirectoryNode), isinstance(old, DirectoryNode)
    if is_directory and not was_directory:
        raise NotADirectoryError(errno.ENOTDIR, "no directory")
    if was_directory and not is_directory:
        raise IsADirectoryError(errno.EISDIR, "a directory")


def is_inside(directory: DirectoryNode | None, node: Node) -> bool:
    """Whether `directory` is `node` or lies in it."""
    while directory is not None:
        if directory is node:
            return True
        directory = directory.parent
    return False
