from __future__ import annotations

import pytest

from usbmux.daemon.peer import Peer
from usbmux.daemon.policy import NOTHING, Permission, Policy, RecordAccess, Rule

OLD = "00bc136e45b1fd59d3f3b8e16b12e6d0a4b0b0e8"
NEW = "00008101-000E4D4E3CD2001E"
ALICE, BOB = Peer(1000, 100, frozenset({100})), Peer(1001, 100, frozenset({100, 46}))
NOBODY_IN_PARTICULAR = Peer()


@pytest.mark.parametrize(
    ("pattern", "udid", "covers"),
    [
        ("*", OLD, True),
        (OLD, OLD, True),
        (OLD.upper(), OLD, True),
        (NEW, NEW, True),
        ("00008101000E4D4E3CD2001E", NEW, True),
        ("00008101-*", NEW, True),
        ("00008101-*", OLD, False),
        ("0000810[0-9]*", NEW, True),
        ("0000810[2-9]*", NEW, False),
        ("????????-????????????????", NEW, True),
        ("????????-????????????????", OLD, False),
        ("", NEW, False),
        (NEW[:-1], NEW, False),
    ],
)
def test_pattern(pattern: str, udid: str, covers: bool) -> None:
    assert Permission(udids=(pattern,)).covers_phone(udid) == covers


def test_permission_covers_what_any_of_its_patterns_and_ranges_covers() -> None:
    permission = Permission(udids=(OLD, "00008101-*"), ports=((22, 22), (1000, 2000)))
    assert permission.covers_phone(OLD)
    assert permission.covers_phone(NEW)
    assert [port for port in (21, 22, 23, 999, 1000, 2000, 2001) if permission.covers_port(port)] == [22, 1000, 2000]


def test_nothing_covers_nothing() -> None:
    assert not NOTHING.covers_phone(OLD)
    assert not NOTHING.covers_port(0)
    assert NOTHING.records < RecordAccess.READ


def test_no_rules_everybody_sees_the_whole() -> None:
    for peer in (ALICE, NOBODY_IN_PARTICULAR):
        view = Policy().view(peer)
        assert view.is_whole
        assert view.shows(OLD)
        assert view.allows_port(65535)
        assert view.allows_records(RecordAccess.WRITE)


def test_rules_first_that_fits_decides() -> None:
    ours, theirs = Permission(udids=(OLD,)), Permission(udids=(NEW,), records=RecordAccess.READ)
    policy = Policy([Rule(ours, uids=frozenset({1000})), Rule(theirs, gids=frozenset({46}))])
    alice, bob = policy.view(ALICE), policy.view(BOB)
    assert (alice.shows(OLD), alice.shows(NEW)) == (True, False)
    assert (bob.shows(OLD), bob.shows(NEW)) == (False, True)
    assert bob.allows_records(RecordAccess.READ)
    assert not bob.allows_records(RecordAccess.WRITE)


def test_rules_none_that_fits_nothing_is_allowed() -> None:
    policy = Policy([Rule(Permission(), uids=frozenset({1000}))])
    for peer in (BOB, NOBODY_IN_PARTICULAR):
        view = policy.view(peer)
        assert not view.shows(OLD)
        assert not view.allows_port(22)
        assert not view.allows_records(RecordAccess.READ)


def test_rule_for_users_and_groups_is_for_either() -> None:
    rule = Rule(Permission(), uids=frozenset({1000}), gids=frozenset({46}))
    assert rule.is_for(ALICE)
    assert rule.is_for(BOB)
    assert not rule.is_for(Peer(1002, 100, frozenset({100})))
    assert not rule.is_for(NOBODY_IN_PARTICULAR)


@pytest.mark.parametrize(
    "rule",
    [Rule(Permission(), uids=frozenset({1000})), Rule(Permission(), gids=frozenset({46}))],
    ids=["user", "group"],
)
def test_rule_for_one_user_or_one_group_is_for_nobody_else(rule: Rule) -> None:
    assert rule.is_for(ALICE) == bool(rule.uids)
    assert rule.is_for(BOB) == bool(rule.gids)
    assert not rule.is_for(Peer(1002, 100, frozenset({100})))
    assert not rule.is_for(NOBODY_IN_PARTICULAR)


def test_rule_for_nobody_in_particular_is_for_all() -> None:
    assert Rule(Permission()).is_for(NOBODY_IN_PARTICULAR)


def test_socket_and_rule_only_what_both_allow() -> None:
    policy = Policy([Rule(Permission(udids=(OLD, NEW), ports=((1, 100),)))])
    view = policy.view(ALICE, Permission(udids=(NEW,), ports=((50, 200),), records=RecordAccess.NONE))
    assert (view.shows(OLD), view.shows(NEW)) == (False, True)
    assert [port for port in (1, 50, 100, 101, 200) if view.allows_port(port)] == [50, 100]
    assert not view.allows_records(RecordAccess.READ)
    assert not view.is_whole


def test_socket_without_rules_shows_what_it_is_told() -> None:
    view = Policy().view(ALICE, Permission(udids=(NEW,)))
    assert (view.shows(OLD), view.shows(NEW)) == (False, True)
