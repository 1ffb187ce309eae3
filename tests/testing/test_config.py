"""Simulated phones from TOML, and the default ones."""

import re
from pathlib import Path

import pytest

from usbmux.errors import UsbmuxError
from usbmux.testing import default_phones, digest, discard, echo, load_phones, source

UDID = "00008030-001A2B3C4D5E6F01"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "phones.toml"
    path.write_text(text)
    return path


def test_default_phones_have_believable_distinct_udids_and_the_same_every_time() -> None:
    udids = [phone.udid for phone in default_phones(50)]
    assert all(
        re.fullmatch(r"000081[0-3]0-00[0-9A-F]{14}|00008030-00[0-9A-F]{14}|00008101-00[0-9A-F]{14}", udid)
        for udid in udids
    )
    assert len(set(udids)) == 50
    assert udids[:3] == [phone.udid for phone in default_phones(3)]


def test_default_phones_offer_four_ports() -> None:
    (phone,) = default_phones(1)
    assert phone.ports == {7: echo, 9: discard, 19: source, 99: digest}


def test_file_with_two_phones_is_understood(tmp_path: Path) -> None:
    text = f"""
        [[phone]]
        udid = "{UDID}"
        version = 1
        [phone.ports]
        7 = "echo"
        22 = "127.0.0.1:2222"
        [[phone]]
        udid = "other"
    """
    first, second = load_phones(write(tmp_path, text))
    assert (first.udid, first.version, sorted(first.ports)) == (UDID, 1, [7, 22])
    assert first.ports[7] is echo
    assert (second.udid, second.version, second.ports) == ("other", 2, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "phone: expected at least one"),
        pytest.param("phone = " + "[" * 10_000, "nested too deep", id="too deep"),
        ("phone = 3", "phone: expected at least one"),
        ("phone = [3]", "phone[0]: expected a table, found 3"),
        ("phones = []", "phones: unknown key; expected phone"),
        ("[[phone]]", "phone[0].udid: expected 1 to 64 printable ASCII characters, found None"),
        ("[[phone]]\nudid = 7", "phone[0].udid: expected"),
        ("[[phone]]\nudid = ''", "phone[0].udid: expected"),
        ("[[phone]]\nudid = 'é'", "phone[0].udid: expected"),
        ("[[phone]]\nudid = 'a'\n[[phone]]\nudid = 'a'", "phone[1].udid: a is used twice"),
        ("[[phone]]\nudid = 'a'\nversion = 3", "phone[0].version: expected 1 or 2, found 3"),
        ("[[phone]]\nudid = 'a'\nversion = true", "phone[0].version: expected 1 or 2, found True"),
        ("[[phone]]\nudid = 'a'\nname = 'b'", "phone[0].name: unknown key; expected udid, version, ports"),
        ("[[phone]]\nudid = 'a'\nports = 3", "phone[0].ports: expected a table, found 3"),
        ("[[phone]]\nudid = 'a'\nports.ssh = 'echo'", "phone[0].ports.ssh: expected a port number"),
        ("[[phone]]\nudid = 'a'\nports.65536 = 'echo'", "phone[0].ports.65536: expected a port number"),
        ("[[phone]]\nudid = 'a'\nports.7 = 7", "phone[0].ports.7: expected a string, found 7"),
        ("[[phone]]\nudid = 'a'\nports.7 = 'ecko'", "phone[0].ports.7: 'ecko' is neither one of"),
        ("[[phone]", "Expected"),
    ],
)
def test_file_with_a_mistake_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsbmuxError, match=re.escape(f"{path}: {message}")):
        load_phones(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsbmuxError, match=r"phones\.toml"):
        load_phones(tmp_path / "phones.toml")
