"""Deadlines of blocking calls."""

from __future__ import annotations

import math
import selectors
import socket
import time

import pytest

from usbmux.client.blocking_connection import select_before
from usbmux.deadlines import deadline_after, set_deadline

DAY_S = 86400.0


@pytest.mark.parametrize("timeout_s", [30 * DAY_S, 1e10, 1e300])
def test_deadline_is_later_than_sockets_wait_the_call_waits_as_long_as_it_can(timeout_s: float) -> None:
    with socket.socket() as stream:
        set_deadline(stream, deadline_after(timeout_s))
        assert stream.gettimeout() == 24 * DAY_S


@pytest.mark.parametrize("timeout_s", [30 * DAY_S, 1e10, 1e300])
def test_deadline_is_later_than_the_system_waits_what_is_ready_is_told(timeout_s: float) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert select_before(deadline_after(timeout_s), (one, selectors.EVENT_WRITE)) == [one]


@pytest.mark.parametrize("timeout_s", [None, math.inf])
def test_no_deadline_the_call_waits_for_ever(timeout_s: float | None) -> None:
    with socket.socket() as stream:
        set_deadline(stream, deadline_after(timeout_s))
        assert stream.gettimeout() is None


def test_deadline_has_passed_the_call_does_not_wait() -> None:
    with socket.socket() as stream:
        set_deadline(stream, time.monotonic() - 1)
        assert stream.gettimeout() == 0.0
