from __future__ import annotations

from dataclasses import replace

import pytest

from tests.commands.doctor.made_up import NO_TROUBLE, MadeUpSystem, said
from usbmux.commands.doctor.daemons_check import check_daemons
from usbmux.commands.doctor.processes import daemons, process

OURS = ("/opt/usbmux/bin/python3.11", "-m", "usbmux.commands.usbmuxd", "-f")
DEBIANS = ("/usr/sbin/usbmuxd", "--user", "usbmux", "--systemd")


@pytest.mark.parametrize(
    ("arguments", "is_daemon"),
    [
        (OURS, True),
        (DEBIANS, True),
        (("python3", "/usr/bin/usbmuxd"), True),
        (("/usr/bin/python3", "-P", "-m", "usbmux.commands.usbmuxd"), True),
        (("python3", "-I", "-X", "dev", "/usr/sbin/usbmuxd", "--systemd"), True),
        (("python3", "/usr/bin/usbmux", "--socket", "/run/usbmuxd", "doctor"), False),
        (("python3", "-X", "usbmuxd"), False),
        (("python3", "-m"), False),
        (("/usr/bin/vi", "/usr/sbin/usbmuxd"), False),
        (("python3", "list.py", "of", "many", "words", "usbmuxd"), False),
        (("/usr/bin/usbmuxd-helper",), False),
    ],
)
def test_daemon_is_known_by_its_name(system: MadeUpSystem, arguments: tuple[str, ...], is_daemon: bool) -> None:
    system.process(7, *arguments)
    system.file("/proc/2/cmdline")  # a thread of the kernel
    system.folder("/proc/bus")
    assert [found.pid for found in daemons(system.view)] == ([7] if is_daemon else [])


def test_process_has_the_account_with_whose_rights_it_runs(system: MadeUpSystem) -> None:
    system.process(7, *DEBIANS, uid=46)
    found = process(system.view, 7)
    assert found is not None
    assert (found.account.uid, found.account.gids) == (46, frozenset({46, 50, 51}))
    assert process(system.view, 8) is None


def test_one_daemon_or_none_is_well(system: MadeUpSystem) -> None:
    assert said(check_daemons, system.examination()) == [("ok", "no daemon that uses the USB bus of this computer", "")]
    system.process(7, *DEBIANS)
    assert said(check_daemons, system.examination()) == [
        ("ok", f"pid 7 ({' '.join(DEBIANS)}) is the only daemon that uses the USB bus of this computer", "")
    ]


@pytest.mark.parametrize("option", ["--simulate", "--simulate=2", "--replay"])
def test_daemon_without_usb_is_nobodys_rival(system: MadeUpSystem, option: str) -> None:
    system.process(7, *DEBIANS)
    system.process(8, *OURS, option)
    assert [severity for severity, *_ in said(check_daemons, system.examination())] == ["ok"]


def test_daemon_with_simulated_phones_and_those_on_usb_is_a_rival(system: MadeUpSystem) -> None:
    system.process(7, *DEBIANS)
    system.process(8, *OURS, "--simulate", "--usb")
    assert [severity for severity, *_ in said(check_daemons, system.examination())] == ["warning"]


@pytest.mark.parametrize(("listening", "other"), [(None, "8"), (7, "8"), (8, "7")])
def test_two_daemons_are_rivals_and_the_one_that_does_not_serve_is_to_go(
    system: MadeUpSystem, listening: int | None, other: str
) -> None:
    system.process(7, *DEBIANS)
    system.process(8, *OURS)
    server = NO_TROUBLE if listening is None else replace(NO_TROUBLE, process=process(system.view, listening))
    ((severity, text, fix),) = said(check_daemons, system.examination(server))
    assert severity == "warning"
    assert text == f"2 daemons take phones from each other: pid 7 ({' '.join(DEBIANS)}), pid 8 ({' '.join(OURS)})"
    assert fix.endswith(f"or: sudo kill {other}")


def test_another_system_is_not_looked_at(system: MadeUpSystem) -> None:
    system.platform = "darwin"
    assert said(check_daemons, system.examination()) == []


def test_long_command_line_is_cut_and_made_harmless(system: MadeUpSystem) -> None:
    system.process(7, "usbmuxd", "\x1b" + "x" * 100)
    assert str(process(system.view, 7)) == f"pid 7 (usbmuxd ?{'x' * 51}...)"
