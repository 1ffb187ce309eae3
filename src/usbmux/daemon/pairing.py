"""Pair records and the SystemBUID: one property list a phone in one directory."""

import errno
import os
import plistlib
import re
import secrets
import sys
import threading
import uuid
from pathlib import Path
from typing import Final

_RECORD_ID: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{16}|[0-9A-Fa-f]{24}")
"""The shapes a UDID can have. Nothing else names a file."""
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


class PairRecordStore:
    """Blocking, for threads beside the event loop. Errors are OSError; their errno is what clients are told."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self._making_buid: Final = threading.Lock()

    def read(self, record_id: str) -> bytes:
        """The record as it was saved.

        Raises:
            OSError: EINVAL for an id that no phone can have, ENOENT for no record.
        """
        return self._path(record_id).read_bytes()

    def save(self, record_id: str, data: bytes) -> None:
        """Store or replace a record, readable by the daemon's user alone.

        Raises:
            OSError: EINVAL for an id that no phone can have, or what the file system said.
        """
        self._replace(self._path(record_id), data)

    def delete(self, record_id: str) -> None:
        """Remove a record.

        Raises:
            OSError: EINVAL for an id that no phone can have, ENOENT for no record.
        """
        self._path(record_id).unlink()

    def buid(self) -> str:
        """The SystemBUID of this computer, made and stored when there is none yet.

        Raises:
            OSError: It can neither be read nor stored.
        """
        path = self.directory / SYSTEM_FILE
        with self._making_buid:  # two that ask at once must not get two
            try:
                return self._read_or_make_buid(path)
            except OSError:
                raise
            except Exception as error:  # plistlib lets many kinds out on a damaged file
                raise OSError(errno.EIO, f"{path} is damaged: {error}") from error

    def _read_or_make_buid(self, path: Path) -> str:
        values: object = plistlib.loads(path.read_bytes()) if path.exists() else {}
        if not isinstance(values, dict):
            raise ValueError("not a dictionary")
        if isinstance(buid := values.get(BUID_KEY), str):
            if not buid.isprintable():
                raise ValueError(f"{BUID_KEY} is {buid!r}")
            return buid
        buid = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)).upper()
        self._replace(path, plistlib.dumps({**values, BUID_KEY: buid}))
        return buid

    def _path(self, record_id: str) -> Path:
        if not _RECORD_ID.fullmatch(record_id):
            raise OSError(errno.EINVAL, f"not a UDID: {record_id[:64]!r}")
        return self.directory / f"{record_id}.plist"

    def _replace(self, path: Path, data: bytes) -> None:
        """Write beside and rename, so that a reader sees the old record or the new one, whole."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
