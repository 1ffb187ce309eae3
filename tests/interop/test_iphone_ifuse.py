"""ifuse mounts the files of a virtual iPhone, and programs that know nothing of phones work on them."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import IPhoneBench, Spelling
from tests.interop.programs import debian_program, version
from tests.support.streams import MEBIBYTE, digest, some_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.compatibility import CompatibilityTable

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(300)]

SPELLING = Spelling.LIBIMOBILEDEVICE
LENGTH = 64 * MEBIBYTE


@pytest.fixture(scope="module")
def passes(compatibility: CompatibilityTable) -> Callable[[str, str], None]:
    """Notes something done through a mount."""
    release = version(debian_program("ifuse"), "--version")
    return lambda command, result: compatibility.add("ifuse", release, command, result)


@contextmanager
def mounted(bench: IPhoneBench, folder: Path, *options: str) -> Iterator[Path]:
    """The files of the phone, below a new folder; where the system mounts nothing, the test is skipped."""
    program, unmount = debian_program("ifuse"), debian_program("fusermount")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no access to /dev/fuse; remedy: modprobe fuse, or run where it is")
    folder.mkdir()
    completed = bench.run(SPELLING, program, *options, str(folder))
    if "fusermount: mount failed" in completed.stderr:
        pytest.skip(f"mounting is not permitted here ({completed.stderr.strip()}); remedy: run with CAP_SYS_ADMIN")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    try:
        assert os.path.ismount(folder)
        yield folder
    finally:
        subprocess.run([unmount, "-u", "-z", str(folder)], check=True, timeout=30)
    assert not os.path.ismount(folder)


@pytest.fixture
def paired(stranger: IPhoneBench) -> IPhoneBench:
    assert "SUCCESS" in stranger.printed(SPELLING, debian_program("idevicepair"), "pair")
    return stranger


def test_ifuse_files_are_copied_found_renamed_and_deleted(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(some_bytes(LENGTH))
    with mounted(paired, tmp_path / "phone", "-o", "big_writes") as phone:
        there = phone / "Downloads/made"
        there.mkdir()
        subprocess.run(["cp", str(sent), str(there / "first")], check=True, timeout=100)
        assert (there / "first").stat().st_size == LENGTH
        found = subprocess.check_output(["find", str(phone / "Downloads"), "-type", "f", "-size", "64M"], text=True)
        assert found.split() == [str(there / "first")]
        (there / "first").rename(there / "second")
        assert os.listdir(there) == ["second"]
    # Mounted anew, so that nothing comes out of the kernel's memory.
    with mounted(paired, tmp_path / "phone again") as phone:
        there = phone / "Downloads/made"
        subprocess.run(["cp", str(there / "second"), str(back)], check=True, timeout=100)
        assert digest(back.read_bytes()) == digest(sent.read_bytes())
        (there / "second").unlink()
        there.rmdir()
        assert os.listdir(phone / "Downloads") == []
    passes("ifuse DIRECTORY, cp", "64 MiB there and back, equal digests")
    passes("ifuse DIRECTORY, mkdir, find, mv, rm, rmdir", "as on any disk")
    passes("ifuse DIRECTORY, fusermount -u", "mounts and unmounts")


def test_ifuse_files_are_changed_and_linked(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    with mounted(paired, tmp_path / "phone") as phone:
        file, link = phone / "Downloads/notes", phone / "Downloads/link"
        file.write_bytes(some_bytes(MEBIBYTE))  # in pieces of 4 KiB
        file.write_text("one\ntwo\n")
        with file.open("a") as appended:
            appended.write("three\n")
        os.truncate(file, 8)
        assert file.read_text() == "one\ntwo\n"
        link.symlink_to("notes")
        assert link.readlink() == Path("notes")
        assert link.read_text() == "one\ntwo\n"
        with pytest.raises(FileNotFoundError):
            (phone / "Downloads/missing").read_text()
        with pytest.raises(OSError, match="not empty"):
            (phone / "Downloads").rmdir()
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert file.stat().st_mtime == 1_700_000_000
    passes("ifuse DIRECTORY, >>, truncate, ln -s, touch", "as on any disk, errors too")


def test_ifuse_documents_of_an_application_are_its_own(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    with mounted(paired, tmp_path / "documents", "--documents", "com.example.notes") as documents:
        (documents / "letter").write_text("Dear Ada")
    with mounted(paired, tmp_path / "media") as media:
        assert not (media / "letter").exists()
    with mounted(paired, tmp_path / "container", "--container", "com.example.notes") as container:
        assert (container / "Documents/letter").read_text() == "Dear Ada"
    passes("ifuse --documents, --container APPLICATION", "files of an application")
