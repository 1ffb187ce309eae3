"""What AFC does with paths."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from usbmux.testing.iphone.afc.arguments import Arguments
from usbmux.testing.iphone.afc.codec import Operation
from usbmux.testing.iphone.afc.file_tree import Directory, FileInfo, FileKind, FileTree, OpenMode
from usbmux.testing.iphone.afc.path_walk import MAX_DEPTH, PathWalk, Place
from usbmux.testing.iphone.afc.reply import DONE, OperationTable, Reply, texts_reply
from usbmux.values import frozen

MAX_SIZE: Final = (1 << 63) - 1
"""Greatest size of a file and greatest position in one, in bytes."""


def check_size(size: int) -> None:
    """Whether a file can be so long.

    Raises:
        OSError: With ``EFBIG``.
    """
    if size > MAX_SIZE:
        raise OSError(errno.EFBIG, "too long for a file")


class PathOperations:
    """Carries out operations on paths of a tree. The methods raise `OSError`.

    Args:
        tree: The files.
        walk: Finds the paths.
        model: The phone's ProductType.
    """

    def __init__(self, tree: FileTree, walk: PathWalk, model: str) -> None:
        self._tree = tree
        self._walk = walk
        self._model = model
        self.table: Final[OperationTable] = {
            Operation.READ_DIRECTORY: self._read_directory,
            Operation.TRUNCATE: self._truncate,
            Operation.REMOVE: self._remove,
            Operation.REMOVE_WITH_CONTENTS: self._remove_with_contents,
            Operation.MAKE_DIRECTORY: self._make_directory,
            Operation.FILE_INFO: self._file_info,
            Operation.DEVICE_INFO: self._device_info,
            Operation.RENAME: self._rename,
            Operation.LINK: self._link,
            Operation.SET_MODIFIED: self._set_modified,
        }

    def _read_directory(self, arguments: Arguments) -> Reply:
        with self._walk.directory(arguments.path()) as (directory, is_root):
            names = directory.names()
        if is_root:
            names = list(filter(self._walk.is_visible, names))
        return texts_reply([".", "..", *names])

    def _truncate(self, arguments: Arguments) -> Reply:
        size = arguments.number()
        check_size(size)
        with self._walk.place(arguments.path(), follow=True) as place:
            place.directory.info(place.name)  # opening it for writing would make it
            file = place.open_file(OpenMode.READ_WRITE)
            try:
                file.resize(size)
            finally:
                file.close()
        return DONE

    def _remove(self, arguments: Arguments) -> Reply:
        with self._place_below_root(arguments.path()) as place:
            place.directory.remove(place.name)
        return DONE

    def _remove_with_contents(self, arguments: Arguments) -> Reply:
        with self._place_below_root(arguments.path()) as place:
            _remove_with_contents(place)
        return DONE

    def _make_directory(self, arguments: Arguments) -> Reply:
        with self._walk.place(arguments.path(), follow=True, make_parents=True) as place:
            if place.is_root:
                return DONE
            try:
                place.directory.make_directory(place.name)
            except FileExistsError:
                if place.directory.info(place.name).kind is not FileKind.DIRECTORY:
                    raise
        return DONE

    def _file_info(self, arguments: Arguments) -> Reply:
        with self._walk.place(arguments.path()) as place:
            info = place.directory.info(place.name)
        return texts_reply(_info_texts(info))

    def _device_info(self, _arguments: Arguments) -> Reply:
        space = self._tree.space()
        pairs = {
            "Model": self._model,
            "FSTotalBytes": space.total,
            "FSFreeBytes": space.free,
            "FSBlockSize": space.block_size,
        }
        return texts_reply([str(text) for pair in pairs.items() for text in pair])

    def _rename(self, arguments: Arguments) -> Reply:
        with (
            self._place_below_root(arguments.path()) as old,
            self._place_below_root(arguments.path()) as new,
        ):
            old.directory.rename(old.name, new.directory, new.name)
        return DONE

    def _link(self, arguments: Arguments) -> Reply:
        kind, target = arguments.number(), arguments.path()
        with self._place_below_root(arguments.path()) as place:
            match kind:
                case 1:
                    with self._place_below_root(target) as old:
                        old.directory.make_hard_link(old.name, place.directory, place.name)
                case 2:
                    place.directory.make_symbolic_link(target, place.name)
                case _:
                    raise OSError(errno.EINVAL, f"a link of kind {kind}")
        return DONE

    def _set_modified(self, arguments: Arguments) -> Reply:
        modified_ns = arguments.number()
        with self._walk.place(arguments.path()) as place:
            place.directory.set_modified(place.name, modified_ns)
        return DONE

    @contextmanager
    def _place_below_root(self, path: str) -> Iterator[Place]:
        with self._walk.place(path) as place:
            if place.is_root:
                raise PermissionError(errno.EPERM, "the root stays as it is")
            yield place


def _info_texts(info: FileInfo) -> list[str]:
    pairs: dict[str, object] = {
        "st_size": info.size,
        "st_blocks": info.blocks,
        "st_nlink": info.links,
        "st_ifmt": info.kind.value,
        "st_mtime": info.modified_ns,
        "st_birthtime": info.born_ns,
    }
    if info.kind is FileKind.LINK:
        pairs["LinkTarget"] = info.link_target
    return [str(text) for pair in pairs.items() for text in pair]


@frozen
class _Level:
    directory: Directory
    names: list[str]
    """What is still to be removed, the last one first."""


def _remove_with_contents(place: Place) -> None:
    # A stack of its own, for directories may lie deeper than Python can call.
    levels = [_Level(place.directory, [place.name])]
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                levels.pop()
                if levels:
                    level.directory.close()
                    levels[-1].directory.remove(levels[-1].names.pop())
            elif level.directory.info(level.names[-1]).kind is FileKind.DIRECTORY:
                if len(levels) > MAX_DEPTH + 1:
                    raise OSError(errno.ENAMETOOLONG, "the directory lies too deep", level.names[-1])
                inner = level.directory.enter(level.names[-1])
                levels.append(_Level(inner, []))
                levels[-1].names.extend(inner.names())
            else:
                level.directory.remove(level.names.pop())
    finally:
        for level in levels[1:]:
            level.directory.close()
