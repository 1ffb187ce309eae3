"""What a connection costs does not depend on how many others there are; counted, see tests/support/steps.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.pair import ECHO, NOW, REFUSED, Pair
from tests.support.steps import OUR_CODE, steps_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.mux.connection import TcpConnection

FEW, MANY = 10, 2000


def exchange(pair: Pair, connection: TcpConnection) -> None:
    pair.session.send(connection, b"ping", NOW)
    pair.settle()
    pair.session.acknowledge(connection, len(b"ping"), NOW)


def connect_and_close(pair: Pair, connection: TcpConnection) -> None:
    another = pair.connect(ECHO)
    pair.settle()
    pair.session.close(another, NOW)
    pair.settle()


def be_refused(pair: Pair, connection: TcpConnection) -> None:
    pair.connect(REFUSED)
    pair.settle()


def end_one_side(pair: Pair, connection: TcpConnection) -> None:
    pair.session.shutdown_write(connection, NOW)
    pair.settle()
    pair.session.abort(connection, "", NOW)
    pair.settle()


def owe_an_acknowledgement(pair: Pair, connection: TcpConnection) -> None:
    """All others owe one too, but later."""
    exchange(pair, connection)
    assert pair.session.deadline is not None
    pair.session.handle_timer(pair.session.deadline)
    assert pair.session.packet_to_send(NOW) is not None
    assert pair.session.packet_to_send(NOW) is None


@pytest.mark.parametrize("work", [exchange, connect_and_close, be_refused, end_one_side, owe_an_acknowledgement])
def test_ready_with_2000_connections_work_for_one_takes_as_many_steps_as_with_10(
    work: Callable[[Pair, TcpConnection], None],
) -> None:
    def steps_with(count: int) -> int:
        pair = Pair()
        connections = [pair.connect(ECHO) for _ in range(count)]
        pair.settle()
        one = connections[count // 2]
        for other in connections:
            if other is not one:
                pair.session.send(other, b"ping", NOW)
                pair.settle()
                pair.session.acknowledge(other, len(b"ping"), NOW + 1)
        return steps_run(lambda: work(pair, one), f"{OUR_CODE}/mux")

    assert steps_with(MANY) == steps_with(FEW)
