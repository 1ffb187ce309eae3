"""Many connections: one after the other and at once, against a phone that insists on every rule (T15, T16)."""

from __future__ import annotations

import pytest

from tests.mux.pair import ECHO, GREETS_AND_RESETS, NOW, REFUSED, Pair
from usbmux.mux.events import CloseCause, ConnectionClosed, ConnectionEstablished, DataReceived

SEQUENTIAL = 70_000
AT_ONCE = 2_000


def in_a_circle(count: int) -> list[int]:
    return [number % 65535 + 1 for number in range(count)]


@pytest.mark.slow
def test_ready_70000_connects_one_after_the_other_each_has_its_port_to_itself() -> None:
    pair = Pair()
    for _ in range(SEQUENTIAL):
        connection = pair.connect(ECHO)
        assert pair.settle() == [ConnectionEstablished(connection)]
        pair.session.close(connection, NOW)
        assert pair.settle() == [ConnectionClosed(connection, CloseCause.FINISHED, "")]
    assert pair.host_ports == in_a_circle(SEQUENTIAL)
    assert pair.violations == []


@pytest.mark.parametrize("version", [1, 2])
def test_ready_connects_end_in_every_way_each_has_the_next_port(version: int) -> None:
    pair = Pair(version)
    for number in range(3000):
        connection = pair.connect((ECHO, REFUSED, GREETS_AND_RESETS)[number % 3])
        assert connection.local_port == number + 1
        first = pair.settle()[0]
        if number % 3 == 1:
            assert first == ConnectionClosed(connection, CloseCause.REFUSED, "connection refused")
        else:
            assert first == ConnectionEstablished(connection)
        pair.session.close(connection, NOW)
        pair.settle()
    assert pair.violations == []


def test_ready_2000_connections_at_once_each_keeps_its_bytes() -> None:
    pair = Pair()
    connections = [pair.connect(ECHO) for _ in range(AT_ONCE)]
    assert pair.settle() == [ConnectionEstablished(connection) for connection in connections]
    for connection in connections:
        pair.session.send(connection, b"%d" % connection.local_port, NOW)
    received = [event for event in pair.settle() if isinstance(event, DataReceived)]
    assert [(event.connection, b"".join(event.pieces)) for event in received] == [
        (connection, b"%d" % connection.local_port) for connection in connections
    ]
    assert sorted(pair.host_ports) == list(range(1, AT_ONCE + 1))
    assert pair.violations == []
