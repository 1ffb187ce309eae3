from __future__ import annotations

import errno
import logging
import os
import plistlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from usbmux.daemon.pairing import SYSTEM_FILE, PairRecordStore, default_directory
from usbmux.daemon.state_directory import backup_name

UDID = "00008030-001A2B3C4D5E6F01"
OLD_UDID = "0123456789abcdef0123456789ABCDEF01234567"
RECORD = plistlib.dumps({"HostID": "first", "HostPrivateKey": b"\0key\xff"})
NEXT_RECORD = plistlib.dumps({"HostID": "second"}, fmt=plistlib.FMT_BINARY)


@pytest.fixture
def store(tmp_path: Path) -> PairRecordStore:
    return PairRecordStore(tmp_path / "state" / "lockdown")


@pytest.fixture
def system_file(store: PairRecordStore) -> Path:
    store.directory.mkdir(parents=True)
    return store.directory / SYSTEM_FILE


def names(store: PairRecordStore) -> set[str]:
    return {path.name for path in store.directory.iterdir()}


@pytest.mark.parametrize("record_id", [UDID, OLD_UDID, UDID.replace("-", "")])
@pytest.mark.parametrize("record", [RECORD, NEXT_RECORD], ids=["xml", "binary"])
def test_empty_save_and_read_gives_the_same_bytes(store: PairRecordStore, record_id: str, record: bytes) -> None:
    store.save(record_id, record)
    assert store.read(record_id) == record
    assert (store.directory / f"{record_id}.plist").read_bytes() == record


@pytest.mark.parametrize(
    "record_id",
    ["", ".", "..", "../" + UDID, UDID + "/", UDID + "\n", UDID + "\0", "SystemConfiguration", "x" * 40, UDID[:-1]],
)
def test_any_id_that_no_phone_has_is_refused(store: PairRecordStore, record_id: str) -> None:
    for attempt in (store.read, store.delete, lambda name: store.save(name, RECORD)):
        with pytest.raises(OSError, match="not a UDID") as caught:
            attempt(record_id)
        assert caught.value.errno == errno.EINVAL
    assert not store.directory.exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"record", RECORD[:-9], plistlib.dumps(["HostID"]), plistlib.dumps("HostID", fmt=plistlib.FMT_BINARY)],
    ids=["empty", "garbage", "cut off", "array", "binary text"],
)
def test_saved_record_save_of_anything_but_a_dictionary_is_refused(store: PairRecordStore, data: bytes) -> None:
    store.save(UDID, RECORD)
    with pytest.raises(OSError, match=f"the record for {UDID} is not") as caught:
        store.save(UDID, data)
    assert caught.value.errno == errno.EINVAL
    assert store.read(UDID) == RECORD
    assert names(store) == {f"{UDID}.plist"}


def test_absent_record_read_and_delete_say_so(store: PairRecordStore) -> None:
    for attempt in (store.read, store.delete):
        with pytest.raises(FileNotFoundError):
            attempt(UDID)


def test_record_of_another_daemon_is_read_as_it_is(store: PairRecordStore) -> None:
    store.directory.mkdir(parents=True)
    (store.directory / f"{UDID}.plist").write_bytes(b"whatever it wrote")
    assert store.read(UDID) == b"whatever it wrote"


def test_saved_record_save_keeps_the_one_before_where_no_id_leads(store: PairRecordStore) -> None:
    store.save(UDID, RECORD)
    store.save(UDID, NEXT_RECORD)
    assert store.read(UDID) == NEXT_RECORD
    backup = f".{UDID}.plist.bak"
    assert (store.directory / backup).read_bytes() == RECORD
    for record_id in (backup, backup.removesuffix(".plist"), f".{UDID}", f"{UDID}.plist"):
        with pytest.raises(OSError, match="not a UDID"):
            store.read(record_id)


def test_saved_record_delete_removes_it_and_its_backup(store: PairRecordStore) -> None:
    store.save(UDID, RECORD)
    store.save(UDID, NEXT_RECORD)
    store.delete(UDID)
    assert names(store) == set()


def test_same_record_saved_by_many_threads_each_backs_up_the_one_before(
    store: PairRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [plistlib.dumps({"HostID": str(number)}) for number in range(8)]
    together = threading.Barrier(8)
    written: list[tuple[str, bytes]] = []
    replace = os.replace

    def recorded_replace(source: str, target: str, **directories: int) -> None:
        written.append((target, (store.directory / source).read_bytes()))
        replace(source, target, **directories)

    def save(record: bytes) -> None:
        together.wait()
        store.save(UDID, record)

    monkeypatch.setattr(os, "replace", recorded_replace)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, records))
    assert [target for target, _data in written] == [f"{UDID}.plist", *[f".{UDID}.plist.bak", f"{UDID}.plist"] * 7]
    saved = [data for _target, data in written[::2]]
    assert sorted(saved) == records
    assert [data for _target, data in written[1::2]] == saved[:-1]


def test_directory_of_records_prepare_knows_them_by_their_names(
    store: PairRecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(UDID, RECORD)
    store.save(OLD_UDID, RECORD)
    store.buid()
    store.directory.chmod(0o755)
    store.prepare()
    assert store.directory.stat().st_mode & 0o777 == 0o700
    (store.directory / "other.plist").touch()
    store.directory.chmod(0o755)
    store.prepare()
    assert store.directory.stat().st_mode & 0o777 == 0o755
    assert "has mode 755" in caplog.text


def test_no_system_file_buid_is_made_once_and_kept(store: PairRecordStore, caplog: pytest.LogCaptureFixture) -> None:
    buid = store.buid()
    assert re.fullmatch("[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}", buid)
    assert PairRecordStore(store.directory).buid() == buid
    assert names(store) == {SYSTEM_FILE}
    assert caplog.messages == []


def test_no_system_file_buid_asked_by_many_threads_is_one(store: PairRecordStore) -> None:
    together = threading.Barrier(8)

    def ask(_number: int) -> str:
        together.wait()
        return store.buid()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_system_file_of_another_daemon_its_buid_is_used(store: PairRecordStore, system_file: Path) -> None:
    content = plistlib.dumps({"SystemBUID": "30142955-444094379208051516"})
    system_file.write_bytes(content)
    assert store.buid() == "30142955-444094379208051516"
    assert system_file.read_bytes() == content


def test_system_file_without_buid_other_values_are_kept(store: PairRecordStore, system_file: Path) -> None:
    system_file.write_bytes(plistlib.dumps({"Other": 7}))
    buid = store.buid()
    assert plistlib.loads(system_file.read_bytes()) == {"Other": 7, "SystemBUID": buid}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"damaged",
        plistlib.dumps(["SystemBUID"]),
        plistlib.dumps({"SystemBUID": ""}),
        plistlib.dumps({"SystemBUID": 7}),
        plistlib.dumps({"SystemBUID": "a\tb\nc"}),
        plistlib.dumps({"SystemBUID": "B" * 256}),
        plistlib.dumps({"Key": plistlib.UID(5)}, fmt=plistlib.FMT_BINARY),
    ],
    ids=["empty file", "garbage", "array", "empty", "number", "not printable", "too long", "not for xml"],
)
def test_system_file_is_of_no_use_buid_is_made_anew_and_the_old_file_kept(
    store: PairRecordStore, system_file: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    system_file.write_bytes(content)
    caplog.set_level(logging.WARNING)
    buid = store.buid()
    assert store.buid() == buid
    assert plistlib.loads(system_file.read_bytes())["SystemBUID"] == buid
    assert (store.directory / backup_name(SYSTEM_FILE)).read_bytes() == content
    assert len(caplog.messages) == 1
    assert backup_name(SYSTEM_FILE) in caplog.text


def test_system_file_leads_elsewhere_buid_is_an_error(store: PairRecordStore, system_file: Path) -> None:
    elsewhere = store.directory.with_name("elsewhere")
    elsewhere.write_bytes(plistlib.dumps({"SystemBUID": "stolen"}))
    system_file.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"[Ss]ymbolic") as caught:
        store.buid()
    assert caught.value.errno == errno.ELOOP
    assert names(store) == {SYSTEM_FILE}


def test_platforms_have_the_directories_of_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROGRAMDATA", raising=False)
    assert default_directory("linux") == Path("/var/lib/lockdown")
    assert default_directory("darwin") == Path("/var/db/lockdown")
    assert str(default_directory("win32")).startswith("C:\\ProgramData")
