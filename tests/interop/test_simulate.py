"""Unmodified programs with what `usbmux simulate` tells them, and with many phones at once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program, go_ios, pymobiledevice3, tidevice
from tests.support.daemon import clean_environment
from usbmux.testing import default_phones

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.interop

UDIDS = [phone.udid for phone in default_phones(64)]


def simulate(count: int, *command: str) -> str:
    """What the command prints, with so many phones."""
    words = [sys.executable, "-m", "usbmux", "simulate", "--count", str(count), "--", *command]
    done = subprocess.run(
        words,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (lambda: debian_program("idevice_id"), ("-l",)),
        (go_ios, ("list",)),
        (pymobiledevice3, ("usbmux", "list", "--simple")),
    ],
    ids=["libimobiledevice", "go-ios", "pymobiledevice3"],
)
def test_environment_leads_each_program_to_the_phone(program: Callable[[], str], arguments: tuple[str, ...]) -> None:
    assert UDIDS[0] in simulate(1, program(), *arguments)


def test_one_pairing_of_ours_is_enough_for_programs_that_make_none() -> None:
    ours = f"{sys.executable} -m usbmux pair > /dev/null"
    socket = "--socket $PYMOBILEDEVICE3_USBMUX"
    printed = simulate(1, "sh", "-c", f"{ours} && {go_ios()} devicename && {tidevice()} {socket} list")
    first, *table = printed.splitlines()
    assert json.loads(first) == {"devicename": "Virtual iPhone"}
    assert UDIDS[0] in table[-1]


def test_64_phones_are_listed_and_any_of_them_pairs() -> None:
    idevice_id, ideviceinfo = debian_program("idevice_id"), debian_program("ideviceinfo")
    assert sorted(simulate(64, idevice_id, "-l").split()) == sorted(UDIDS)
    some = (UDIDS[0], UDIDS[31], UDIDS[63])
    script = " && ".join(f"{ideviceinfo} -u {udid} -k DeviceName" for udid in some)
    assert simulate(64, "sh", "-c", script) == "Virtual iPhone\nVirtual iPhone 32\nVirtual iPhone 64\n"
