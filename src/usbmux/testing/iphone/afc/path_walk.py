"""From a path to a directory and a name, through symbolic links and never out of the tree.

Every step opens one directory in another one, so nothing that others do to the tree meanwhile leads out of it.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from usbmux.testing.iphone.afc.file_tree import Directory, FileKind, FileTree, OpenFile, OpenMode
from usbmux.values import frozen

MAX_DEPTH: Final = 128
"""How deep directories may lie; each costs a descriptor while a path is walked."""
MAX_LINKS: Final = 32
"""How many symbolic links one path may lead through."""


@frozen
class Place:
    """Where a path ends; nothing needs to be there."""

    directory: Directory
    name: str
    """``.`` if the path leads to the root."""

    @property
    def is_root(self) -> bool:
        """Whether the path leads to the root itself."""
        return self.name == "."

    def open_file(self, mode: OpenMode) -> OpenFile:
        """Open the file there, or make it, as the mode says. Raises `OSError`."""
        if self.is_root:
            raise IsADirectoryError(errno.EISDIR, "the root")
        return self.directory.open_file(self.name, mode)


class PathWalk:
    """Finds places in a tree.

    Args:
        tree: The tree.
        is_visible: Which names of its root exist for the host; reaching for any other is denied.
    """

    def __init__(self, tree: FileTree, is_visible: Callable[[str], bool] = lambda _name: True) -> None:
        self._tree = tree
        self.is_visible: Final = is_visible

    @contextmanager
    def place(self, path: str, *, follow: bool = False, make_parents: bool = False) -> Iterator[Place]:
        """The place of `path`, valid inside the context.

        A path and the target of a link that begins with ``/`` start at the root, whose parent is out of bounds.

        Args:
            path: With or without a slash in front; ``//`` and ``.`` mean nothing.
            follow: Whether to go through a symbolic link at the end.
            make_parents: Whether to make the directories that are missing on the way.

        Raises:
            OSError: There is no such place, or it is out of bounds.
        """
        walker = _Walker(self._tree.root(), self.is_visible, make_parents=make_parents)
        try:
            walker.walk(path, follow=follow)
            yield walker.place()
        finally:
            walker.close()

    @contextmanager
    def directory(self, path: str) -> Iterator[tuple[Directory, bool]]:
        """The directory at `path`, through links, valid inside the context; and whether it is the root.

        Raises:
            OSError: There is no such directory, or it is out of bounds.
        """
        with self.place(path, follow=True) as place:
            if place.is_root:
                yield place.directory, True
                return
            directory = place.directory.enter(place.name)
            try:
                yield directory, False
            finally:
                directory.close()


class _Walker:
    def __init__(self, root: Directory, is_visible: Callable[[str], bool], *, make_parents: bool) -> None:
        self._directories = [root]
        self._names: list[str] = []
        """Those of all directories but the root."""
        self._last: str | None = None
        """A name in the last directory that was read and not entered."""
        self._parts: deque[str] = deque()
        self._links_left = MAX_LINKS
        self._is_visible = is_visible
        self._make_parents = make_parents

    def walk(self, path: str, *, follow: bool) -> None:
        self._parts.extend(path.split("/"))
        while self._parts or (follow and self._expand_last()):
            if self._parts:
                self._step(self._parts.popleft())

    def place(self) -> Place:
        if self._last is not None:
            return Place(self._directories[-1], self._last)
        if self._names:
            return Place(self._directories[-2], self._names[-1])
        return Place(self._directories[0], ".")

    def close(self) -> None:
        for directory in self._directories:
            directory.close()

    def _step(self, part: str) -> None:
        if part in ("", "."):
            return
        if self._last is not None:
            if self._expand_last(then=part):
                return
            self._enter_last()
        if part == "..":
            self._leave()
        elif not self._names and not self._is_visible(part):
            raise PermissionError(errno.EACCES, "out of bounds", part)
        else:
            self._last = part

    def _expand_last(self, *, then: str | None = None) -> bool:
        """Put the target of the last name before what is left to walk, if it is a link."""
        if self._last is None:
            return False
        try:
            info = self._directories[-1].info(self._last)
        except FileNotFoundError:
            return False
        if info.kind is not FileKind.LINK:
            return False
        if not self._links_left:
            raise OSError(errno.ELOOP, "too many symbolic links", self._last)
        self._links_left -= 1
        if then is not None:
            self._parts.appendleft(then)
        self._parts.extendleft(reversed(info.link_target.split("/")))
        if info.link_target.startswith("/"):
            while self._names:
                self._leave()
        self._last = None
        return True

    def _enter_last(self) -> None:
        assert self._last is not None
        if len(self._names) == MAX_DEPTH:
            raise OSError(errno.ENAMETOOLONG, "the directory lies too deep", self._last)
        parent = self._directories[-1]
        try:
            directory = parent.enter(self._last)
        except FileNotFoundError:
            if not self._make_parents:
                raise
            parent.make_directory(self._last)
            directory = parent.enter(self._last)
        self._directories.append(directory)
        self._names.append(self._last)
        self._last = None

    def _leave(self) -> None:
        if not self._names:
            raise PermissionError(errno.EACCES, "out of bounds", "..")
        self._directories.pop().close()
        self._names.pop()
