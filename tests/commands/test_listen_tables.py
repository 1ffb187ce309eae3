from __future__ import annotations

import os
from pathlib import Path

import pytest

from usbmux.commands.listen_tables import group_id, listen_settings, octal_mode, rule, table_from_text, user_id
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.policy import Permission, RecordAccess, Rule
from usbmux.tls_front import TlsSettings


def test_text_is_read_as_a_table() -> None:
    assert table_from_text("address=/run/a,udids=1*,udids=2*,mode=0600") == {
        "address": "/run/a",
        "udids": ["1*", "2*"],
        "mode": "0600",
    }


@pytest.mark.parametrize(
    ("text", "problem"), [("address", "not of the form"), ("mode=1,mode=2", "mode is given twice")]
)
def test_text_is_no_table(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        table_from_text(text)


def test_listen_address_alone_has_the_defaults() -> None:
    assert listen_settings({"address": "/run/a"}) == ListenSettings(UnixAddress("/run/a"))


def test_listen_everything_is_taken() -> None:
    table = {"address": "/run/a", "mode": "0666", "group": 7, "udids": ["1*"], "ports": [22, "1000-2000"]}
    assert listen_settings({**table, "records": "read"}) == ListenSettings(
        UnixAddress("/run/a"),
        mode=0o666,
        group=7,
        permission=Permission(("1*",), ((22, 22), (1000, 2000)), RecordAccess.READ),
    )


def test_listen_one_limit_leaves_the_others_open() -> None:
    assert listen_settings({"address": "/run/a", "records": "none"}).permission == Permission(records=RecordAccess.NONE)
    assert listen_settings({"address": "/run/a", "ports": []}).permission == Permission(ports=())


def test_listen_tls_takes_absolute_paths() -> None:
    table = {"address": "0.0.0.0:27015", "tls-certificate": "c.pem", "tls-key": "/k.pem", "tls-client-ca": "a.pem"}
    here = Path.cwd()
    assert listen_settings(table) == ListenSettings(
        TcpAddress("0.0.0.0", 27015), tls=TlsSettings(here / "c.pem", Path("/k.pem"), here / "a.pem")
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "address is missing"),
        ({"address": 5}, "address: expected a string"),
        ({"address": "nonsense"}, "nonsense"),
        ({"address": "/a", "udid": []}, "unknown key 'udid'"),
        ({"address": "/a", "mode": "0999"}, "'0999' is no mode"),
        ({"address": "/a", "mode": "7777"}, "no mode"),
        ({"address": "/a", "group": "no such group"}, "there is no group 'no such group'"),
        ({"address": "/a", "udids": "1*"}, "udids: expected an array"),
        ({"address": "/a", "udids": [1]}, "udids: expected strings"),
        ({"address": "/a", "ports": [65536]}, "ports: 65536 is neither"),
        ({"address": "/a", "ports": [True]}, "ports: True is neither"),
        ({"address": "/a", "ports": ["20-10"]}, "neither a port nor a range"),
        ({"address": "/a", "ports": ["ssh"]}, "neither a port nor a range"),
        ({"address": "/a", "records": "all"}, "expected none, read or write"),
        ({"address": "/a", "tls-key": "k", "tls-certificate": "c"}, "tls-client-ca missing"),
        ({"address": "/a", "tls-key": "k", "tls-certificate": "c", "tls-client-ca": "a"}, "TLS is for TCP"),
        ({"address": "/a", "tls-key": "", "tls-certificate": "c", "tls-client-ca": "a"}, "tls-key: '' is no path"),
        ({"address": "127.0.0.1:5", "mode": "0600"}, "for Unix sockets"),
    ],
)
def test_listen_impossible_says_why(table: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        listen_settings(table)


def test_rule_everything_is_taken() -> None:
    table = {"users": [0, "12"], "groups": [5], "udids": ["1*"], "ports": ["1-2"], "records": "none"}
    assert rule(table) == Rule(
        Permission(("1*",), ((1, 2),), RecordAccess.NONE), uids=frozenset({0, 12}), gids=frozenset({5})
    )


def test_rule_empty_is_for_everybody_and_everything() -> None:
    assert rule({}) == Rule(Permission())


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"address": "/a"}, "unknown key 'address'"),
        ({"users": ["nobody at all"]}, "there is no user 'nobody at all'"),
        ({"users": [-1]}, "there is no user -1"),
        ({"groups": [True]}, "there is no group True"),
        ({"users": "root"}, "users: expected an array"),
    ],
)
def test_rule_impossible_says_why(table: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        rule(table)


@pytest.mark.parametrize("number", [0xFFFFFFFF, 99999999999])
def test_number_can_be_no_id_it_is_refused(number: int) -> None:
    for name in (number, str(number)):  # -1 as the system spells it, which changes nothing, and beyond
        with pytest.raises(ValueError, match="there is no group"):
            group_id(name)


def test_ids_are_found_by_name_and_number() -> None:
    assert group_id(0xFFFFFFFE) == group_id("4294967294") == 0xFFFFFFFE
    assert user_id("root") == group_id("root") == 0
    assert user_id(str(os.getuid())) == os.getuid()
    assert octal_mode("0660") == 0o660
