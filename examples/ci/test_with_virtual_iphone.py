"""Tests of a program that talks to iPhones; the fixtures come with `usbmux[testing]`."""

import subprocess

import pytest

from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Identity, Trust, VirtualIPhone


def program(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.virtual_iphone(identity=Identity(device_name="Ada's iPhone", product_version="17.5.1"))
def test_program_sees_the_phone(usbmuxd: RunningDaemon) -> None:
    assert program("ideviceinfo", "-s", "-k", "ProductVersion").stdout == "17.5.1\n"


@pytest.mark.virtual_iphone(trust=Trust.PENDING)
def test_program_asks_for_trust_and_pairs_once_it_is_given(
    usbmuxd: RunningDaemon, virtual_iphone: VirtualIPhone
) -> None:
    assert "trust dialog" in program("idevicepair", "pair").stdout
    virtual_iphone.answer_trust(Trust.ACCEPTED)
    assert program("idevicepair", "pair").returncode == 0
    assert len(virtual_iphone.hosts.host_ids) == 1
