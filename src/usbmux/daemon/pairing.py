"""Pair records and the SystemBUID: one property list a phone in one directory."""

import errno
import logging
import os
import plistlib
import re
import sys
import threading
import uuid
from pathlib import Path
from typing import Final

from usbmux.control import property_list
from usbmux.control.message import MAX_TEXT_LENGTH
from usbmux.daemon.forward_file import FORWARDS_FILE
from usbmux.daemon.state_directory import StateDirectory, backup_name
from usbmux.errors import RemoteProtocolError

logger = logging.getLogger("usbmux.daemon.records")

_RECORD_ID: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{16}|[0-9A-Fa-f]{24}")
"""The shapes a UDID can have."""
_SUFFIX: Final = ".plist"
SYSTEM_FILE: Final = "SystemConfiguration.plist"
BUID_KEY: Final = "SystemBUID"


def default_directory(platform: str = sys.platform) -> Path:
    """Where the field keeps its records on this platform."""
    match platform:
        case "darwin":
            return Path("/var/db/lockdown")
        case "win32":
            return Path(os.environ.get("PROGRAMDATA", "C:\\ProgramData")) / "Apple" / "Lockdown"
        case _:
            return Path("/var/lib/lockdown")


def is_record_id(text: str) -> bool:
    """Whether a phone can have that UDID; nothing else names a record."""
    return _RECORD_ID.fullmatch(text) is not None


class PairRecordStore:
    """Blocking, for threads beside the event loop. Errors are OSError; their errno is what clients are told.

    Besides those below: what the file system says, and what `StateDirectory` refuses. One daemon keeps a directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self._files: Final = StateDirectory(directory)
        self._writing: Final = threading.Lock()

    def prepare(self) -> None:
        """Look at the directory before the first request, see `StateDirectory.prepare`.

        Raises:
            OSError: It must not be used.
        """
        self._files.prepare(_is_file_of_records)

    def read(self, record_id: str) -> bytes:
        """The record as it was saved.

        Raises:
            OSError: EINVAL for an id that no phone can have, ENOENT for no record.
        """
        return self._files.read(_file_name(record_id))

    def save(self, record_id: str, data: bytes) -> None:
        """Store or replace a record, readable by the daemon's user alone; the one before is kept as a backup.

        Raises:
            OSError: EINVAL for an id that no phone can have, or data that is not a property list of a dictionary.
        """
        name = _file_name(record_id)
        try:
            property_list.load(data)
        except RemoteProtocolError as error:
            raise OSError(errno.EINVAL, f"the record for {record_id} is {error}") from error
        with self._writing:
            self._files.replace(name, data)

    def delete(self, record_id: str) -> None:
        """Remove a record and its backup.

        Raises:
            OSError: EINVAL for an id that no phone can have, ENOENT for no record.
        """
        name = _file_name(record_id)
        with self._writing:
            self._files.remove(name)

    def buid(self) -> str:
        """The SystemBUID of this computer, made and stored when there is none that can be used."""
        if (buid := _buid_in(self._system_file())) is not None:
            return buid
        with self._writing:  # two that ask at once must not get two
            stored = self._system_file()
            if (buid := _buid_in(stored)) is not None:
                return buid
            if stored is not None:
                where = (self.directory / SYSTEM_FILE, BUID_KEY, backup_name(SYSTEM_FILE))
                logger.warning("%s has no %s that can be used: made a new one, the old file is %s", *where)
            buid = str(uuid.uuid4()).upper()  # from the system's generator
            self._files.replace(SYSTEM_FILE, _with_buid(stored, buid))
            return buid

    def _system_file(self) -> bytes | None:
        try:
            return self._files.read(SYSTEM_FILE)
        except FileNotFoundError:
            return None


def _file_name(record_id: str) -> str:
    """The only way from what a client says to the name of a file."""
    if not is_record_id(record_id):
        raise OSError(errno.EINVAL, f"not a UDID: {record_id[:64]!r}")
    return record_id + _SUFFIX


def _is_file_of_records(name: str) -> bool:
    return name in (SYSTEM_FILE, FORWARDS_FILE) or (name.endswith(_SUFFIX) and is_record_id(name.removesuffix(_SUFFIX)))


def _buid_in(stored: bytes | None) -> str | None:
    if stored is None:
        return None
    try:
        buid = property_list.load(stored).get(BUID_KEY)
    except RemoteProtocolError:
        return None
    return buid if isinstance(buid, str) and 0 < len(buid) <= MAX_TEXT_LENGTH and buid.isprintable() else None


def _with_buid(stored: bytes | None, buid: str) -> bytes:
    """The file with that SystemBUID; what else was in it is kept if it can be."""
    try:
        values = {str(key): value for key, value in property_list.load(stored or b"").items()}
        return plistlib.dumps({**values, BUID_KEY: buid})
    except Exception:  # damaged, or something that plistlib reads but does not write, for which it has many errors
        return plistlib.dumps({BUID_KEY: buid})
