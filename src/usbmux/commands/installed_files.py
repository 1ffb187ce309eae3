"""The list of what ``usbmux install-service`` has written, so that it removes that and nothing else."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from usbmux.errors import UsbmuxError
from usbmux.values import field, frozen

LIST_PATH: Final = "/etc/usbmux/installed-service.json"


@frozen
class InstalledFiles:
    """Absolute paths, as seen from the root that they were installed below."""

    digests: Mapping[str, str] = field(default_factory=dict)
    """Of each file when it was written, by path."""
    directories: tuple[str, ...] = ()
    """Those that were made, parents first."""

    def is_unchanged(self, path: str, data: bytes) -> bool:
        """Whether the list has the file with this content."""
        return self.digests.get(path) == _digest(data)

    def encode(self) -> bytes:
        """The list as a file."""
        values = {"files": dict(self.digests), "directories": list(self.directories)}
        return (json.dumps(values, indent=4, sort_keys=True) + "\n").encode()


def list_of(contents: Mapping[str, bytes], directories: Iterable[str]) -> InstalledFiles:
    """The list of files with these contents, by path, and of directories."""
    return InstalledFiles({path: _digest(data) for path, data in contents.items()}, tuple(directories))


def read_list(path: Path) -> InstalledFiles:
    """The list in a file; an empty one if there is no file.

    Raises:
        UsbmuxError: The file holds something else.
    """
    try:
        values: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return InstalledFiles()
    except ValueError as error:
        raise UsbmuxError(f"{path} is damaged: {error}") from error
    match values:
        case {"files": dict(digests), "directories": list(directories)} if all(
            isinstance(text, str) for text in (*digests, *digests.values(), *directories)
        ):
            return InstalledFiles(digests, tuple(directories))
        case _:
            raise UsbmuxError(f"{path} is damaged: it is no list of installed files")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
