"""What the phone remembers of hosts."""

import pytest

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone import HostRecord, Hosts

PROPERTIES: dict[object, object] = {
    "HostID": "A",
    "SystemBUID": "B",
    "DeviceCertificate": b"device",
    "HostCertificate": b"host",
    "RootCertificate": b"root",
}


def record(host_id: str = "A", root: bytes = b"root") -> HostRecord:
    return HostRecord.from_properties({**PROPERTIES, "HostID": host_id, "RootCertificate": root})


def test_record_with_more_keys_drops_them() -> None:
    assert HostRecord.from_properties({**PROPERTIES, "RootPrivateKey": b"secret", 7: []}) == HostRecord(
        "A", "B", b"device", b"host", b"root"
    )


@pytest.mark.parametrize("key", PROPERTIES)
@pytest.mark.parametrize("value", [None, 7, "x\n", "", "x" * 256, b"x" * 16385])
def test_record_with_an_unusable_field_raises(key: str, value: object) -> None:
    with pytest.raises(RemoteProtocolError, match=key):
        HostRecord.from_properties({**PROPERTIES, key: value})


@pytest.mark.parametrize("properties", [None, [], "record", {}])
def test_record_that_is_none_raises(properties: object) -> None:
    with pytest.raises(RemoteProtocolError):
        HostRecord.from_properties(properties)


def test_host_that_pairs_again_replaces_its_record() -> None:
    hosts, first, second = Hosts(), record(), record(root=b"new")
    hosts.remember(first)
    assert hosts.is_trusted(first)
    hosts.remember(second)
    assert hosts.find("A") is second
    assert not hosts.is_trusted(first)
    assert hosts.host_ids == ("A",)


def test_host_that_is_forgotten_is_not_trusted() -> None:
    hosts = Hosts()
    hosts.remember(record("A"))
    hosts.remember(record("B"))
    assert [hosts.forget("A"), hosts.forget("A")] == [True, False]
    assert hosts.host_ids == ("B",)
    hosts.revoke()
    assert hosts.find("B") is None


def test_host_that_pairs_again_as_before_does_not_revive_what_was_revoked() -> None:
    hosts, first, same = Hosts(), record(), record()
    hosts.remember(first)
    hosts.revoke()
    hosts.remember(same)
    assert first == same
    assert [hosts.is_trusted(first), hosts.is_trusted(same)] == [False, True]


def test_hosts_beyond_the_room_take_the_place_of_who_paired_longest_ago() -> None:
    hosts = Hosts()
    for number in range(256):
        hosts.remember(record(f"{number}"))
    hosts.remember(record("0"))
    hosts.remember(record("one more"))
    assert len(hosts.host_ids) == 256
    assert hosts.find("1") is None
    assert hosts.host_ids[-2:] == ("0", "one more")
