from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from usbmux.daemon import complaints as complaints_module
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.log_budget import LINES, PERIOD_S
from usbmux.daemon.peer import Peer

if TYPE_CHECKING:
    import pytest


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_user_is_complained_about_too_often_lines_are_withheld_and_others_are_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    complaints = Complaints(clock)
    for number in range(LINES + 5):
        complaints.warn(Peer(uid=1000), "client %d: refused", number)
    complaints.warn(Peer(), "another one")
    assert caplog.messages == [*(f"client {number}: refused" for number in range(LINES)), "another one"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    caplog.clear()
    clock.now += PERIOD_S
    complaints.warn(Peer(uid=1000), "again")
    assert caplog.messages == ["5 lines about clients of uid 1000 were withheld", "again"]


def test_more_users_than_are_remembered_those_of_long_ago_are_forgotten(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints_module, "_USERS", 2)
    complaints = Complaints(Clock())
    for uid in (1, 2, 3):
        for _ in range(LINES):
            complaints.warn(Peer(uid=uid), "refused")
    caplog.clear()
    complaints.warn(Peer(uid=3), "no more")
    complaints.warn(Peer(uid=2), "no more")
    complaints.warn(Peer(uid=1), "forgotten, so heard")
    assert caplog.messages == ["forgotten, so heard"]
