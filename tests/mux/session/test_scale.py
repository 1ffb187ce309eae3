"""What a connection costs does not depend on how many others there are. Counted in lines of our code that are run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.mux.pair import ECHO, NOW, REFUSED, Pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from usbmux.mux.connection import TcpConnection

FEW, MANY = 10, 2000


class LineCounter:
    """Counts the lines of `usbmux.mux` while it is the tracing function."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> LineCounter | None:
        if "/usbmux/mux/" not in frame.f_code.co_filename:
            return None
        self.lines += event == "line"
        return self


def lines_run(work: Callable[[], object]) -> int:
    counter = LineCounter()
    before = sys.gettrace()
    sys.settrace(counter)
    try:
        work()
    finally:
        sys.settrace(before)
    assert counter.lines
    return counter.lines


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


@pytest.mark.parametrize("work", [exchange, connect_and_close, be_refused])
def test_ready_with_2000_connections_work_for_one_takes_as_many_steps_as_with_10(
    work: Callable[[Pair, TcpConnection], None],
) -> None:
    def lines_with(count: int) -> int:
        pair = Pair()
        connections = [pair.connect(ECHO) for _ in range(count)]
        pair.settle()
        return lines_run(lambda: work(pair, connections[count // 2]))

    assert lines_with(MANY) == lines_with(FEW)
