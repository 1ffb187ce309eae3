from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import NO_TROUBLE, NOBODY, SOCKET, UDID, MadeUpSystem, said, served
from usbmux.client.device import Device
from usbmux.commands.doctor.environment_check import check_environment
from usbmux.control.address import UnixAddress, parse_address

if TYPE_CHECKING:
    from pathlib import Path

WELL = [("ok", "no variable is in the way", "")]
UPPER = "UNIX:///run/mux"
"""Understood by all but pymobiledevice3."""


@pytest.fixture
def programs(system: MadeUpSystem, tmp_path: Path) -> Path:
    """The PATH of the made-up computer: with programs of libimobiledevice and pymobiledevice3."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("idevice_id", "pymobiledevice3"):
        (folder / name).touch(mode=0o755)
    system.environ["PATH"] = str(folder)
    return folder


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"USBMUXD_SOCKET_ADDRESS": "", "USBMUX_UDID": "", "PYMOBILEDEVICE3_USBMUX": ""},
        {"USBMUXD_SOCKET_ADDRESS": UPPER, "PYMOBILEDEVICE3_USBMUX": "/run/mux", "USBMUX_UDID": "1-2"},
        {"USBMUXD_SOCKET_ADDRESS": "localhost:27015"},
    ],
)
def test_variables_in_order_or_none_are_well(system: MadeUpSystem, programs: Path, environ: dict[str, str]) -> None:
    system.environ |= environ
    text = environ.get("USBMUXD_SOCKET_ADDRESS")
    server = replace(served(Device(1, UDID, port_path="1-2")), address=parse_address(text) if text else SOCKET)
    assert said(check_environment, system.examination(server)) == WELL


def test_variable_that_does_not_exist_is_pointed_out(system: MadeUpSystem) -> None:
    system.environ["USBMUX_ADDRESS"] = "/run/mux"
    assert said(check_environment, system.examination()) == [
        (
            "warning",
            "USBMUX_ADDRESS is set, which usbmux does not read",
            "unset USBMUX_ADDRESS; export USBMUXD_SOCKET_ADDRESS=... instead",
        )
    ]


def test_variable_that_holds_no_address_is_a_problem(system: MadeUpSystem) -> None:
    system.environ["USBMUXD_SOCKET_ADDRESS"] = "ftp://phone"
    severity, text, fix = said(check_environment, system.examination())[0]
    assert (severity, fix) == ("problem", "unset USBMUXD_SOCKET_ADDRESS")
    assert text == "USBMUXD_SOCKET_ADDRESS holds no address: 'ftp://phone': the scheme of an address is unix or tcp"


def test_option_and_variable_that_differ_are_pointed_out_with_the_option_in_the_fix(system: MadeUpSystem) -> None:
    system.environ["USBMUXD_SOCKET_ADDRESS"] = "localhost:27015"
    given = UnixAddress("/run/my mux")
    ((severity, text, fix),) = said(check_environment, system.examination(given=given))
    assert (severity, text) == (
        "warning",
        "--socket names unix:/run/my mux, but USBMUXD_SOCKET_ADDRESS sends other programs to localhost:27015",
    )
    assert fix == "eval \"$(usbmux --socket 'unix:/run/my mux' env)\", or leave --socket away"


def test_option_and_variable_that_agree_are_well(system: MadeUpSystem, programs: Path) -> None:
    system.environ |= {"USBMUXD_SOCKET_ADDRESS": UPPER, "PYMOBILEDEVICE3_USBMUX": "/run/mux"}
    assert said(check_environment, system.examination(given=SOCKET)) == WELL


def test_spelling_that_an_installed_program_cannot_read_is_a_warning(system: MadeUpSystem, programs: Path) -> None:
    system.environ["USBMUXD_SOCKET_ADDRESS"] = "/run/mux"
    assert said(check_environment, system.examination()) == [
        (
            "warning",
            "libimobiledevice does not understand USBMUXD_SOCKET_ADDRESS=/run/mux, and asks the system's daemon "
            "without a word",
            'eval "$(usbmux env --for limd)"',
        ),
        (
            "note",
            "frida, not seen in the PATH, would not understand how the address is spelled",
            'eval "$(usbmux env)"',
        ),
    ]


def test_spelling_that_pymobiledevice3_cannot_read_is_a_warning(system: MadeUpSystem, programs: Path) -> None:
    system.environ["USBMUXD_SOCKET_ADDRESS"] = UPPER
    assert said(check_environment, system.examination()) == [
        (
            "warning",
            f"pymobiledevice3 does not understand USBMUXD_SOCKET_ADDRESS={UPPER}",
            'eval "$(usbmux env --for pmd3)"',
        )
    ]


@pytest.mark.parametrize("text", ["/run/other", "localhost:0099999"])
def test_variable_of_a_program_that_leads_elsewhere_is_a_warning(
    system: MadeUpSystem, programs: Path, text: str
) -> None:
    system.environ["PYMOBILEDEVICE3_USBMUX"] = text
    severity, found, fix = said(check_environment, system.examination())[0]
    assert severity == "warning"
    assert text in found
    assert 'eval "$(usbmux env --for pmd3)"' in fix


@pytest.mark.parametrize("wanted", ["1-9", "0123"])
def test_chosen_phone_that_is_not_there_is_a_warning(system: MadeUpSystem, wanted: str) -> None:
    system.environ["USBMUX_UDID"] = wanted
    server = served(Device(1, UDID, port_path="1-2"))
    ((severity, text, fix),) = said(check_environment, system.examination(server))
    assert (severity, fix) == ("warning", "unset USBMUX_UDID")
    assert text.startswith("USBMUX_UDID: no phone ")
    assert text.endswith(f"only {UDID} at 1-2")


def test_chosen_phone_is_no_matter_without_a_daemon(system: MadeUpSystem) -> None:
    system.environ["USBMUX_UDID"] = "1-9"
    assert said(check_environment, system.examination(NOBODY)) == WELL
    assert said(check_environment, system.examination(NO_TROUBLE)) != WELL
