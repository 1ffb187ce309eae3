from __future__ import annotations

import os
import plistlib
import sys
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from usbmux.commands import install_service as module
from usbmux.commands.install_service import Place, install_service, installation
from usbmux.commands.installed_files import LIST_PATH, InstalledFiles, list_of, read_list
from usbmux.commands.service_actions import RunStep, carry_out, in_words
from usbmux.commands.service_layout import LAUNCHD, SYSTEMD, Step, layout_of, shipped_file
from usbmux.commands.service_report import TextReport
from usbmux.errors import UsbmuxError

if TYPE_CHECKING:
    from pathlib import Path

UNIT = "etc/systemd/system/usbmuxd.service"
FILES = {
    "etc/systemd/system/usbmuxd-admin.socket",
    "etc/systemd/system/usbmuxd.service",
    "etc/systemd/system/usbmuxd.socket",
    "etc/sysusers.d/usbmux.conf",
    "etc/tmpfiles.d/usbmux.conf",
    "etc/udev/rules.d/60-usbmux.rules",
    "etc/usbmux/installed-service.json",
}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="services are installed on POSIX systems only")


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.fixture(autouse=True)
def daemon(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The daemon that gets installed: a file in the place where Python has its commands."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "usbmuxd").touch()
    monkeypatch.setattr(sysconfig, "get_path", {"scripts": str(folder)}.__getitem__)
    return folder / "usbmuxd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with two of the directories that files go to."""
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/udev/rules.d").mkdir(parents=True)
    return tmp_path


def install(root: Path) -> int:
    return install_service(root, uninstall=False, dry_run=False)


def uninstall(root: Path) -> int:
    return install_service(root, uninstall=True, dry_run=False)


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a directory: mode, time of change, content."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns if path.is_file() else 0,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_fresh_install_writes_every_file_for_the_daemon_of_this_python(root: Path, daemon: Path) -> None:
    assert install(root) == 0

    assert files(root) == FILES
    assert f"\nExecStart={daemon} --systemd\n" in (root / UNIT).read_text()
    assert {(root / path).stat().st_mode & 0o7777 for path in FILES} == {0o644}


def test_fresh_install_under_a_strict_umask_writes_files_that_all_can_read(root: Path) -> None:
    before = os.umask(0o077)
    try:
        install(root)
    finally:
        os.umask(before)

    assert (root / UNIT).stat().st_mode & 0o7777 == 0o644
    assert (root / "etc/sysusers.d").stat().st_mode & 0o7777 == 0o755


def test_installed_uninstall_leaves_nothing_and_what_was_there(root: Path) -> None:
    (root / "etc/udev/rules.d/70-other.rules").write_text("# of somebody else\n")
    before = tree(root)
    install(root)

    assert uninstall(root) == 0

    assert tree(root) == before


def test_missing_root_installed_and_uninstalled_is_missing_again(tmp_path: Path) -> None:
    install(tmp_path / "root")
    uninstall(tmp_path / "root")

    assert not (tmp_path / "root").exists()


def test_installed_install_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    before = tree(root)
    capsys.readouterr()

    assert install(root) == 0

    assert tree(root) == before
    assert capsys.readouterr().out.count(": as it should be\n") == len(FILES)


def test_installed_install_after_the_daemon_moved_replaces_only_what_names_it(
    root: Path, daemon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(root)
    before = tree(root)
    elsewhere = daemon.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "usbmuxd").touch()
    monkeypatch.setattr(sysconfig, "get_path", {"scripts": str(elsewhere)}.__getitem__)

    install(root)

    after = tree(root)
    assert {path for path in after if after[path] != before[path]} == {UNIT, LIST_PATH.lstrip("/")}
    assert str(elsewhere) in (root / UNIT).read_text()
    uninstall(root)
    assert files(root) == set()


def test_file_changed_by_hand_install_refuses_and_changes_nothing(root: Path, daemon: Path) -> None:
    install(root)
    (root / UNIT).write_text("[Service]\n")
    before = tree(root)

    with pytest.raises(UsbmuxError, match=r"changed by hand since; move away first: \S+/usbmuxd.service$"):
        install(root)

    assert tree(root) == before


def test_file_changed_by_hand_uninstall_keeps_it_and_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    (root / UNIT).write_text("[Service]\n")

    assert uninstall(root) == 0

    assert files(root) == {UNIT}
    assert f"keep {root / UNIT}: changed by hand\n" in capsys.readouterr().out


def test_file_removed_by_hand_uninstall_removes_the_rest(root: Path) -> None:
    install(root)
    (root / UNIT).unlink()

    assert uninstall(root) == 0

    assert files(root) == set()


def test_file_of_somebody_else_in_the_way_install_refuses_and_writes_nothing(root: Path) -> None:
    (root / UNIT).write_text("[Service]\n")
    before = tree(root)

    with pytest.raises(UsbmuxError, match="not written by usbmux"):
        install(root)

    assert tree(root) == before


def test_masked_unit_install_refuses(root: Path) -> None:
    (root / UNIT).symlink_to("/dev/null")

    with pytest.raises(UsbmuxError, match="not written by usbmux"):
        install(root)

    assert (root / UNIT).is_symlink()


def test_link_to_a_file_like_ours_install_refuses(root: Path) -> None:
    install(root)
    (root / UNIT).rename(root / "elsewhere")
    (root / UNIT).symlink_to(root / "elsewhere")

    with pytest.raises(UsbmuxError, match="not written by usbmux"):
        install(root)


def test_file_of_somebody_else_in_our_directory_uninstall_leaves_both(root: Path) -> None:
    install(root)
    (root / "etc/sysusers.d/other.conf").touch()

    assert uninstall(root) == 0

    assert files(root) == {"etc/sysusers.d/other.conf"}


def test_unit_masked_after_install_uninstall_keeps_the_mask(root: Path) -> None:
    install(root)
    (root / UNIT).unlink()
    (root / UNIT).symlink_to("/dev/null")

    uninstall(root)

    assert (root / UNIT).is_symlink()


def test_file_of_an_older_version_install_removes_it_unless_it_was_changed(root: Path) -> None:
    install(root)
    before = read_list(root / LIST_PATH.lstrip("/"))
    contents = {"/etc/old": b"old", "/etc/changed": b"as written"}
    older = {**before.digests, **list_of(contents, ()).digests}
    (root / LIST_PATH.lstrip("/")).write_bytes(InstalledFiles(older, before.directories).encode())
    (root / "etc/old").write_bytes(b"old")
    (root / "etc/changed").write_bytes(b"as changed")

    install(root)

    assert files(root) == {*FILES, "etc/changed"}


def test_install_interrupted_anywhere_uninstall_leaves_nothing(tmp_path: Path) -> None:
    contents = {path: b"text" for path in ("/etc/a/one", "/etc/b/two")}
    length = len(list(installation(Place(SYSTEMD, tmp_path / "whole"), InstalledFiles(), contents)))
    for done in range(length):
        root = tmp_path / str(done)
        root.mkdir()
        place = Place(SYSTEMD, root)
        actions = list(installation(place, InstalledFiles(), contents))[:done]
        carry_out("usbmux", actions, TextReport())
        is_listed = place.real(LIST_PATH).exists()

        uninstall(root)

        assert list(root.rglob("*")) == [] or not is_listed, actions
        assert files(root) == set(), actions


def test_dry_run_changes_nothing_and_prints_what_install_prints(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(root)

    assert install_service(root, uninstall=False, dry_run=True) == 0

    assert tree(root) == before
    printed = capsys.readouterr().out
    install(root)
    assert capsys.readouterr().out == printed
    assert f"write {root / UNIT}\n" in printed
    assert "leave out systemctl daemon-reload: it is for another root\n" in printed


def test_dry_run_of_uninstall_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    before = tree(root)
    capsys.readouterr()

    assert install_service(root, uninstall=True, dry_run=True) == 0

    assert tree(root) == before
    assert f"remove {root / UNIT}\n" in capsys.readouterr().out


def test_nothing_installed_uninstall_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert uninstall(root) == 0
    assert capsys.readouterr().out == "not installed: nothing to remove\n"


@pytest.mark.parametrize("is_uninstall", [False, True])
def test_not_root_refuses_with_the_reason(is_uninstall: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsbmuxError, match=r"only root can change the services of systemd; --dry-run"):
        install_service(None, uninstall=is_uninstall, dry_run=False)


@pytest.mark.parametrize("text", [b"\xff", b"{}", b"[]", b'{"files": {"/a": 1}, "directories": []}'])
def test_damaged_list_refuses(root: Path, text: bytes) -> None:
    (root / "etc/usbmux").mkdir()
    (root / LIST_PATH.lstrip("/")).write_bytes(text)

    with pytest.raises(UsbmuxError, match=r"installed-service.json is damaged"):
        install(root)


def test_no_daemon_beside_this_python_refuses(root: Path, daemon: Path) -> None:
    daemon.unlink()

    with pytest.raises(UsbmuxError, match="no usbmuxd at "):
        install(root)


def test_daemon_at_a_path_with_a_meaning_for_units_refuses(
    root: Path, daemon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = daemon.parent / "50% off"
    odd.mkdir()
    (odd / "usbmuxd").touch()
    monkeypatch.setattr(sysconfig, "get_path", {"scripts": str(odd)}.__getitem__)

    with pytest.raises(UsbmuxError, match="has characters with a meaning there"):
        install(root)


@pytest.fixture
def folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the daemon lies, and services see nothing."""
    folder = root / "home"
    folder.mkdir()
    (folder / "usbmuxd").touch()
    monkeypatch.setattr(sysconfig, "get_path", {"scripts": str(folder)}.__getitem__)
    monkeypatch.setattr(module, "layout_of", lambda _platform: replace(SYSTEMD, hidden=(str(folder),)))
    return folder


def test_daemon_where_services_see_nothing_is_told(
    root: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(root) == 0

    assert f"{folder}/usbmuxd is below {folder}, which services cannot see" in capsys.readouterr().err


def test_daemon_where_services_of_this_computer_see_nothing_refuses_and_dry_run_fails_behind_its_plan(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "read_list", lambda _path: InstalledFiles({}, ()))  # whatever this computer has
    monkeypatch.setattr(Place, "content", lambda _place, _path: None)

    with pytest.raises(UsbmuxError, match="which services cannot see"):
        install_service(None, uninstall=False, dry_run=False)
    assert install_service(None, uninstall=False, dry_run=True) == 1

    told = capsys.readouterr()
    assert f"write /{UNIT}\n" in told.out
    assert "which services cannot see" in told.err


def test_programs_run_in_order_and_one_that_fails_stops_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes"
    commands = [
        f"echo {name} >>{notes}; {end}" for name, end in (("a", ":"), ("b", "echo why >&2; exit 3"), ("c", ":"))
    ]

    assert not carry_out("usbmux", [RunStep(Step(("sh", "-c", command))) for command in commands], TextReport())

    assert notes.read_text() == "a\nb\nc\n"
    assert capsys.readouterr().err == f"usbmux: sh -c {commands[1]}: why\n"


def test_program_that_may_fail_or_is_missing_is_no_failure_if_so_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out("usbmux", [RunStep(Step(("false",), may_fail=True))], TextReport())
    assert not carry_out("usbmux", [RunStep(Step(("/no/such/program",)))], TextReport())
    assert "/no/such/program" in capsys.readouterr().err


def test_launchd_install_writes_a_property_list_that_starts_the_daemon(tmp_path: Path) -> None:
    ((name, directory),) = LAUNCHD.files
    path = f"{directory}/{name.partition('/')[2]}"
    place = Place(LAUNCHD, tmp_path)

    contents = {path: shipped_file(name, "/opt/usbmux/bin/usbmuxd")}
    carry_out("usbmux", installation(place, InstalledFiles(), contents), TextReport())

    values = plistlib.loads(place.real("/Library/LaunchDaemons/org.usbmux.usbmuxd.plist").read_bytes())
    assert values["Label"] == "org.usbmux.usbmuxd"
    assert values["ProgramArguments"][:2] == ["/opt/usbmux/bin/usbmuxd", "--foreground"]
    assert values["KeepAlive"] == {"SuccessfulExit": False}
    words = [in_words(action) for action in place.steps(LAUNCHD.after_installing)]
    assert words[1].startswith("leave out launchctl bootstrap system /Library/LaunchDaemons/org.usbmux.usbmuxd.plist")


def test_platform_without_services_refuses() -> None:
    with pytest.raises(UsbmuxError, match="no service can be installed on win32"):
        layout_of("win32")
