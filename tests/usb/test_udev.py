from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from usbmux.usb.udev import is_udev_heard

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
KERNEL = "000000004a9e536d 15  0          00000000 0        0        0     2        0        1026\n"
UDEV = "000000008e159f58 15  412        00000001 0        0        0     2        0        1832\n"
READER_OF_UDEV = "00000000d13d65a6 15  1          00000002 0        0        0     2        0        1930\n"
ROUTE = "0000000093a2ef35 0   510        00000001 0        0        0     2        0        1506\n"
WHOLE = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("sockets", "namespace", "is_heard"),
    [
        (KERNEL + READER_OF_UDEV + UDEV, WHOLE, True),
        (KERNEL + READER_OF_UDEV + ROUTE, WHOLE, False),
        ("", WHOLE, False),
        (KERNEL + UDEV, "         0     100000      65536\n", False),
        (KERNEL + UDEV, "         0       1000          1\n         1     100000      65536\n", False),
    ],
    ids=["udev runs", "others only", "nobody", "a user namespace", "another user namespace"],
)
def test_udev_is_heard_where_it_hears_the_kernel_and_we_are_its_root(
    sockets: str, namespace: str, is_heard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name, text in (("_NETLINK_TABLE", HEADER + sockets), ("_USER_NAMESPACE", namespace)):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr(f"usbmux.usb.udev.{name}", path)

    assert is_udev_heard() is is_heard


def test_udev_is_not_heard_where_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("usbmux.usb.udev._NETLINK_TABLE", tmp_path / "missing")

    assert not is_udev_heard()


def test_other_systems_tell_libusb_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")

    assert is_udev_heard()
