"""Virtual iPhones from TOML, and the default ones."""

from __future__ import annotations

import re
import tracemalloc
from ssl import TLSVersion
from typing import TYPE_CHECKING

import pytest

from usbmux.errors import UsbmuxError
from usbmux.testing import SimulatedPhone, default_phones, echo, http, load_phones, load_pluggables
from usbmux.testing.iphone import (
    LOCKDOWN_PORT,
    AfcFaults,
    AfcService,
    Application,
    ApplicationKind,
    HouseArrest,
    LockdownFaults,
    OpenMode,
    ServiceFaults,
    TlsOptions,
    Trust,
    VirtualIPhone,
    default_iphones,
    usual_services,
)
from usbmux.testing.iphone.phone_file import AFC, CRASH_REPORTS, HOUSE_ARREST

if TYPE_CHECKING:
    from pathlib import Path

    from usbmux.testing.iphone import FileTree

MAX_PHONE_LENGTH = 32 << 10


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "phones.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(tmp_path: Path, text: str) -> VirtualIPhone:
    (phone,) = load_pluggables(write(tmp_path, text))
    assert isinstance(phone, VirtualIPhone)
    return phone


def test_default_iphones_differ_and_are_the_same_every_time() -> None:
    phones = default_iphones(64)
    assert [phone.udid for phone in phones] == [phone.udid for phone in default_phones(64)]
    for key in ("UniqueDeviceID", "UniqueChipID", "DeviceName", "SerialNumber", "WiFiAddress"):
        values = [phone.values.value(key) for phone in phones]
        assert len(set(values)) == 64
        assert values[:2] == [phone.values.value(key) for phone in default_iphones(2)]
    assert phones[0].summary == "Virtual iPhone, iPhone12,1, iOS 16.7.2"
    assert phones[1].summary.startswith("Virtual iPhone 2, ")


def test_default_iphones_are_small() -> None:
    default_iphones(1)  # what they share
    tracemalloc.start()
    try:
        phones = default_iphones(64)
        length, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length / len(phones) < MAX_PHONE_LENGTH


def test_table_with_nothing_is_the_usual_phone(tmp_path: Path) -> None:
    phone, usual = load(tmp_path, "[[iphone]]"), default_iphones(1)[0]
    assert phone.udid == usual.udid
    assert phone.summary == usual.summary
    assert phone.services.keys() == usual_services().keys()
    assert (phone.hosts.trust, phone.device.version) == (Trust.ACCEPTED, 2)
    assert phone.tls.options == TlsOptions()
    assert phone.lockdown.faults is None
    assert phone.device.ports.keys() == usual.device.ports.keys()
    assert (phone.device.ports[7], phone.device.ports[80]) == (echo, http)


@pytest.mark.parametrize(("ports", "expected"), [("{}", set()), ('{ 22 = "echo" }', {22})], ids=["empty", "own"])
def test_table_names_ports_it_has_these_and_no_others(tmp_path: Path, ports: str, expected: set[int]) -> None:
    phone = load(tmp_path, f"[[iphone]]\nports = {ports}")
    assert phone.device.ports.keys() == {LOCKDOWN_PORT, *expected}


def test_tables_of_both_kinds_make_phones_of_both_kinds(tmp_path: Path) -> None:
    path = write(tmp_path, '[[iphone]]\n[[iphone]]\n[[phone]]\nudid = "plain"\n[phone.ports]\n7 = "echo"')
    phones = load_pluggables(path)
    assert [type(phone) for phone in phones] == [SimulatedPhone, VirtualIPhone, VirtualIPhone]
    assert phones[0].summary == "phone without lockdown, ports: 7"
    assert [phone.udid for phone in load_phones(path)] == [phone.device.udid for phone in phones]


def test_table_with_everything_is_that_phone(tmp_path: Path) -> None:
    phone = load(
        tmp_path,
        """
        [[iphone]]
        udid = "00008110-000A3C1E0C01801E"
        device_name = "Größe"
        product_version = "9.3.5"
        trust = "pending"
        mux_version = 1
        without_services = ["com.apple.mobile.screenshotr"]
        values.PhoneNumber = "+1 555 0100"
        ports.7 = "echo"
        [iphone.lockdown_faults]
        closes = true
        [iphone.service_faults]
        refuses = true
        [iphone.afc_faults]
        longest_read = 7
        [iphone.mux]
        window = 512
        """,
    )
    assert phone.summary == "Größe, iPhone12,1, iOS 9.3.5"
    assert phone.values.value("PhoneNumber") == "+1 555 0100"
    assert phone.hosts.trust is Trust.PENDING
    assert (phone.device.version, phone.device.options.window) == (1, 512)
    assert phone.device.ports[7] is echo
    assert "com.apple.mobile.screenshotr" not in phone.services
    assert phone.lockdown.faults == LockdownFaults(closes=True)
    assert phone.service_faults == ServiceFaults(refuses=True)
    assert phone.tls.options.minimum_version is TLSVersion.TLSv1
    for name in (AFC, CRASH_REPORTS, HOUSE_ARREST):
        service = phone.services[name]
        assert isinstance(service, AfcService | HouseArrest)
        assert service.faults == AfcFaults(longest_read=7)


def test_table_tls_is_instead_of_what_goes_with_the_version(tmp_path: Path) -> None:
    phone = load(tmp_path, '[[iphone]]\nproduct_version = "9.3.5"\ntls.authenticates_host = false')
    assert phone.tls.options == TlsOptions(authenticates_host=False)


def content(tree: FileTree, name: str) -> bytes:
    file = tree.root().open_file(name, OpenMode.READ)
    try:
        return file.read_at(0, 100)
    finally:
        file.close()


def test_directories_lie_beside_the_file(tmp_path: Path) -> None:
    for name in ("media", "notes", "crashes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    phone = load(
        tmp_path,
        """
        [[iphone]]
        files = "media"
        crash_reports = "crashes"
        [[iphone.application]]
        identifier = "com.example.notes"
        name = "Notes"
        version = "2.0"
        files = "notes"
        [[iphone.application]]
        identifier = "com.example.system"
        name = "System"
        kind = "system"
        """,
    )
    afc, house_arrest, reports = (phone.services[name] for name in (AFC, HOUSE_ARREST, CRASH_REPORTS))
    assert isinstance(afc, AfcService)
    assert isinstance(reports, AfcService)
    assert isinstance(house_arrest, HouseArrest)
    assert content(afc.tree, "x") == b"media"
    assert content(reports.tree, "x") == b"crashes"
    assert list(house_arrest.containers) == ["com.example.notes"]
    assert content(house_arrest.containers["com.example.notes"], "x") == b"notes"
    assert phone.applications == (
        Application("com.example.notes", "Notes", version="2.0"),
        Application("com.example.system", "System", kind=ApplicationKind.SYSTEM),
    )


APPLICATION = "[[iphone.application]]\nidentifier = 'a'\nname = 'A'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iphone = 3", "iphone: expected at least one [[iphone]], found 3"),
        ("iphone = [3]", "iphone[0]: expected a table, found 3"),
        ("iphone = []", "phone: expected at least one [[phone]] or [[iphone]]"),
        ("[[iphone]]\ncolour = 1", "iphone[0].colour: unknown key; expected udid, device_name,"),
        ("[[iphone]]\ncolour = 1", "without, application, crash_reports, files, mux_version, ports, trust, "),
        ("[[iphone]]\nudid = 1", "iphone[0].udid: expected a printable string"),
        ("[[iphone]]\n[[iphone]]\nudid = '00008030-001C88E0B100B37C'", "iphone[1].udid: 00008030-001C88E0B100B37C is"),
        ("[[iphone]]\ntrust = 'maybe'", "iphone[0].trust: expected one of accepted, pending, denied, locked,"),
        ("[[iphone]]\ntrust = 1", "iphone[0].trust: expected one of"),
        (
            "[[iphone]]\nmux_version = '1'",
            "iphone[0].mux_version: expected a whole number from 0 to 4294967295, found '1'",
        ),
        ("[[iphone]]\nmux_version = -1", "iphone[0].mux_version: expected a whole number"),
        ("[[iphone]]\nmux_version = 4294967296", "iphone[0].mux_version: expected a whole number"),
        ("[[iphone]]\nports.7 = 'ecko'", "iphone[0].ports.7: 'ecko' is neither one of"),
        ("[[iphone]]\nports.62078 = 'echo'", "iphone[0].ports.62078: this one is lockdown's"),
        ("[[iphone]]\nwithout = ['WifiAddress']", "iphone[0].without: 'WifiAddress' is none of ActivationState, "),
        ("[[iphone]]\ntls.maximum_version = '1.0'\ntls.minimum_version = '1.1'", "minimum_version: newer than maximum"),
        ("[[iphone]]\ntls.key_log = 'nowhere/keys'", "iphone[0].tls.key_log: cannot be written: [Errno 2] No such"),
        ("[[iphone]]\nfiles = 'nowhere'", "iphone[0].files: expected a directory, found 'nowhere'"),
        ("[[iphone]]\nfiles = 7", "iphone[0].files: expected a directory, found 7"),
        ("[[iphone]]\nwithout_services = 'x'", "iphone[0].without_services: expected a list of services, found 'x'"),
        ("[[iphone]]\nwithout_services = ['x']", "iphone[0].without_services: 'x' is none of com.apple.afc, com."),
        ("[[iphone]]\ntls.minimum_version = 1.2", "iphone[0].tls.minimum_version: expected one of 1.0"),
        ("[[iphone]]\nmux.window = -1", "iphone[0].mux.window: expected a whole number"),
        ("[[iphone]]\nmux.max_segment = 0", "iphone[0].mux.max_segment: expected a whole number from 1 to"),
        ("[[iphone]]\nafc_faults = 1", "iphone[0].afc_faults: expected a table, found 1"),
        ("[[iphone]]\napplication = 1", "iphone[0].application: expected [[iphone.application]], found 1"),
        ("[[iphone]]\napplication = [1]", "iphone[0].application[0]: expected a table, found 1"),
        ("[[iphone]]\n[[iphone.application]]\nname = 'A'", "iphone[0].application[0].identifier: missing"),
        (f"[[iphone]]\n{APPLICATION}{APPLICATION}", "iphone[0].application[1].identifier: a is used twice"),
        (f"[[iphone]]\n{APPLICATION}kind = 'pet'", "iphone[0].application[0].kind: expected one of system, user, hid"),
        (f"[[iphone]]\n{APPLICATION}colour = 1", "iphone[0].application[0].colour: unknown key; expected identifier"),
        (f"[[iphone]]\n{APPLICATION}files = 'x'", "iphone[0].application[0].files: expected a directory, found 'x'"),
    ],
)
def test_file_with_a_mistake_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsbmuxError, match=re.escape(message)) as caught:
        load_pluggables(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path}/phones.toml: ")
