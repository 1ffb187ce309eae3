"""Forks are played: one end of the pair in a second descriptor, or another process id."""

from __future__ import annotations

import os
import selectors
import socket
import time
from typing import TYPE_CHECKING

import pytest

from usbmux.client.bell import Bell, BellRungError
from usbmux.deadlines import PAST

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_S = 10.0
"""Turns a bell that is not heard into a failure."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    heard, rung = socket.socketpair()
    with heard, rung:
        yield heard, rung


def is_heard(bell: Bell, deadline: float) -> bool:
    one, other = socket.socketpair()
    with one, other:
        try:
            return bell.wait_for((one, selectors.EVENT_READ), deadline)
        except BellRungError:
            return True


def test_bell_whose_ends_a_forked_process_has_too_is_heard(pair: tuple[socket.socket, socket.socket]) -> None:
    bell = Bell(*pair)
    with pair[1].dup():
        bell.ring()
        assert is_heard(bell, time.monotonic() + LONG_S)


def test_bell_of_the_process_that_was_forked_from_is_not_rung(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    bell = Bell(*pair)
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        bell.ring()
    assert not is_heard(bell, PAST)


def test_bell_taken_down_rung_is_silent() -> None:
    bell = Bell.new()
    bell.close()
    bell.ring()
