from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.commands.top.made_up import ANNA, LAB, OTHER, PHONE
from usbmux.admin.message import PhoneState
from usbmux.commands.top.names import PhoneNames, ask_phones
from usbmux.errors import UsbmuxError
from usbmux.testing import RunningDaemon, SimulatedPhone
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Asked:
    """Notes what is asked; answers when it is allowed to."""

    def __init__(self, answer: Callable[[frozenset[str]], Mapping[str, str]]) -> None:
        self._answer = answer
        self.questions: list[set[str]] = []
        self.may_answer = threading.Event()
        self.has_answered = threading.Event()

    def __call__(self, udids: frozenset[str]) -> Mapping[str, str]:
        self.questions.append(set(udids))
        assert self.may_answer.wait(20)
        try:
            return self._answer(udids)
        finally:
            self.has_answered.set()

    def settle(self, names: PhoneNames) -> None:
        self.may_answer.set()
        assert self.has_answered.wait(20)
        assert names._thread is not None
        names._thread.join(20)


def lengths(udids: frozenset[str]) -> dict[str, str]:
    return {udid: f"name of {len(udid)}" for udid in udids}


def test_phones_are_attached_they_are_asked_once_and_nobody_waits() -> None:
    asked = Asked(lengths)
    names = PhoneNames(asked)
    unattached = replace(PHONE, state=PhoneState.QUARANTINED, udid="X", device_id=None)
    for _ in range(3):
        assert names.names([PHONE, unattached]) == {}
    asked.settle(names)
    assert names.names([PHONE, unattached]) == {ANNA: "name of 25"}
    assert asked.questions == [{ANNA}]


def test_phone_is_attached_again_it_is_asked_again_and_alone() -> None:
    asked = Asked(lengths)
    names = PhoneNames(asked)
    names.names([PHONE, OTHER])
    asked.settle(names)
    names.names([replace(PHONE, device_id=9), OTHER])
    asked.settle(names)
    assert asked.questions == [{ANNA, LAB}, {ANNA}]


def test_phone_comes_while_others_are_asked_it_has_its_turn_later() -> None:
    asked = Asked(lengths)
    names = PhoneNames(asked)
    names.names([PHONE])
    names.names([PHONE, OTHER])
    asked.settle(names)
    names.names([PHONE, OTHER])
    asked.settle(names)
    assert asked.questions == [{ANNA}, {LAB}]


def test_daemon_is_gone_there_are_no_names() -> None:
    def fail(udids: frozenset[str]) -> Mapping[str, str]:
        raise UsbmuxError("gone")

    asked = Asked(fail)
    names = PhoneNames(asked)
    names.names([PHONE])
    asked.settle(names)
    assert names.names([PHONE]) == {}


@pytest.mark.slow
def test_phones_are_asked_through_the_daemon_those_that_answer_have_names() -> None:
    iphone = VirtualIPhone(Identity(udid=ANNA, device_name="Anna's iPhone"))
    with RunningDaemon([iphone, SimulatedPhone(LAB)]) as daemon:
        ask = ask_phones(str(daemon.address))
        assert ask(frozenset([ANNA, LAB])) == {ANNA: "Anna's iPhone"}
        assert ask(frozenset([LAB])) == {}
