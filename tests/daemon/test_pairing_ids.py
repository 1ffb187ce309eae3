"""Ten thousand ids of pair records over the socket, in a directory of traps and between files that are no records."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import logging
import os
import plistlib
import random
import string
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.daemon.harness import PLIST, encode, frame
from usbmux.daemon.pairing import PairRecordStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.daemon.conftest import Serve

COUNT: Final = 10_000
BATCH: Final = 50
RECORD: Final = plistlib.dumps({"HostID": "me"})
SECRET: Final = plistlib.dumps({"HostPrivateKey": "secret"})
LINK, LINK_TO_FOLDER, PIPE, FOLDER, HARD_LINK = (f"{number:08X}-00000000000000EE" for number in range(5))
REFUSED: Final = {
    **{LINK: errno.ELOOP, LINK_TO_FOLDER: errno.ELOOP},
    **{PIPE: errno.EPERM, FOLDER: errno.EPERM, HARD_LINK: errno.EPERM},
}
"""Traps in the place of records, and what a client is told."""
BACKED_UP: Final = "b" * 40
RESULT: Final = {
    number: encode({"MessageType": "Result", "Number": number})
    for number in (0, errno.EINVAL, errno.ELOOP, errno.EPERM)
}
_CHARACTERS: Final = [chr(number) for number in (*range(128), *range(128, 0xD800, 97))]
_ALL_EVENTS: Final = 0xFFF
_PIECES: Final = (
    *("..", ".", "/", "//", "\\", "\0", "\n", "~", "%2e%2e%2f", "%00", "%s", "-", "--", ":", "|", ";", "*", "$HOME"),
    *("../", "../secret", "../../etc/passwd", "/etc/passwd", "sub/", "./", "/proc/self/environ", "file://"),
    *("SystemConfiguration", "systemconfiguration", ".plist", ".bak", ".new", "CON", "NUL", "aux.plist", "lost+found"),
    *("\u2024\u2024", "\u2215", "\uff0e\uff0e\uff0f", "\u202e", "e\u0301", "\uff11", "\U0001f4f1", "\ufeff", "\x7f"),
    *("00008030-001A2B3C4D5E6F01", BACKED_UP, "0" * 24, "A" * 8, "f" * 16, " ", "x" * 300),
)


def generated_ids() -> list[str]:
    """Ids that look like files, like ids, and like neither; the same at every call."""
    dice = random.Random(20_250_705)

    def udid() -> str:
        length = dice.choice([40, 24, 25])
        digits = "".join(dice.choices(string.hexdigits, k=length))
        return digits if length != 25 else f"{digits[:8]}-{digits[9:]}"

    def damaged() -> str:
        text, place = udid(), dice.randrange(24)
        return text[:place] + dice.choice([*_PIECES, ""]) + text[place + dice.randrange(3) :]

    def pieces() -> str:
        return "".join(dice.choices(_PIECES, k=dice.randrange(1, 6)))

    def trap() -> str:
        return dice.choice([*REFUSED])

    def noise() -> str:
        return "".join(dice.choices(_CHARACTERS, k=dice.randrange(60)))

    kinds = dice.choices([udid, trap, damaged, pieces, noise], [1, 1, 6, 6, 6], k=COUNT)
    return [kind() for kind in kinds]


def has_shape(text: str) -> bool:
    """Whether a phone can have that id."""
    plain = text[:8] + text[9:] if len(text) == 25 and text[8] == "-" else text
    return len(plain) in (24, 40) and len(plain) - len(text) in (0, -1) and set(plain) <= set(string.hexdigits)


def plant(directory: Path) -> None:
    """Files that no request may touch, in the directory of the records and around it."""
    records = directory / "lockdown"
    for folder in (records, directory / "far", records / "sub"):
        folder.mkdir(mode=0o700)
    for path in (
        *(
            directory / name
            for name in ("secret", "secret.plist", f"{BACKED_UP}.plist", "far/SystemConfiguration.plist")
        ),
        *(records / name for name in ("SystemConfiguration.plist", "secret", ".plist", f"sub/{BACKED_UP}.plist")),
        *(records / name for name in (f".{BACKED_UP}.plist", "file.PLIST", f"{BACKED_UP}", f"{BACKED_UP}.plist.plist")),
    ):
        path.write_bytes(SECRET)
    linked = directory / "linked"
    linked.write_bytes(SECRET)
    (records / f"{HARD_LINK}.plist").hardlink_to(linked)
    (records / f"{LINK}.plist").symlink_to(directory / "secret.plist")
    (records / f"{LINK_TO_FOLDER}.plist").symlink_to("../far")
    os.mkfifo(records / f"{PIPE}.plist")
    (records / f"{FOLDER}.plist").mkdir()


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    """Everything that is there, but for when the directories of the records and of the test were changed."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        changed = () if path.name == "lockdown" else (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_nlink)
        found[str(path.relative_to(directory))] = (facts.st_mode, facts.st_ino, facts.st_uid, content, changed)
    return found


class Touches:
    """Whether somebody has opened, read or changed a file since, as the kernel tells (inotify)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __bool__(self) -> bool:
        with suppress(BlockingIOError):
            return bool(os.read(self._descriptor, 65536))
        return False


@contextmanager
def watched(directory: Path) -> Iterator[Touches]:
    """Every file but the one with two names, which can only be looked at by opening it."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    try:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                assert library.inotify_add_watch(descriptor, os.fsencode(path), _ALL_EVENTS) >= 0, path
        yield Touches(descriptor)
    finally:
        os.close(descriptor)


def requests(record_id: str) -> bytes:
    """Save, read and delete, as binary property lists: XML holds no NUL."""
    names = ("SavePairRecord", "ReadPairRecord", "DeletePairRecord")
    more = {"PairRecordID": record_id, "PairRecordData": RECORD}
    payloads = (plistlib.dumps({"MessageType": name, **more}, fmt=plistlib.FMT_BINARY) for name in names)
    return b"".join(frame(payload, version=1, message=PLIST, tag=1) for payload in payloads)


def replies(record_id: str) -> bytes:
    """To those three requests."""
    if record_id in REFUSED:
        return RESULT[REFUSED[record_id]] * 3
    if has_shape(record_id):
        return RESULT[0] + encode({"PairRecordData": RECORD}) + RESULT[0]
    return RESULT[errno.EINVAL] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="watches files by inotify")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.asyncio
async def test_any_of_10000_ids_is_refused_or_names_a_record_and_nothing_else_is_touched(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # the names matter here, not the disk
    harness = await serve()
    caplog.set_level(logging.ERROR, "usbmux")
    plant(harness.directory)
    before = snapshot(harness.directory)
    ids = generated_ids()
    client = await harness.client()
    with watched(harness.directory) as touches:
        for start in range(0, COUNT, BATCH):
            batch = ids[start : start + BATCH]
            await client.send(b"".join(map(requests, batch)))
            expected = b"".join(map(replies, batch))
            assert await client.receive_exactly(len(expected)) == expected, batch
        assert not touches
        (harness.directory / "secret").read_bytes()
        assert touches
    assert snapshot(harness.directory) == before
    trapped = sum(map(REFUSED.__contains__, ids))
    assert min(trapped, sum(map(has_shape, ids)) - trapped) > COUNT / 25


@pytest.mark.slow
def test_any_of_10000_ids_without_shape_leaves_the_file_system_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PairRecordStore(tmp_path / "lockdown")

    def opened(*_arguments: object, **_options: object) -> int:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(os, "open", opened)
    shapeless = [record_id for record_id in generated_ids() if not has_shape(record_id)]
    assert len(shapeless) > COUNT / 2
    for record_id in shapeless:
        for attempt in (store.read, store.delete, lambda name: store.save(name, RECORD)):
            with pytest.raises(OSError, match="not a UDID"):
                attempt(record_id)
    assert not (tmp_path / "lockdown").exists()
