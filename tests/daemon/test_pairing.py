from __future__ import annotations

import errno
import os
import plistlib
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from usbmux.daemon.pairing import SYSTEM_FILE, PairRecordStore, default_directory

UDID = "00008030-001A2B3C4D5E6F01"
OLD_UDID = "0123456789abcdef0123456789ABCDEF01234567"


@pytest.fixture
def store(tmp_path: Path) -> PairRecordStore:
    return PairRecordStore(tmp_path / "state" / "lockdown")


@pytest.mark.parametrize("record_id", [UDID, OLD_UDID, UDID.replace("-", "")])
def test_empty_save_and_read_gives_the_same_bytes(store: PairRecordStore, record_id: str) -> None:
    store.save(record_id, b"\0record\xff")
    assert store.read(record_id) == b"\0record\xff"
    assert (store.directory / f"{record_id}.plist").read_bytes() == b"\0record\xff"


@pytest.mark.parametrize(
    "record_id",
    ["", ".", "..", "../" + UDID, UDID + "/", UDID + "\n", UDID + "\0", "SystemConfiguration", "x" * 40, UDID[:-1]],
)
def test_any_id_that_no_phone_has_is_refused(store: PairRecordStore, record_id: str) -> None:
    for attempt in (store.read, store.delete, lambda name: store.save(name, b"x")):
        with pytest.raises(OSError, match="not a UDID") as caught:
            attempt(record_id)
        assert caught.value.errno == errno.EINVAL
    assert not store.directory.exists()


def test_absent_record_read_and_delete_say_so(store: PairRecordStore) -> None:
    for attempt in (store.read, store.delete):
        with pytest.raises(FileNotFoundError):
            attempt(UDID)


def test_saved_record_delete_removes_it(store: PairRecordStore) -> None:
    store.save(UDID, b"record")
    store.delete(UDID)
    assert list(store.directory.iterdir()) == []


def test_any_umask_records_are_for_the_owner_only(store: PairRecordStore) -> None:
    before = os.umask(0)
    try:
        store.save(UDID, b"record")
        store.buid()
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()} == {0o600}


def test_open_record_save_replaces_the_file_and_does_not_rewrite_it(store: PairRecordStore) -> None:
    store.save(UDID, b"the old record")
    with (store.directory / f"{UDID}.plist").open("rb") as old:
        store.save(UDID, b"new")
        assert old.read() == b"the old record"
    assert store.read(UDID) == b"new"
    assert len(list(store.directory.iterdir())) == 1


def test_replacing_fails_old_record_stays_and_nothing_else(
    store: PairRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(UDID, b"old")

    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        store.save(UDID, b"new")
    assert store.read(UDID) == b"old"
    assert len(list(store.directory.iterdir())) == 1


def test_no_system_file_buid_is_made_once_and_kept(store: PairRecordStore) -> None:
    buid = store.buid()
    assert re.fullmatch("[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", buid)
    assert PairRecordStore(store.directory).buid() == buid


def test_no_system_file_buid_asked_by_many_threads_is_one(store: PairRecordStore) -> None:
    together = threading.Barrier(8)

    def ask(_number: int) -> str:
        together.wait()
        return store.buid()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_system_file_of_another_daemon_its_buid_is_used(store: PairRecordStore) -> None:
    store.directory.mkdir(parents=True)
    path = store.directory / SYSTEM_FILE
    path.write_bytes(plistlib.dumps({"SystemBUID": "30142955-444094379208051516"}))
    assert store.buid() == "30142955-444094379208051516"


def test_system_file_without_buid_other_values_are_kept(store: PairRecordStore) -> None:
    store.directory.mkdir(parents=True)
    path = store.directory / SYSTEM_FILE
    path.write_bytes(plistlib.dumps({"Other": 7}))
    buid = store.buid()
    assert plistlib.loads(path.read_bytes()) == {"Other": 7, "SystemBUID": buid}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"damaged",
        plistlib.dumps(["SystemBUID"]),
        plistlib.dumps({"SystemBUID": "a\tb\nc"}).replace(b"\t", b"\7"),
        plistlib.dumps({"SystemBUID": "bell \1".replace("\1", "")}, fmt=plistlib.FMT_BINARY).replace(
            b"bell ", b"bel\7 "
        ),
        plistlib.dumps({"Key": plistlib.UID(5)}, fmt=plistlib.FMT_BINARY),
    ],
    ids=["empty", "garbage", "list", "xml control", "binary control", "not for xml"],
)
def test_system_file_damaged_is_an_error_and_stays(store: PairRecordStore, content: bytes) -> None:
    store.directory.mkdir(parents=True)
    path = store.directory / SYSTEM_FILE
    path.write_bytes(content)
    with pytest.raises(OSError, match="is damaged") as caught:
        store.buid()
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == content


def test_platforms_have_the_directories_of_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROGRAMDATA", raising=False)
    assert default_directory("linux") == Path("/var/lib/lockdown")
    assert default_directory("darwin") == Path("/var/db/lockdown")
    assert str(default_directory("win32")).startswith("C:\\ProgramData")
