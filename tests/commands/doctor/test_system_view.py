from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from usbmux.commands.doctor.accounts import group_name, has_user, is_member, user_name
from usbmux.commands.doctor.system_view import Account, Rights, SystemView

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.doctor.made_up import MadeUpSystem


@pytest.mark.parametrize(
    ("mode", "account", "may"),
    [
        (0o600, Account(10, frozenset()), True),
        (0o400, Account(10, frozenset()), False),
        (0o066, Account(10, frozenset({20})), False),
        (0o060, Account(11, frozenset({19, 20})), True),
        (0o646, Account(11, frozenset({20})), False),
        (0o006, Account(11, frozenset({21})), True),
        (0o660, Account(11, frozenset({21})), False),
        (0o000, Account(0, frozenset()), True),
    ],
)
def test_bits_of_a_file_are_read_as_the_kernel_does(mode: int, account: Account, may: bool) -> None:
    assert Rights(10, 20, mode).allow_reading_and_writing(account) is may


def test_file_that_is_not_there_may_be_opened_by_nobody(system: MadeUpSystem) -> None:
    assert not system.view.may_open("/dev/none", Account(0, frozenset()))


def test_own_rights_are_asked_of_the_kernel(tmp_path: Path) -> None:
    own = Account(os.geteuid(), frozenset())
    view = SystemView(tmp_path, {}, "linux", own)
    (tmp_path / "node").touch(mode=0o600)
    assert view.may_open("/node", own)
    assert not view.may_open("/none", own)


def test_users_and_groups_are_those_of_the_system_that_is_looked_at(system: MadeUpSystem) -> None:
    system.file("/etc/group", "phones:x:50:adam,bob\n")
    view = system.view
    assert (user_name(view, 1000), user_name(view, 4711)) == ("ada", "4711")
    assert (group_name(view, 50), group_name(view, 51)) == ("phones", "51")
    assert (has_user(view, "ada"), has_user(view, "ad")) == (True, False)
    assert (is_member(view, "adam", 50), is_member(view, "ada", 50), is_member(view, "bob", 51)) == (True, False, False)


def test_file_that_is_no_text_is_shown_all_the_same(system: MadeUpSystem) -> None:
    (system.root / "odd").write_bytes(b"\xff\xfe \n")
    assert system.view.text("/odd") == "\ufffd\ufffd"
